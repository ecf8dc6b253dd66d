package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// axis is the vertical one.
type axis struct {
	from, to float64 // logarithms, if it is logarithmic
	log      bool
	ticks    []float64
}

// axis spans all values, and on a linear axis zero.
func (c Chart) axis() (axis, error) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, line := range c.Lines {
		if len(line.Values) != len(c.X) {
			return axis{}, fmt.Errorf("line %q has %d values for %d labels", line.Name, len(line.Values), len(c.X))
		}
		for _, v := range line.Values {
			if math.IsNaN(v) {
				continue
			}
			if math.IsInf(v, 0) || v < 0 || c.Log && v == 0 {
				return axis{}, fmt.Errorf("line %q: %v cannot be drawn", line.Name, v)
			}
			least, most = min(least, v), max(most, v)
		}
	}
	if least > most {
		return axis{}, fmt.Errorf("it has no values")
	}
	if c.Log {
		return decades(least, most), nil
	}
	return linear(most), nil
}

// decades is a logarithmic axis with a line for each power of ten.
func decades(least, most float64) axis {
	a := axis{from: math.Floor(math.Log10(least)), to: math.Ceil(math.Log10(most)), log: true}
	if a.to == a.from {
		a.to++
	}
	for e := a.from; e <= a.to; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

// linear is an axis from zero with four to eight lines, of round numbers.
func linear(most float64) axis {
	if most == 0 {
		most = 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	step := unit
	for _, smaller := range []float64{unit / 2, unit / 5} {
		if most/step < 4 {
			step = smaller
		}
	}
	a := axis{to: step * math.Ceil(most/step)}
	for i := 0.0; i*step <= a.to; i++ {
		a.ticks = append(a.ticks, i*step)
	}
	return a
}

// y is where a value is.
func (a axis) y(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return top + plotHeight*(1-(v-a.from)/(a.to-a.from))
}

// name is that of a line, at its end.
type name struct {
	text  string
	y     float64
	color int
}

// apart moves names so that none is on another, from top to bottom.
func apart(names []name) []name {
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(a.y, b.y) })
	for i := 1; i < len(names); i++ {
		names[i].y = max(names[i].y, names[i-1].y+nameDistance)
	}
	for i := len(names) - 1; i >= 0; i-- { // up again, what went beyond the plot
		limit := float64(top + plotHeight)
		if i+1 < len(names) {
			limit = names[i+1].y - nameDistance
		}
		names[i].y = min(names[i].y, limit)
	}
	return names
}
