package policyapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// TestSize: as many policies as we say, each another, of as many apps; and
// each app has the number that its filtered list is expected to have.
func TestSize(t *testing.T) {
	seen := map[api.PolicyBody]bool{}
	named := map[string]int{}
	for number := range policies + uncounted + createSamples {
		p := policy(number)
		if seen[p] {
			t.Fatalf("policy %d is there twice: %+v", number, p)
		}
		seen[p] = true
		if number < policies {
			named[p.Source.ID]++
			named[p.Destination.ID]++
		}
		if named[p.Source.ID] == 0 || named[p.Destination.ID] == 0 {
			t.Fatalf("policy %d is of an app that has no others: %+v", number, p)
		}
	}
	if len(named) != apps {
		t.Errorf("%d apps, want %d", len(named), apps)
	}
	for app, n := range named {
		if n != 2*perApp {
			t.Fatalf("%d policies name %s, want %d", n, app, 2*perApp)
		}
	}
}

// TestCounter: a policy counts once, wherever the answer is cut.
func TestCounter(t *testing.T) {
	var payload api.PoliciesPayload
	if err := json.Unmarshal(bodyOf(0, 5), &payload); err != nil || len(payload.Policies) != 5 {
		t.Fatalf("%+v, %v", payload, err)
	}
	body := bodyOf(0, 5)
	for step := 1; step <= len(body); step++ {
		var c counter
		for rest := body; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			if n, err := c.Write(rest[:min(step, len(rest))]); err != nil || n != min(step, len(rest)) {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		if c.policies != 5 || c.size != len(body) {
			t.Errorf("in pieces of %d: counted %d in %d bytes, want 5 in %d", step, c.policies, c.size, len(body))
		}
	}
}

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{4, 1, 3, 2, 5}), (Spread{Min: 1, P50: 3, P95: 5, Max: 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestReport: the figures reach the line and the file, under their names.
func TestReport(t *testing.T) {
	r := Result{
		Apps: apps, Policies: policies, LoadPerSecond: 5123.4, PeakMiB: 212.4, ListBytes: 10_100_000,
		Create: Spread{P50: 1.234, Max: 9}, CreateMySQL: Spread{P50: 4.2}, List: Spread{P50: 61.26}, Filter: Spread{P50: 0.512},
	}
	const want = "load_per_s=5123 create_p50_ms=1.23 create_mysql_p50_ms=4.20 list_p50_ms=61.3 filter_p50_ms=0.51 rss_mb=212"
	if got := r.Line(); got != want {
		t.Errorf("line %s\nwant %s", got, want)
	}
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(path, []byte("before "+reportBegin+" old "+reportEnd+" after"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteReport(path, r, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"before " + reportBegin, reportEnd + " after", "| `create_p50_ms` | 1.23 | under 5 | 0.00 | 0.00 | 9.00 |", "20000 apps"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}
