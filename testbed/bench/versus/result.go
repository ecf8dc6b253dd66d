package versus

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// Keep adds what was measured to a JSON file that may have other scenes, and
// returns all, smallest first: a run need not measure every scene again.
func Keep(path string, measured []Scene) ([]Scene, error) {
	var all []Scene
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("results of earlier runs in %s (remove the file to begin anew): %w", path, err)
	}
	for _, s := range measured {
		at := slices.IndexFunc(all, func(old Scene) bool { return old.Name == s.Name })
		if at < 0 {
			all = append(all, s)
			continue
		}
		if s.OVN == nil { // an older figure is better than none
			s.OVN = all[at].OVN
		}
		all[at] = s
	}
	slices.SortFunc(all, func(a, b Scene) int { return cmp.Compare(place(a), place(b)) })
	text, err = json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, err
	}
	return all, os.WriteFile(path, append(text, '\n'), 0o644)
}

// place orders scenes by size.
func place(s Scene) int {
	return slices.IndexFunc(scene.Sizes, func(size scene.Size) bool { return size.Name == s.Name })
}

// Line is what was measured in one line, for programs: of scene L where the key
// does not say another. What was not measured is left out. A policy change is an
// add or a remove, whichever has the larger percentile.
func Line(scenes []Scene) string {
	var words []string
	say := func(key string, digits int, value float64) {
		words = append(words, fmt.Sprintf("%s=%.*f", key, digits, value))
	}
	for _, s := range scenes {
		if s.Name == main.Name {
			s.figures(say)
		}
	}
	for _, s := range scenes {
		if s.Weft != nil && (s.Name == scene.S.Name || s.Name == scene.XL.Name) {
			say("weft_p50_ms_"+strings.ToLower(s.Name), 2, s.Weft.Changes().P50)
		}
	}
	return strings.Join(words, " ")
}

// figures says those of one scene.
func (s Scene) figures(say func(key string, digits int, value float64)) {
	w, o := s.Weft, s.OVN
	if w != nil {
		say("weft_p50_ms", 2, w.Changes().P50)
		say("weft_p99_ms", 2, w.Changes().P99)
	}
	if o != nil {
		say("ovn_p50_ms", 2, o.Changes().P50)
	}
	if w != nil && o != nil {
		say("ratio_p50", 1, o.Changes().P50/w.Changes().P50)
	}
	if w != nil {
		say("weft_flows", 0, float64(w.Flows))
	}
	if o != nil {
		say("ovn_flows", 0, float64(o.Flows))
	}
	if w != nil {
		say("agent_rss_mb", 1, agentMemory(*w))
		say("controller_rss_mb", 1, centralMemory(*w))
		say("cpu_ms_per_change", 2, w.CPUPerChange())
	}
	if s.MariaDB != nil {
		say("weft_p50_ms_mariadb", 2, s.MariaDB.Changes().P50)
	}
}

// bySize are the programs that used any CPU time, those that used most first.
func bySize(cpu map[string]float64) []string {
	names := slices.SortedFunc(maps.Keys(cpu), func(a, b string) int {
		return cmp.Or(cmp.Compare(cpu[b], cpu[a]), cmp.Compare(a, b))
	})
	return slices.DeleteFunc(names, func(name string) bool { return cpu[name] < 0.05 })
}
