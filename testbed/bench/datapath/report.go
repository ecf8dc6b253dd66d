package datapath

import (
	"fmt"
	"strings"
	"time"

	"github.com/weft-sdn/weft/testbed/bench"
)

// The generated part of the report is between these lines.
const (
	reportBegin = "<!-- datapath: written by make bench-datapath -->"
	reportEnd   = "<!-- end of datapath -->"
)

// WriteReport rewrites the generated part of a file such as
// docs/performance.md and leaves the rest of it alone.
func WriteReport(path string, r Result, now time.Time) error {
	return bench.RewritePart(path, reportBegin, reportEnd, r.markdown(now))
}

// markdown is the result as a person reads it.
func (r Result) markdown(now time.Time) string {
	var b strings.Builder
	clock := "on a CPU whose clock counts instructions, 2 ns each"
	if r.Wall {
		clock = "by wall clock"
	}
	fmt.Fprintf(&b, "Measured %s, %s: medians of %d pairs of samples; quartiles and extremes are the ratio's.\n\n", now.UTC().Format("2006-01-02"), clock, r.Pairs)
	b.WriteString("| figure | ratio | quartiles | extremes | weft | hand-written | what |\n|---|---:|---:|---:|---:|---:|---|\n")
	for _, row := range []struct {
		key, what string
		Comparison
	}{
		{"throughput_ratio", "one TCP stream (iperf3)", r.Throughput},
		{"cps_ratio", "TCP connections opened, used for one byte each way and closed, 4 at a time", r.CPS},
		{"rtt_ratio", "median round trip of a datagram; the ratio is hand-written ÷ weft", r.RTT},
	} {
		s := row.Ratio
		fmt.Fprintf(&b, "| `%s` | %.3f | %.3f – %.3f | %.3f – %.3f | %.0f %s | %.0f %s | %s |\n", row.key, s.Median, s.Q1, s.Q3, s.Min, s.Max,
			row.Weft.Median, row.Unit, row.Baseline.Median, row.Unit, row.what)
	}
	m := r.Megaflows
	fmt.Fprintf(&b, "\nFlows in the datapath after %d connections of one app pair (`megaflows` is Weft's sum):\n\n", m.Connections)
	b.WriteString("| | client's cell | server's cell |\n|---|---:|---:|\n")
	fmt.Fprintf(&b, "| weft | %d | %d |\n| hand-written | %d | %d |\n", m.Sender, m.Receiver, m.BaselineSender, m.BaselineReceiver)
	return b.String()
}
