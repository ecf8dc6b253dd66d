package versus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// today is when the run of the examples began.
var today = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// example has one scene with everything, and one that was measured of Weft only.
func example() []Scene {
	weft := gauge.Figures{System: "Weft", Run: today, Flows: 1900, RestartLowest: 1900,
		PolicyAdd: gauge.Spread{N: 200, P50: 2, P99: 14}, PolicyDel: gauge.Spread{N: 200, P50: 2.5, P99: 9},
		RemoteAdd: gauge.Spread{N: 30, P50: 1}, Restart: gauge.Spread{N: 5, P50: 80}, NewCell: gauge.Spread{N: 3, P50: 100},
		CPU:    map[string]float64{"weft-controller": 1.5, "weft-agent": 1, "ovsdb-server": 0},
		Memory: map[string]gauge.Memory{"weft-agent": {RSS: 30}, "weft-controller": {RSS: 120}}}
	ovn := gauge.Figures{System: "OVN 23.03.1", Run: today, Flows: 52455, RestartLowest: 52000,
		PolicyAdd: gauge.Spread{N: 20, P50: 1000, P99: 1500}, PolicyDel: gauge.Spread{N: 20, P50: 900, P99: 1200},
		RemoteAdd: gauge.Spread{N: 7, P50: 1856}, RemoteFlows: 20,
		Memory: map[string]gauge.Memory{"ovn-controller": {RSS: 240}, "ovn-northd": {RSS: 300}, "ovsdb-server (southbound)": {RSS: 400}}}
	maria := gauge.Figures{PolicyAdd: gauge.Spread{P50: 3.5}, PolicyDel: gauge.Spread{P50: 3.75}}
	largest := gauge.Figures{System: "Weft", Run: today, PolicyAdd: gauge.Spread{P50: 2.75}, Flows: 25000}
	return []Scene{{Size: scene.L, OVN: &ovn, Weft: &weft, MariaDB: &maria}, {Size: scene.XL, Weft: &largest}}
}

// TestLine: the figures reach the line, under their names; what was not measured
// is not in it.
func TestLine(t *testing.T) {
	const want = "weft_p50_ms=2.50 weft_p99_ms=14.00 ovn_p50_ms=1000.00 ratio_p50=400.0 weft_flows=1900 ovn_flows=52455 " +
		"agent_rss_mb=30.0 controller_rss_mb=120.0 cpu_ms_per_change=2.50 weft_p50_ms_mariadb=3.75 weft_p50_ms_xl=2.75"
	if got := Line(example()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := Line(example()[1:]); got != "weft_p50_ms_xl=2.75" {
		t.Errorf("of XL alone: %s", got)
	}
}

// TestReport: tables and charts are written, with what misses its target in
// bold, and the rest of the file stays.
func TestReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(path, []byte("before "+reportBegin+" old "+reportEnd+" after"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteReport(path, example()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"before " + reportBegin, reportEnd + " after", "![Flows on the cell, by scene (policies)](charts/flows.svg)",
		"**L: 1,000 apps, 10,000 containers on 100 cells, 100 of them on the measured one, 10,000 policies**",
		"| | target | Weft, 2026-11-28 | OVN 23.03.1, 2026-11-28 | ÷ Weft | OVN 26.03.2, quoted |",
		"| policy added, median (ms) | at most 3 | 2.00 | 1,000 | 500 | 126 |",
		"| policy added, 99th percentile (ms) | at most 12 | **14.0** | 1,500 | 107 | 169 |",
		"| flows that it changes on this cell | 0 | 0 | 20.0 |  |  |",
		"| flows missing meanwhile, at most | 0 | 0 | 455 |  | 0 |",
		"| memory of what runs once for all cells (MiB) | at most 150 | 120 | 700 | 5.83 | 1,001 |",
		"Weft: weft-controller 1.5, weft-agent 1.0; OVN 23.03.1: ", "added in 3.50 ms and removed in 3.75 ms",
		"| flows on the cell | at most 26,000 | 25,000 |  |  | 1,048,891 |", howQuoted,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if svg, err := os.ReadFile(filepath.Join(filepath.Dir(path), "charts/policy.svg")); err != nil || !strings.Contains(string(svg), "OVN 23.03.1") {
		t.Errorf("the chart of policies: %v\n%s", err, svg)
	}
}

// TestKeep: a run replaces what it measured, and nothing else; an older figure
// of OVN stays, but there is no ratio of two runs.
func TestKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ovn.json")
	if _, err := Keep(path, example()); err != nil {
		t.Fatal(err)
	}
	small, again := Scene{Size: scene.S, Weft: &gauge.Figures{Flows: 7}}, example()[0]
	again.OVN, again.Weft.Run, again.Weft.Flows = nil, today.Add(time.Hour), 1800
	all, err := Keep(path, []Scene{again, small})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || all[0].Name != "S" || all[1].Name != "L" || all[2].Name != "XL" {
		t.Fatalf("%+v", all)
	}
	if all[1].Weft.Flows != 1800 || all[1].OVN == nil || all[1].OVN.Flows != 52455 {
		t.Errorf("%+v, %+v", all[1].Weft, all[1].OVN)
	}
	if text := Tables(all); !strings.Contains(text, "| flows on the cell | at most 2,000 | 1,800 | 52,455 |  | 82,533 |") {
		t.Errorf("figures of two runs:\n%s", text)
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Keep(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("of a broken file: %v", err)
	}
}

func TestScenes(t *testing.T) {
	sizes, err := Options{Scenes: []string{"L", "S", "L"}}.sizes()
	if err != nil || len(sizes) != 2 || sizes[0] != scene.S || sizes[1] != scene.L {
		t.Errorf("%+v, %v", sizes, err)
	}
	if _, err := (Options{Scenes: []string{"S", "XXL"}}).sizes(); err == nil || !strings.Contains(err.Error(), `"XXL"`) {
		t.Errorf("of a scene that is none: %v", err)
	}
}
