package controller_test

import (
	"testing"

	"github.com/weft-sdn/weft/api"
)

// TestPatches: an agent that takes patches is sent what changed of a fragment,
// what it missed meanwhile as one patch, and an older agent the whole fragment.
func TestPatches(t *testing.T) {
	b := start(t)
	a, older := b.cellNumber(1, on(1, 1, "back")), b.cellNumber(2, on(2, 1, "back"))
	older.older = true
	older.open("192.0.2.2", on(2, 1, "back"))
	b.settled(map[*agent]string{a: "back", older: "back"})
	for port := range uint16(10) {
		b.allow("front", "back", 8000+port)
		a.next()
		older.next()
	}
	change := func(what string, add, remove, rules int, change func()) {
		t.Helper()
		change()
		msg := a.next()
		if len(msg.Patch) != 1 || len(msg.Set) > 0 || len(msg.Patch[0].Add) != add || len(msg.Patch[0].Remove) != remove {
			t.Errorf("%s came as %+v", what, msg)
		}
		older.until(func() bool { return older.last.Hash != "" && older.rules("back") == rules })
		if len(older.last.Patch) > 0 || len(older.last.Set) != 1 {
			t.Errorf("%s came to the older agent as %+v", what, older.last)
		}
		if got := a.rules("back"); got != rules {
			t.Errorf("after %s there are %d rules, want %d", what, got, rules)
		}
	}
	change("one policy", 1, 0, 11, func() { b.allow("front", "back", 9000) })
	change("one revoked", 0, 1, 10, func() { b.revoke("front", "back", 9000) })
	change("several, unread", 1, 1, 10, func() {
		b.allow("front", "back", 9001)
		b.allow("front", "back", 9002)
		b.revoke("front", "back", 9001)
		b.revoke("front", "back", 8000)
	})
	all := b.revoke("front", "back", 9002)
	a.next()
	if len(a.last.Patch) != 1 || a.last.Revision != uint64(all) {
		t.Errorf("the last came as %+v", a.last)
	}
	for port := range uint16(9) {
		b.revoke("front", "back", 8001+port)
	}
	if a.until(func() bool { return a.rules("back") == 0 }); len(a.last.Patch)+len(a.last.Set) > 0 || len(a.last.Remove) != 1 {
		t.Errorf("the end came as %+v", a.last)
	}
}

// TestPatchIsNotLargerThanTheFragment: where most flows change, the fragment is
// sent.
func TestPatchIsNotLargerThanTheFragment(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 1, "back"))
	b.settled(map[*agent]string{a: "back"})
	b.allow("front", "back", 8000)
	a.next()
	if err := a.report([]api.Endpoint{on(1, 2, "back")}, "c1"); err != nil {
		t.Fatal(err)
	}
	a.next()
	b.revoke("front", "back", 8000)
	b.allow("other", "back", 9000)
	if a.until(func() bool { return a.last.Revision > 0 && a.rules("back") == 1 && len(a.last.Remove) == 0 }); len(a.last.Patch) > 0 {
		t.Errorf("came as %+v", a.last)
	}
}
