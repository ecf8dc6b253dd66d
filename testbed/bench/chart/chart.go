package chart

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Chart is a line chart.
type Chart struct {
	Title string
	Unit  string   // of the values, for the vertical axis
	X     []string // labels of the horizontal axis, at least one
	Log   bool     // the vertical axis is logarithmic: values must be above 0
	Lines []Line
}

// Line is one line of a chart. A value that was not measured is NaN: its line
// goes on at the next one.
type Line struct {
	Name   string
	Values []float64 // as many as there are labels
	Dashed bool      // for what was not measured with the others: a target, a quoted figure
}

// Size of a chart and where its plot is, in pixels.
const (
	width, height          = 720, 400
	left, right            = 70, 190 // of which the names of the lines have the right
	top, bottom            = 48, 40
	plotWidth, plotHeight  = width - left - right, height - top - bottom
	labelGap, nameDistance = 8, 16
)

// style has a background of its own: a page may be dark where the system is
// light, and the reverse.
const style = `<style>
.paper{fill:#fff}.grid{stroke:#d0d7de}text{fill:#24292f;font:13px system-ui,sans-serif}.title{font-size:15px;font-weight:600}
.line{fill:none;stroke-width:2.5}.l0{stroke:#0969da}.l1{stroke:#bc4c00}.l2{stroke:#8250df}.l3{stroke:#1a7f37}.l4{stroke:#6e7781}
.p0{fill:#0969da}.p1{fill:#bc4c00}.p2{fill:#8250df}.p3{fill:#1a7f37}.p4{fill:#6e7781}
@media (prefers-color-scheme:dark){.paper{fill:#0d1117}.grid{stroke:#30363d}text{fill:#e6edf3}
.l0{stroke:#58a6ff}.l1{stroke:#f0883e}.l2{stroke:#bc8cff}.l3{stroke:#56d364}.l4{stroke:#8b949e}
.p0{fill:#58a6ff}.p1{fill:#f0883e}.p2{fill:#bc8cff}.p3{fill:#56d364}.p4{fill:#8b949e}}
</style>
`

// colors is how many lines have one of their own.
const colors = 5

// SVG draws the chart. It fails if a line has not as many values as there are
// labels, nothing was measured, or a value cannot be on a logarithmic axis.
func (c Chart) SVG() (string, error) {
	axis, err := c.axis()
	if err != nil {
		return "", fmt.Errorf("chart %q: %w", c.Title, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(c.Title))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="26">%s</text>`+"\n", left, html.EscapeString(c.Title))
	fmt.Fprintf(&b, `<text x="%d" y="26" text-anchor="end">%s</text>`+"\n", left-labelGap, html.EscapeString(c.Unit))
	for _, tick := range axis.ticks {
		y := axis.y(tick)
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y, left+plotWidth, left-labelGap, y+4, number(tick))
	}
	for i, label := range c.X {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", c.x(i), height-bottom+22, html.EscapeString(label))
	}
	c.draw(&b, axis)
	b.WriteString("</svg>\n")
	return b.String(), nil
}

// draw draws the lines, with their names where they end.
func (c Chart) draw(b *strings.Builder, axis axis) {
	var names []name
	for i, line := range c.Lines {
		path, dash, last := "", "", math.NaN()
		for at, v := range line.Values {
			if math.IsNaN(v) {
				continue
			}
			step := "L"
			if path == "" {
				step = "M"
			}
			path += fmt.Sprintf("%s%.1f %.1f", step, c.x(at), axis.y(v))
			last = axis.y(v)
			fmt.Fprintf(b, `<circle class="p%d" cx="%.1f" cy="%.1f" r="3.5"><title>%s, %s: %s %s</title></circle>`+"\n",
				i%colors, c.x(at), axis.y(v), html.EscapeString(line.Name), html.EscapeString(c.X[at]), number(v), html.EscapeString(c.Unit))
		}
		if path == "" {
			continue
		}
		if line.Dashed {
			dash = ` stroke-dasharray="6 4"`
		}
		fmt.Fprintf(b, `<path class="line l%d" d="%s"%s/>`+"\n", i%colors, path, dash)
		names = append(names, name{line.Name, last, i % colors})
	}
	for _, n := range apart(names) {
		fmt.Fprintf(b, `<text class="p%d" x="%d" y="%.1f">%s</text>`+"\n", n.color, left+plotWidth+labelGap, n.y+4, html.EscapeString(n.text))
	}
}

// x is where a label is.
func (c Chart) x(i int) float64 {
	return left + plotWidth*(float64(i)+0.5)/float64(len(c.X))
}

// number writes a value with at most three digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 10:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// thousands puts commas into a whole number.
func thousands(digits string) string {
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
