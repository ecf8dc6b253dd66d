package versus

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/weft-sdn/weft/testbed/bench"
	"github.com/weft-sdn/weft/testbed/bench/chart"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
)

// The generated part of the report is between these lines.
const (
	reportBegin = "<!-- ovn: written by make bench-ovn -->"
	reportEnd   = "<!-- end of ovn -->"
)

// chartsFolder is beside the report.
const chartsFolder = "charts"

// WriteReport rewrites the generated part of a file such as
// docs/performance.md, and the charts that it shows.
func WriteReport(path string, scenes []Scene) error {
	folder := filepath.Join(filepath.Dir(path), chartsFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	shown := ""
	for _, d := range drawings(scenes) {
		svg, err := d.SVG()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, d.file), []byte(svg), 0o644); err != nil {
			return err
		}
		shown += fmt.Sprintf("![%s](%s/%s)\n", d.Title, chartsFolder, d.file)
	}
	return bench.RewritePart(path, reportBegin, reportEnd, shown+"\n"+Tables(scenes))
}

// Tables are the scenes in Markdown, one table for each.
func Tables(scenes []Scene) string {
	var b strings.Builder
	for _, s := range scenes {
		fmt.Fprintf(&b, "**%s: %s apps, %s containers on %d cells, %d of them on the measured one, %s policies**, on %s.\n\n",
			s.Name, grouped(int64(s.Apps)), grouped(int64(s.Containers)), s.Cells, s.Local, grouped(int64(s.Policies)), s.Machine)
		fmt.Fprintf(&b, "| | target | %s | %s | ÷ Weft | %s, quoted |\n|---|---:|---:|---:|---:|---:|\n", heading(s.Weft, "Weft"), heading(s.OVN, "OVN"), newest)
		for _, r := range rows {
			cells, _ := r.cells(s)
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
		if s.Weft != nil {
			fmt.Fprintf(&b, "\nA container on another cell sends %.0f bytes to this one. ", s.Weft.RemoteBytes)
			fmt.Fprintf(&b, "Samples of each kind of change: %s.", samples(s))
			fmt.Fprintf(&b, " CPU time for a policy change (ms): %s.", shares(s))
		}
		if m := s.MariaDB; m != nil {
			fmt.Fprintf(&b, " With Weft's data in MariaDB a policy is added in %.2f ms and removed in %.2f ms (medians; target: at most 6), 99th percentiles %.2f and %.2f ms.",
				m.PolicyAdd.P50, m.PolicyDel.P50, m.PolicyAdd.P99, m.PolicyDel.P99)
		}
		b.WriteString("\n\n")
	}
	b.WriteString(howQuoted + "\n")
	return b.String()
}

// heading names a system and says when it was measured.
func heading(f *gauge.Figures, otherwise string) string {
	if f == nil {
		return otherwise
	}
	return f.System + ", " + f.Run.Format("2006-01-02")
}

// systems are those that were measured with a scene.
func (s Scene) systems() []*gauge.Figures {
	var all []*gauge.Figures
	for _, f := range []*gauge.Figures{s.Weft, s.OVN} {
		if f != nil {
			all = append(all, f)
		}
	}
	return all
}

func samples(s Scene) string {
	var all []string
	for _, f := range s.systems() {
		all = append(all, fmt.Sprintf("%s %d, while others kept %.1f CPUs busy", f.System, f.PolicyAdd.N, f.Others))
	}
	return strings.Join(all, "; ")
}

// shares are the programs that use CPU time for a policy change.
func shares(s Scene) string {
	var all []string
	for _, f := range s.systems() {
		var its []string
		for _, program := range bySize(f.CPU) {
			its = append(its, fmt.Sprintf("%s %.1f", program, f.CPU[program]))
		}
		all = append(all, f.System+": "+strings.Join(its, ", "))
	}
	return strings.Join(all, "; ")
}

// drawing is a chart and its file.
type drawing struct {
	file string
	chart.Chart
}

// drawings are the charts: how figures grow with the scene.
func drawings(scenes []Scene) []drawing {
	labels := make([]string, len(scenes))
	for i, s := range scenes {
		labels[i] = fmt.Sprintf("%s (%s)", s.Name, grouped(int64(s.Policies)))
	}
	draw := func(file, title, unit string, of func(gauge.Figures) float64) drawing {
		weft, theirs, quote := make([]float64, len(scenes)), make([]float64, len(scenes)), make([]float64, len(scenes))
		name := "OVN"
		for i, s := range scenes {
			weft[i], theirs[i], quote[i] = drawn(s.Weft, of), drawn(s.OVN, of), math.NaN()
			if q, is := quoted[s.Name]; is {
				quote[i] = drawn(&q, of)
			}
			if s.OVN != nil {
				name = s.OVN.System
			}
		}
		return drawing{file, chart.Chart{Title: title + ", by scene (policies)", Unit: unit, X: labels, Log: true, Lines: []chart.Line{
			{Name: "Weft", Values: weft}, {Name: name, Values: theirs}, {Name: newest + ", quoted", Values: quote, Dashed: true},
		}}}
	}
	return []drawing{
		draw("policy.svg", "Policy added, until it is in the switch: median", "ms", func(f gauge.Figures) float64 { return f.PolicyAdd.P50 }),
		draw("cpu.svg", "CPU time of all programs for a policy change", "ms", gauge.Figures.CPUPerChange),
		draw("flows.svg", "Flows on the cell", "flows", func(f gauge.Figures) float64 { return float64(f.Flows) }),
		draw("memory.svg", "Memory of the cell's agent", "MiB", agentMemory),
	}
}

// drawn is a value for a logarithmic axis.
func drawn(f *gauge.Figures, of func(gauge.Figures) float64) float64 {
	if f == nil || of(*f) <= 0 {
		return math.NaN()
	}
	return of(*f)
}
