package scene

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
)

// TestSameSizeSameScene: figures of two runs are about the same cluster.
func TestSameSizeSameScene(t *testing.T) {
	for _, size := range append([]Size{Fleet(50)}, Sizes...) {
		if a, b := size.Build(), size.Build(); !reflect.DeepEqual(a, b) || !reflect.DeepEqual(a.NewPolicies(100), b.NewPolicies(100)) {
			t.Errorf("%s: two different scenes", size.Name)
		}
	}
}

// TestSceneIsPinned: nor does it change with a release of ours or of Go.
func TestSceneIsPinned(t *testing.T) {
	s := S.Build()
	const want = "df9ac6095c07b99f"
	if got := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, s, s.NewPolicies(10))))[:16]; got != want {
		t.Errorf("scene S has changed: %s, want %s. Figures of earlier runs are about another cluster", got, want)
	}
}

// TestCountsAreExact: as many of everything as the size says, containers dealt
// out evenly, each cell's numbered from 0.
func TestCountsAreExact(t *testing.T) {
	for _, size := range append([]Size{Fleet(1), Fleet(50), Fleet(1000)}, Sizes...) {
		t.Run(size.Name, func(t *testing.T) { counts(t, size) })
	}
}

func counts(t *testing.T, size Size) {
	s := size.Build()
	if len(s.Apps) != size.Apps || len(s.Containers) != size.Containers || len(s.Policies) != size.Policies {
		t.Fatalf("%d apps, %d containers, %d policies; want %+v", len(s.Apps), len(s.Containers), len(s.Policies), size)
	}
	on, ids, place := make([]int, size.Cells), map[string]bool{}, map[[2]int]bool{}
	for i, c := range s.Containers {
		if c.App != i%size.Apps {
			t.Fatalf("container %d is of app %d, want %d", i, c.App, i%size.Apps)
		}
		on[c.Cell]++
		ids[c.ID], place[[2]int{c.Cell, c.Index}] = true, true
	}
	if len(ids) != size.Containers || len(place) != size.Containers {
		t.Errorf("%d containers have %d ids and %d places", size.Containers, len(ids), len(place))
	}
	if on[0] != size.Local {
		t.Errorf("%d containers on the measured cell, want %d", on[0], size.Local)
	}
	for cell, n := range on[1:] {
		if even := (size.Containers - size.Local) / (size.Cells - 1); n != even && n != even+1 {
			t.Errorf("%s has %d containers, the others %d", CellID(cell+1), n, even)
		}
	}
	for p := range place {
		if p[1] >= on[p[0]] {
			t.Fatalf("%s has %d containers, and one is number %d", CellID(p[0]), on[p[0]], p[1])
		}
	}
}

// TestPoliciesAreDistinct: those that are added to measure are new as well, and
// reach an app that runs on the measured cell.
func TestPoliciesAreDistinct(t *testing.T) {
	for _, size := range Sizes {
		s := size.Build()
		local := map[int]bool{}
		for _, app := range s.LocalApps() {
			local[app] = true
		}
		added, seen := s.NewPolicies(1000), map[Policy]bool{}
		for _, p := range append(added, s.Policies...) {
			if seen[p] || p.From >= size.Apps || p.To >= size.Apps {
				t.Fatalf("%s: %+v is there twice, or of no app", size.Name, p)
			}
			seen[p] = true
		}
		for _, p := range added {
			if !local[p.To] {
				t.Fatalf("%s: %+v reaches an app that is not on the measured cell", size.Name, p)
			}
		}
	}
}

// TestFleet: the size that is promised, and five times as many cells.
func TestFleet(t *testing.T) {
	if got, want := Fleet(1000), (Size{"fleet", 20_000, 100_000, 1000, 100, 60_000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := Fleet(5000), (Size{"fleet", 20_000, 500_000, 5000, 100, 60_000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
