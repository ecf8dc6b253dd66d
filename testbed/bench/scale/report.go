package scale

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weft-sdn/weft/testbed/bench"
	"github.com/weft-sdn/weft/testbed/bench/chart"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
)

// The generated part of the report is between these lines.
const (
	reportBegin = "<!-- scale: written by make bench-scale -->"
	reportEnd   = "<!-- end of scale -->"
)

// The chart is in a folder beside the report.
const (
	chartsFolder = "charts"
	chartFile    = "fleet.svg"
)

// WriteReport rewrites the generated part of a file such as
// docs/performance.md, and the chart that it shows.
func WriteReport(path string, r Result, now time.Time) error {
	drawn := r.chart()
	svg, err := drawn.SVG()
	if err != nil {
		return err
	}
	folder := filepath.Join(filepath.Dir(path), chartsFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, chartFile), []byte(svg), 0o644); err != nil {
		return err
	}
	shown := fmt.Sprintf("![%s](%s/%s)\n\n", drawn.Title, chartsFolder, chartFile)
	return bench.RewritePart(path, reportBegin, reportEnd, shown+r.Tables(now))
}

// chart shows how long changes take until they are acknowledged.
func (r Result) chart() chart.Chart {
	line := func(name string, s gauge.Spread) chart.Line {
		return chart.Line{Name: name, Values: []float64{s.Min, s.P50, s.P99, s.Max}}
	}
	return chart.Chart{
		Title: fmt.Sprintf("A change until it is acknowledged, %d cells", r.Cells), Unit: "ms", Log: true,
		X: []string{"least", "median", "99th percentile", "most"},
		Lines: []chart.Line{
			line("policy", r.Change), line("policy, agents stuck", r.Stuck), line("container, 1,000/s", r.Churn), line("policy of all cells", r.Popular),
		},
	}
}

// Tables is the result in Markdown, measured at now.
func (r Result) Tables(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s, controller and simulated agents together: %d cells, %d containers, %d apps, %d policies.\n\n",
		now.UTC().Format("2006-01-02"), bench.Machine(), r.Cells, r.Containers, r.Apps, r.Policies)
	b.WriteString("| figure | | target | p50 | most | of | what |\n|---|---:|---:|---:|---:|---:|---|\n")
	for _, f := range r.figures() {
		fmt.Fprintf(&b, "| `%s` | %.*f | %s | ", f.key, f.digits, f.value, f.target)
		if s := f.spread; s.N > 0 {
			fmt.Fprintf(&b, "%.1f | %.1f | %d", s.P50, s.Max, s.N)
		} else {
			b.WriteString("| |")
		}
		fmt.Fprintf(&b, " | %s |\n", f.what)
	}
	b.WriteString("\n| part | seconds | CPU seconds: controller | agents | controller's memory (MiB) | snapshots | deltas | sent to a cell (kB) |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.1f | %.0f | %d | %d | %.1f |\n",
			p.Name, p.Seconds, p.ControllerCPU, p.FleetCPU, p.Memory.RSS, p.Snapshots, p.Deltas, p.BytesPerCell/1e3)
	}
	b.WriteString("\n" + r.planning())
	return b.String()
}

// planning says what an operator can reckon with.
func (r Result) planning() string {
	per := func(name string, n int) float64 {
		for _, p := range r.Phases {
			if p.Name == name && n > 0 {
				return p.ControllerCPU * 1e3 / float64(n)
			}
		}
		return 0
	}
	snapshot, steady := 0.0, 0.0
	for _, p := range r.Phases {
		if p.Name == firstConnect {
			snapshot, steady = p.BytesPerCell, p.Memory.RSS
		}
	}
	cells := float64(r.Cells)
	return fmt.Sprintf("So %d cells need a controller with %.0f MiB (%.2f for each cell with its %d containers), %.0f MiB at the highest. It sends a cell %.0f kB when that connects for the first time, which takes %.1f ms of CPU time, and %.1f ms when it comes back with the table that it has; "+
		"a policy changed takes %.1f ms of it, a container replaced %.2f ms.\n",
		r.Cells, steady, steady/cells, r.Containers/r.Cells, r.peak(), snapshot/1e3, per(firstConnect, r.Cells), per(coldStart, r.Cells), per(policyChanges, r.Change.N), per(churn, r.Churn.N))
}
