package scale

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weft-sdn/weft/testbed/bench"
)

// Result is everything that one run measured.
type Result struct {
	Cells, Containers, Apps, Policies int

	FirstConnect float64 // seconds until all agents had acknowledged their first snapshot
	Ready        float64 // seconds from the start of the controller until it listens, with everything in its database
	ColdStart    float64 // seconds from the same until all agents have acknowledged their snapshots
	Change       Spread  // one policy added or removed
	Popular      Spread  // one policy toward an app on every cell
	PopularFirst float64 // seconds for the first 1,000 of them, in one request
	Stuck        Spread  // one policy, while some agents are stuck
	StuckAgents  int     // that do not read; as many are slow
	StuckGrowth  float64 // MiB that the controller's memory grew by meanwhile
	Churn        Spread  // one container replaced by another
	ChurnRate    float64 // of them a second
	ChurnLost    int     // that nobody waited for: the same container was replaced again before
	Phases       []Phase
}

// Spread describes how long something took, in milliseconds.
type Spread struct {
	N             int
	P50, P99, Max float64
}

func (s Spread) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, most %.2f ms of %d", s.P50, s.P99, s.Max, s.N)
}

func spreadOf(took []time.Duration) Spread {
	if len(took) == 0 {
		return Spread{}
	}
	slices.Sort(took)
	at := func(percent int) float64 { return milliseconds(took[min(len(took)-1, len(took)*percent/100)]) }
	return Spread{N: len(took), P50: at(50), P99: at(99), Max: at(100)}
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// Phase is what one part of the run took.
type Phase struct {
	Name           string
	Seconds        float64
	ControllerCPU  float64 // seconds
	FleetCPU       float64 // seconds
	ControllerRSS  float64 // MiB, at its end
	ControllerPeak float64 // MiB, the most since the process started
	FleetRSS       float64 // MiB, at its end
	BytesPerCell   float64 // that the controller has sent on its stream
	Snapshots      int64
	Deltas         int64
	Broken         int64 // streams that ended or could not be opened
}

func (p Phase) String() string {
	return fmt.Sprintf("%.1f s; CPU: controller %.1f s, fleet %.1f s; the controller has %.0f MiB (at most %.0f), the fleet %.0f; %d snapshots, %d deltas, %.1f kB a cell",
		p.Seconds, p.ControllerCPU, p.FleetCPU, p.ControllerRSS, p.ControllerPeak, p.FleetRSS, p.Snapshots, p.Deltas, p.BytesPerCell/1e3)
}

// peak is the most memory of the controller at any moment, in MiB.
func (r Result) peak() float64 {
	peak := 0.0
	for _, p := range r.Phases {
		peak = max(peak, p.ControllerPeak)
	}
	return peak
}

// figure is one number under the name by which programs read it.
type figure struct {
	key    string
	value  float64
	digits int
	target string // for 1,000 cells
	spread Spread // zero for what is measured once
	what   string
}

func (r Result) figures() []figure {
	return []figure{
		{"change_p99_ms", r.Change.P99, 1, "at most 100", r.Change, "one policy added or removed, until all cells that it concerns have acknowledged it (ms)"},
		{"churn_p99_ms", r.Churn.P99, 1, "at most 200", r.Churn, fmt.Sprintf("one container replaced by another, from the report until the delta is acknowledged, at %.0f a second (ms)", r.ChurnRate)},
		{"cold_start_s", r.ColdStart, 1, "at most 30", Spread{}, "from the controller's start until every agent has acknowledged its snapshot (s)"},
		{"controller_rss_mb", r.peak(), 0, "at most 1024", Spread{}, "the controller's memory at its highest (MiB)"},
		{"popular_p99_ms", r.Popular.P99, 1, "at most 300", r.Popular, "one source more or fewer of an app on every cell that 1,000 may reach, until all cells have acknowledged it (ms)"},
		{"stuck_p99_ms", r.Stuck.P99, 1, "as `change_p99_ms`", r.Stuck, fmt.Sprintf("as `change_p99_ms`, while %d other agents do not read and %d acknowledge after 5 s (ms)", r.StuckAgents, r.StuckAgents)},
		{"stuck_growth_mb", r.StuckGrowth, 0, "0", Spread{}, "what the controller's memory grows by meanwhile (MiB)"},
	}
}

// lineFigures is how many of the figures are in Line.
const lineFigures = 5

// Line is the result in one line, for programs.
func (r Result) Line() string {
	var words []string
	for _, f := range r.figures()[:lineFigures] {
		words = append(words, fmt.Sprintf("%s=%.*f", f.key, f.digits, f.value))
	}
	return strings.Join(words, " ")
}

// The generated part of the report is between these lines.
const (
	reportBegin = "<!-- scale: written by make bench-scale -->"
	reportEnd   = "<!-- end of scale -->"
)

// WriteReport rewrites the generated part of a file such as
// docs/performance.md and leaves the rest of it alone.
func WriteReport(path string, r Result, now time.Time) error {
	return bench.RewritePart(path, reportBegin, reportEnd, r.markdown(now))
}

// markdown is the result as a person reads it.
func (r Result) markdown(now time.Time) string {
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
			p.Name, p.Seconds, p.ControllerCPU, p.FleetCPU, p.ControllerRSS, p.Snapshots, p.Deltas, p.BytesPerCell/1e3)
	}
	return b.String()
}
