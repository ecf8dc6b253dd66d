package scale

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// TestFreshPolicies are each another, none is the scene's, each concerns a cell,
// and none one of those that are to be spared.
func TestFreshPolicies(t *testing.T) {
	c := newCluster(50)
	spared := []int{3, 7, 11}
	seen := map[api.PolicyBody]bool{}
	for _, p := range c.policies() {
		seen[p] = true
	}
	for _, p := range append(c.fresh(200, nil), c.fresh(100, spared)...) {
		number := slices.Index(c.Apps, p.Destination.ID)
		if number < 0 || len(c.hosts[number]) == 0 || !slices.Contains(c.Apps, p.Source.ID) {
			t.Fatalf("%+v concerns no cell", p)
		}
	}
	for _, p := range c.fresh(100, spared) {
		if seen[p] {
			t.Fatalf("%+v is there twice", p)
		}
		seen[p] = true
		for _, cell := range c.hosts[slices.Index(c.Apps, p.Destination.ID)] {
			if slices.Contains(spared, cell) {
				t.Fatalf("%+v concerns cell %d", p, cell)
			}
		}
	}
}

// TestCells: each has its containers, one of the popular app, and a tunnel end of
// its own outside the overlay.
func TestCells(t *testing.T) {
	c := newCluster(300)
	vteps := map[string]bool{}
	for i, cell := range c.cells() {
		last := cell.Containers[len(cell.Containers)-1]
		if string(cell.ID) != scene.CellID(i) || len(cell.Containers) < 101 || last.App != popular {
			t.Fatalf("cell %d is %s with %d containers, the last one of %s", i, cell.ID, len(cell.Containers), last.App)
		}
		vteps[cell.VTEP.String()] = true
	}
	if len(vteps) != 300 {
		t.Errorf("300 cells have %d tunnel ends", len(vteps))
	}
	if first, last := vtep(0).String(), vtep(70_000).String(); first != "172.16.0.1" || last != "172.17.17.113" {
		t.Errorf("from %s to %s", first, last)
	}
}

// TestReport: the figures reach the line and the file, under their names.
func TestReport(t *testing.T) {
	r := Result{
		Cells: 1000, Containers: 101_000, ColdStart: 9.14, Change: gauge.Spread{N: 400, Min: 1, P50: 2, P99: 12.34, Max: 15}, Churn: gauge.Spread{N: 59_000, Min: 1, P50: 3, P99: 33.3, Max: 80}, Popular: gauge.Spread{N: 20, Min: 100, P50: 150, P99: 290.04, Max: 300},
		Stuck: gauge.Spread{N: 1, Min: 1, P50: 1, P99: 1, Max: 1},
		Phases: []Phase{
			{Name: firstConnect, Memory: gauge.Memory{RSS: 700, Peak: 842.4}, Snapshots: 1000, ControllerCPU: 12, BytesPerCell: 711_000, Seconds: 8},
			{Name: coldStart, Memory: gauge.Memory{RSS: 500, Peak: 600}, Snapshots: 1000, ControllerCPU: 6, BytesPerCell: 200},
			{Name: policyChanges, ControllerCPU: 1, Memory: gauge.Memory{Peak: 801}}, {Name: churn, ControllerCPU: 20},
		},
	}
	const want = "change_p99_ms=12.3 churn_p99_ms=33.3 cold_start_s=9.1 controller_rss_mb=842 popular_p99_ms=290.0"
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
	for _, part := range []string{"before " + reportBegin, reportEnd + " after", "| `change_p99_ms` | 12.3 | at most 100 | 2.0 | 15.0 | 400 |", "1000 cells", "| cold start | ", "(charts/fleet.svg)",
		"1000 cells need a controller with 700 MiB (0.70 for each cell with its 101 containers), 842 MiB at the highest. It sends a cell 711 kB when that connects for the first time, which takes 12.0 ms of CPU time, and 6.0 ms when it comes back with the table that it has; a policy changed takes 2.5 ms of it, a container replaced 0.34 ms."} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(filepath.Dir(path), "charts", "fleet.svg")); err != nil || !strings.Contains(string(svg), "12.3 ms") {
		t.Errorf("chart: %v\n%s", err, svg)
	}
}
