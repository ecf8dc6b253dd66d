package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// example has what charts may have: a gap, a dashed line, names that collide
// and characters that XML keeps for itself.
var example = Chart{
	Title: `Policy <added> & "removed"`, Unit: "ms", X: []string{"S", "M", "L"}, Log: true,
	Lines: []Line{
		{Name: "OVN", Values: []float64{9, 87, 972}},
		{Name: "Weft", Values: []float64{1.5, math.NaN(), 2}},
		{Name: "target", Values: []float64{3, 3, 2.1}, Dashed: true},
	},
}

// TestSVG: it is well-formed, the same each time, and has everything in it.
func TestSVG(t *testing.T) {
	svg, err := example.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := example.SVG(); again != svg {
		t.Error("two different drawings of one chart")
	}
	texts, circles := map[string]bool{}, 0
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.CharData:
			texts[string(token)] = true
		case xml.StartElement:
			if token.Name.Local == "circle" {
				circles++
			}
		}
	}
	for _, want := range []string{example.Title, "ms", "S", "M", "L", "OVN", "Weft", "target", "1", "10", "100", "1,000"} {
		if !texts[want] {
			t.Errorf("no text %q", want)
		}
	}
	if circles != 8 {
		t.Errorf("%d points, want 8", circles)
	}
	if strings.Count(svg, "stroke-dasharray") != 1 {
		t.Error("one line is dashed")
	}
}

// TestAxes: higher is more, decades are as far from each other, zero is at the
// bottom of a linear axis.
func TestAxes(t *testing.T) {
	a := decades(1.5, 972)
	if d1, d2 := a.y(1)-a.y(10), a.y(10)-a.y(100); math.Abs(d1-d2) > 0.01 || d1 <= 0 {
		t.Errorf("decades of %v and %v pixels", d1, d2)
	}
	if b := decades(10, 10); b.y(10) != top+plotHeight {
		t.Errorf("one value is at %v", b.y(10))
	}
	for _, most := range []float64{0, 0.7, 1, 7, 12, 999, 1000} {
		l := linear(most)
		if l.y(0) != top+plotHeight || l.y(most) < top || len(l.ticks) < 4 || len(l.ticks) > 11 {
			t.Errorf("up to %v: %+v", most, l)
		}
	}
}

// TestNamesStayApart: and inside.
func TestNamesStayApart(t *testing.T) {
	low := float64(top + plotHeight)
	names := apart([]name{{"a", low, 0}, {"b", low - 1, 1}, {"c", low - 2, 2}})
	for i := range names {
		if names[i].y > low || i > 0 && names[i].y-names[i-1].y < nameDistance {
			t.Errorf("%+v", names)
		}
	}
}

func TestRefuses(t *testing.T) {
	for want, c := range map[string]Chart{
		"2 values for 1":  {X: []string{"S"}, Lines: []Line{{Name: "a", Values: []float64{1, 2}}}},
		"no values":       {X: []string{"S"}, Lines: []Line{{Name: "a", Values: []float64{math.NaN()}}}},
		"0 cannot":        {X: []string{"S"}, Log: true, Lines: []Line{{Name: "a", Values: []float64{0}}}},
		"+Inf cannot":     {X: []string{"S"}, Lines: []Line{{Name: "a", Values: []float64{math.Inf(1)}}}},
		`chart "nothing"`: {Title: "nothing"},
	} {
		if _, err := c.SVG(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1: "0.1", 1.234: "1.23", 10: "10", 12.34: "12.3", 972.4: "972", 1048891: "1,048,891"} {
		if got := number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
