package datapath

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSpreadInterpolates(t *testing.T) {
	got := spreadOf([]float64{4, 1, 3, 2})
	if want := (Spread{Min: 1, Q1: 1.75, Median: 2.5, Q3: 3.25, Max: 4}); got != want {
		t.Errorf("spread of 1, 2, 3, 4: %+v, want %+v", got, want)
	}
	if got := spreadOf([]float64{7}); got != (Spread{7, 7, 7, 7, 7}) {
		t.Errorf("spread of 7: %+v", got)
	}
}

// TestMoreIsBetterForWeft: a ratio is of neighbours, and below 1 when Weft is
// the slower one, whatever is measured.
func TestMoreIsBetterForWeft(t *testing.T) {
	rate := compare(throughput, []float64{50, 200}, []float64{100, 100})
	if rate.Ratio.Min != 0.5 || rate.Ratio.Max != 2 {
		t.Errorf("throughput 50 and 200 against 100: ratios %+v, want 0.5 and 2", rate.Ratio)
	}
	delay := compare(roundTrip, []float64{50, 200}, []float64{100, 100})
	if delay.Ratio.Min != 0.5 || delay.Ratio.Max != 2 {
		t.Errorf("round trips of 50 and 200 against 100: ratios %+v, want 2 and 0.5", delay.Ratio)
	}
}

// TestSamplesAlternate: neither side is always first.
func TestSamplesAlternate(t *testing.T) {
	var order []string
	sampler := func(name string) func() (float64, error) {
		return func() (float64, error) {
			order = append(order, name)
			return float64(len(order)), nil
		}
	}
	c, err := Options{Pairs: 3, Say: t.Logf}.alternate(throughput, sides{sampler("A"), sampler("B")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "A B B A A B B A"; got != want {
		t.Errorf("sampled %s, want %s", got, want)
	}
	if c.Weft.Min != 4 || c.Weft.Max != 8 || c.Baseline.Min != 3 {
		t.Errorf("the first pair counts, or sides are mixed up: %+v", c)
	}
}

func TestOnlyIPv4FlowsCount(t *testing.T) {
	dump := `ufid:1, recirc_id(0),eth_type(0x0800),ipv4(frag=no), packets:3, actions:ct(zone=7),recirc(0x1)
ufid:2, recirc_id(0),eth_type(0x86dd), packets:0, actions:drop
ufid:3, recirc_id(0x1),eth_type(0x0800),ipv4(frag=no), packets:3, actions:4
`
	if got := countIPv4(dump); got != 2 {
		t.Errorf("counted %d flows, want 2", got)
	}
}

// TestReportKeepsTheRest: only the part between the marks changes, and not
// that of make bench.
func TestReportKeepsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	around := [2]string{"# Performance\n\n<!-- figures: written by make bench -->\nold\n<!-- end of figures -->\n\n", "\n\n## More\n"}
	if err := os.WriteFile(path, []byte(around[0]+reportBegin+"\nold\n"+reportEnd+around[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	r := Result{Pairs: 15}
	r.RTT.Ratio.Median = 0.987
	if err := WriteReport(path, r, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.HasPrefix(text, around[0]+reportBegin) || !strings.HasSuffix(text, reportEnd+around[1]) {
		t.Errorf("the rest of the file changed:\n%s", text)
	}
	if strings.Count(text, "old") != 1 || !strings.Contains(text, "`rtt_ratio` | 0.987 ") {
		t.Errorf("the figures are not there, or the old ones are:\n%s", text)
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteReport(path, r, time.Unix(0, 0)); err == nil {
		t.Error("a file without marks was written")
	}
}

func TestLineHasAllFigures(t *testing.T) {
	r := Result{Megaflows: Megaflows{Sender: 4, Receiver: 5}}
	r.Throughput.Ratio.Median, r.CPS.Ratio.Median, r.RTT.Ratio.Median = 0.97, 0.9904, 1.008
	if got, want := r.Line(), "throughput_ratio=0.970 cps_ratio=0.990 rtt_ratio=1.008 megaflows=9"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	data, err := json.Marshal(r)
	var back Result
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil || back != r {
		t.Errorf("JSON %s reads back as %+v, %v", data, back, err)
	}
}
