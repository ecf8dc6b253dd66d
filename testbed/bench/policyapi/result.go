package policyapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weft-sdn/weft/testbed/bench"
)

// Result is everything that one run measured.
type Result struct {
	Apps, Policies     int
	LoadPerSecond      float64 // policies, in requests of 600, 4 at a time, from none
	Create             Spread  // one policy, among all of them
	List               Spread  // all policies, to the last byte
	ListBytes          int
	Filter             Spread  // the policies of one app
	PeakMiB            float64 // the controller's memory at any moment of these
	LoadMySQLPerSecond float64 // the same on MariaDB
	CreateMySQL        Spread
}

// Spread describes how long something took, in milliseconds.
type Spread struct{ Min, P50, P95, Max float64 }

func (s Spread) String() string {
	return fmt.Sprintf("p50 %.2f ms (least %.2f, p95 %.2f, most %.2f)", s.P50, s.Min, s.P95, s.Max)
}

// spreadOf describes at least one number.
func spreadOf(numbers []float64) Spread {
	sorted := slices.Sorted(slices.Values(numbers))
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1)+0.5)] }
	return Spread{Min: at(0), P50: at(0.5), P95: at(0.95), Max: at(1)}
}

// figure is one number under the name by which programs read it.
type figure struct {
	key    string
	value  float64
	digits int
	target string
	spread Spread // zero for what is measured once
	what   string
}

func (r Result) figures() []figure {
	return []figure{
		{"load_per_s", r.LoadPerSecond, 0, "at least 5000", Spread{}, "policies added a second, from none, in requests of 600, 4 at a time"},
		{"create_p50_ms", r.Create.P50, 2, "under 5", r.Create, "one create (ms), durable in SQLite"},
		{"create_mysql_p50_ms", r.CreateMySQL.P50, 2, "under 10", r.CreateMySQL, "the same on MariaDB (ms)"},
		{"list_p50_ms", r.List.P50, 1, "under 100", r.List, fmt.Sprintf("the list of all policies, %.1f MB, to its last byte (ms)", float64(r.ListBytes)/1e6)},
		{"filter_p50_ms", r.Filter.P50, 2, "under 2", r.Filter, "the list filtered by one app (ms)"},
		{"rss_mb", r.PeakMiB, 0, "under 300", Spread{}, "the controller's memory at its highest (MiB), over all of these and 4 full lists at once"},
	}
}

// Line is the result in one line, for programs.
func (r Result) Line() string {
	var words []string
	for _, f := range r.figures() {
		words = append(words, fmt.Sprintf("%s=%.*f", f.key, f.digits, f.value))
	}
	return strings.Join(words, " ")
}

// The generated part of the report is between these lines.
const (
	reportBegin = "<!-- policy api: written by make bench-api -->"
	reportEnd   = "<!-- end of policy api -->"
)

// WriteReport rewrites the generated part of a file such as
// docs/performance.md and leaves the rest of it alone.
func WriteReport(path string, r Result, now time.Time) error {
	return bench.RewritePart(path, reportBegin, reportEnd, r.markdown(now))
}

// markdown is the result as a person reads it.
func (r Result) markdown(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s, with %d apps and %d policies.\n\n", now.UTC().Format("2006-01-02"), bench.Machine(), r.Apps, r.Policies)
	b.WriteString("| figure | | target | least | p95 | most | what |\n|---|---:|---:|---:|---:|---:|---|\n")
	for _, f := range r.figures() {
		fmt.Fprintf(&b, "| `%s` | %.*f | %s | ", f.key, f.digits, f.value, f.target)
		if s := f.spread; s.Max > 0 {
			fmt.Fprintf(&b, "%.2f | %.2f | %.2f", s.Min, s.P95, s.Max)
		} else {
			b.WriteString("| |")
		}
		fmt.Fprintf(&b, " | %s |\n", f.what)
	}
	fmt.Fprintf(&b, "\nLoading MariaDB in the same way: %.0f policies a second.\n", r.LoadMySQLPerSecond)
	return b.String()
}
