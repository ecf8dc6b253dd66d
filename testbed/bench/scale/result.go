package scale

import (
	"fmt"
	"strings"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
)

// Result is everything that one run measured.
type Result struct {
	Cells, Containers, Apps, Policies int

	FirstConnect float64      // seconds until all agents had acknowledged their first snapshot
	Ready        float64      // seconds from the start of the controller until it listens, with everything in its database
	ColdStart    float64      // seconds from the same until all agents have acknowledged their snapshots
	Change       gauge.Spread // one policy added or removed
	Popular      gauge.Spread // one policy toward an app on every cell
	PopularFirst float64      // seconds for the first 1,000 of them, in one request
	Stuck        gauge.Spread // one policy, while some agents are stuck
	StuckAgents  int          // that do not read; as many are slow
	StuckGrowth  float64      // MiB that the controller's memory grew by meanwhile
	Churn        gauge.Spread // one container replaced by another
	ChurnRate    float64      // of them a second
	ChurnLost    int          // that nobody waited for: the same container was replaced again before
	Phases       []Phase
}

// Phase is what one part of the run took.
type Phase struct {
	Name          string
	Seconds       float64
	ControllerCPU float64      // seconds
	FleetCPU      float64      // seconds
	Memory        gauge.Memory // the controller's, at its end
	BytesPerCell  float64      // that the controller has sent on its stream
	Snapshots     int64
	Deltas        int64
	Broken        int64 // streams that ended or could not be opened
}

func (p Phase) String() string {
	return fmt.Sprintf("%.1f s; CPU: controller %.1f s, fleet %.1f s; the controller has %.0f MiB, at most %.0f; %d snapshots, %d deltas, %.1f kB a cell",
		p.Seconds, p.ControllerCPU, p.FleetCPU, p.Memory.RSS, p.Memory.Peak, p.Snapshots, p.Deltas, p.BytesPerCell/1e3)
}

// peak is the most memory of the controller at any moment, in MiB.
func (r Result) peak() float64 {
	peak := 0.0
	for _, p := range r.Phases {
		peak = max(peak, p.Memory.Peak)
	}
	return peak
}

// slowerStart is the longer of the first connect and the cold start, in seconds.
func (r Result) slowerStart() float64 {
	slower := r.ColdStart
	for _, p := range r.Phases {
		if p.Name == firstConnect {
			slower = max(slower, p.Seconds)
		}
	}
	return slower
}

// figure is one number under the name by which programs read it.
type figure struct {
	key    string
	value  float64
	digits int
	target string       // for 1,000 cells
	spread gauge.Spread // zero for what is measured once
	what   string
}

func (r Result) figures() []figure {
	return []figure{
		{"change_p99_ms", r.Change.P99, 1, "at most 100", r.Change, "one policy added or removed, until all cells that it concerns have acknowledged it (ms)"},
		{"churn_p99_ms", r.Churn.P99, 1, "at most 200", r.Churn, fmt.Sprintf("one container replaced by another, from the report until the delta is acknowledged, at %.0f a second (ms)", r.ChurnRate)},
		{"cold_start_s", r.slowerStart(), 1, "at most 30", gauge.Spread{}, "until every agent has acknowledged its snapshot (s): the first one, or after a restart of the controller, when agents need not be sent the tables that they have; the slower of both"},
		{"controller_rss_mb", r.peak(), 0, "at most 1024", gauge.Spread{}, "the controller's memory at its highest (MiB)"},
		{"popular_p99_ms", r.Popular.P99, 1, "at most 300", r.Popular, "one source more or fewer of an app on every cell that 1,000 may reach, until all cells have acknowledged it (ms)"},
		{"stuck_p99_ms", r.Stuck.P99, 1, "as `change_p99_ms`", r.Stuck, fmt.Sprintf("as `change_p99_ms`, while %d other agents do not read and %d acknowledge after 5 s (ms)", r.StuckAgents, r.StuckAgents)},
		{"stuck_growth_mb", r.StuckGrowth, 0, "0", gauge.Spread{}, "what the controller's memory grows by meanwhile (MiB)"},
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
