package api

import (
	"errors"
	"testing"
)

// TestNobodyTakesAllWatches: who is no administrator leaves some to others.
func TestNobodyTakesAllWatches(t *testing.T) {
	w := watchers{own: map[string]int{}}
	eve, ann := Caller{Subject: "eve-guid", Scopes: []string{ScopeWrite}}, Caller{Subject: "ann-guid", Scopes: []string{ScopeWrite}}
	root := Caller{Name: "root", Scopes: []string{ScopeAdmin}}
	var leaves []func()
	fill := func(who Caller, want int) {
		t.Helper()
		for got := 0; ; got++ {
			leave, err := w.enter(who)
			if err == nil {
				leaves = append(leaves, leave)
				continue
			}
			if !errors.Is(err, ErrUnavailable) || got != want {
				t.Errorf("%+v has %d, want %d: %v", who, got, want, err)
			}
			return
		}
	}
	fill(eve, maxOwnWatchers)
	fill(ann, maxOwnWatchers)
	leaves[0]()
	fill(eve, 1)
	fill(root, maxWatchers-2*maxOwnWatchers)
	for _, leave := range leaves[1:] {
		leave()
	}
	if w.all != 0 || len(w.own) != 0 {
		t.Errorf("left over: %d, %v", w.all, w.own)
	}
	fill(root, maxWatchers)
}
