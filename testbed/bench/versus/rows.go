package versus

import (
	"fmt"
	"strconv"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
)

// row is one figure in words: how it is read from what was measured, and what
// Weft promises.
type row struct {
	what   string
	of     func(gauge.Figures) (value float64, text string) // "" where it was not measured
	target map[string]float64                               // at most, by scene; none: nothing is promised

}

// everywhere is a target of all scenes.
func everywhere(most float64) map[string]float64 {
	return map[string]float64{"S": most, "M": most, "L": most, "XL": most}
}

var rows = []row{
	{"policy added, median (ms)", median(func(f gauge.Figures) gauge.Spread { return f.PolicyAdd }), everywhere(3)},
	{"policy added, 99th percentile (ms)", p99(func(f gauge.Figures) gauge.Spread { return f.PolicyAdd }), everywhere(12)},
	{"policy removed, median (ms)", median(func(f gauge.Figures) gauge.Spread { return f.PolicyDel }), everywhere(3)},
	{"policy removed, 99th percentile (ms)", p99(func(f gauge.Figures) gauge.Spread { return f.PolicyDel }), everywhere(12)},
	{"CPU time of all programs for a policy change (ms)", positive(gauge.Figures.CPUPerChange), map[string]float64{"L": 4, "XL": 4}},
	{"flows on the cell", positive(func(f gauge.Figures) float64 { return float64(f.Flows) }), map[string]float64{"L": 2_000, "XL": 26_000}},
	{"memory of the cell's agent (MiB)", positive(agentMemory), map[string]float64{"L": 40, "XL": 80}},
	{"memory of what runs once for all cells (MiB)", positive(centralMemory), map[string]float64{"L": 150, "XL": 300}},
	{"container on another cell, median (ms)", median(func(f gauge.Figures) gauge.Spread { return f.RemoteAdd }), nil},
	{"flows that it changes on this cell", remote(func(f gauge.Figures) float64 { return f.RemoteFlows }), everywhere(0)},
	{"agent restarted, in step again, median (ms)", median(func(f gauge.Figures) gauge.Spread { return f.Restart }), map[string]float64{"XL": 500}},
	{"flows missing meanwhile, at most", func(f gauge.Figures) (float64, string) {
		missing := float64(f.Flows - f.RestartLowest)
		return missing, given(f.RestartLowest > 0, missing)
	}, everywhere(0)},
	{"new cell, until it has its whole table, median (ms)", median(func(f gauge.Figures) gauge.Spread { return f.NewCell }), map[string]float64{"XL": 2000}},
}

// median and p99 read a time.
func median(of func(gauge.Figures) gauge.Spread) func(gauge.Figures) (float64, string) {
	return positive(func(f gauge.Figures) float64 { return of(f).P50 })
}

func p99(of func(gauge.Figures) gauge.Spread) func(gauge.Figures) (float64, string) {
	return positive(func(f gauge.Figures) float64 { return of(f).P99 })
}

// positive reads what was not measured if it is 0.
func positive(of func(gauge.Figures) float64) func(gauge.Figures) (float64, string) {
	return func(f gauge.Figures) (float64, string) { return of(f), given(of(f) > 0, of(f)) }
}

// remote reads what was measured with containers on other cells: 0 is a figure.
func remote(of func(gauge.Figures) float64) func(gauge.Figures) (float64, string) {
	return func(f gauge.Figures) (float64, string) {
		return of(f), given(f.RemoteAdd.N > 0 && f.System != "", of(f))
	}
}

// agentMemory is that of what runs on each cell beside Open vSwitch.
func agentMemory(f gauge.Figures) float64 {
	return f.Memory["weft-agent"].RSS + f.Memory["ovn-controller"].RSS
}

// centralMemory is that of what runs once, or in some replicas. Weft's database
// is inside its controller; OVN's are programs of their own.
func centralMemory(f gauge.Figures) float64 {
	sum := f.Memory["weft-controller"].RSS
	for _, name := range []string{"ovn-northd", "ovsdb-server (northbound)", "ovsdb-server (southbound)"} {
		sum += f.Memory[name].RSS
	}
	return sum
}

// given writes a value, if there is one.
func given(is bool, v float64) string {
	switch {
	case !is:
		return ""
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return grouped(int64(v + 0.5))
}

// grouped writes a number with commas.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// cells are a row of the table of a scene, and whether Weft misses its target.
func (r row) cells(s Scene) (cells []string, missed bool) {
	var ours, theirs float64
	var weft, measured, ratio, target string
	if s.Weft != nil {
		ours, weft = r.of(*s.Weft)
	}
	if s.OVN != nil {
		theirs, measured = r.of(*s.OVN)
	}
	if ours > 0 && measured != "" && s.Weft.Run.Equal(s.OVN.Run) { // two runs do not compare
		ratio = given(true, theirs/ours)
	}
	if most, promised := r.target[s.Name]; promised {
		target = "at most " + grouped(int64(most))
		if most == 0 {
			target = "0"
		}
		if missed = weft != "" && ours > most; missed {
			weft = fmt.Sprintf("**%s**", weft)
		}
	}
	_, quote := r.of(quoted[s.Name])
	return []string{r.what, target, weft, measured, ratio, quote}, missed
}
