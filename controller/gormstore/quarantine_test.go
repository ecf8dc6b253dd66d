package gormstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

func assign(t testing.TB, s *Store, apps ...flows.AppID) {
	t.Helper()
	do(t, s, controller.AssignGroups{Apps: apps})
}

// TestOnlyUnnamedIDsAreFreed, whatever the controller believed when it asked.
func TestOnlyUnnamedIDsAreFreed(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("from", "to", 80)}})
		assign(t, s, "idle")
		if got := do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1, 2, 3, 4}}); got != 3 {
			t.Errorf("revision %d", got)
		}
		if got, want := groupsText(state(load(t, s))), "quarantined"; strings.Count(got, want) != 1 || !strings.Contains(got, "idle app 0 quarantined") {
			t.Errorf("groups %s: want idle alone in quarantine", got)
		}
		if got := do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1, 2, 3}}); got != 0 {
			t.Errorf("freeing again is revision %d: its quarantine must not begin anew", got)
		}
	})
}

// TestAppTakesItsIDBack: for a policy as for a container; and what was decided
// of its old stay in quarantine no longer holds.
func TestAppTakesItsIDBack(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		assign(t, s, "zero", "one", "two")
		first := do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1, 2}})
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("one", "new", 80)}})
		assign(t, s, "zero")
		if got, want := groupsText(state(load(t, s))), "[{1 0001 zero app 0 } {2 0002 one app 1 } {3 0003 two app 0 } {4 0004 new app 1 }]"; got != want {
			t.Errorf("groups %s, want %s", got, want)
		}
		stale := controller.ReleaseGroups{Groups: []controller.Freed{{Group: 1, Revision: first}, {Group: 2, Revision: first}, {Group: 3, Revision: first}}}
		if got := do(t, s, stale); got != 0 {
			t.Errorf("ids in use were released in revision %d", got)
		}
		again := do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1}})
		if got := do(t, s, stale); got != 0 || again == first {
			t.Errorf("an id was released in revision %d on the word of an earlier quarantine", got)
		}
		do(t, s, controller.ReleaseGroups{Groups: []controller.Freed{{Group: 1, Revision: again}}})
		assign(t, s, "next", "zero")
		if got := groupsText(state(load(t, s))); !strings.Contains(got, "{1 0001 next ") || !strings.Contains(got, "{5 0005 zero ") {
			t.Errorf("groups %s: want the lowest free id given first", got)
		}
	})
}

// TestExhaustionTellsOfQuarantine: how many ids wait there, and until when; an
// app whose own id is among them is none that finds no id.
func TestExhaustionTellsOfQuarantine(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		o := options()
		o.MaxGroup = 3
		s := open(t, db, o)
		assign(t, s, "one", "two", "three")
		freed := do(t, s, controller.FreeGroups{Groups: []flows.GroupID{2, 3}})
		before := load(t, s)
		_, err := s.Write(t.Context(), controller.AddPolicies{Policies: []api.Policy{policy("two", "four", 80)}})
		for _, want := range []string{"all 3 group ids are taken", "2 of them in quarantine", "released at 2026-01-02T03:09:05Z at the earliest"} {
			if !errors.Is(err, api.ErrExhausted) || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("error %v, want %s", err, want)
			}
		}
		if after := load(t, s); groupsText(state(after)) != groupsText(state(before)) || after.Revision != before.Revision {
			t.Error("the refused request took an id out of quarantine")
		}
		_, err = s.Write(t.Context(), controller.AssignGroups{Apps: []flows.AppID{"four", "three", "zero"}})
		if got := groupsText(state(load(t, s))); !strings.Contains(fmt.Sprint(err), `app "four" stays isolated`) || !strings.Contains(got, "{3 0003 three app 0 }") {
			t.Errorf("groups %s, %v: want its own back for three, behind an app that finds none", got, err)
		}
		do(t, s, controller.ReleaseGroups{Groups: []controller.Freed{{Group: 2, Revision: freed}}})
		assign(t, s, "four")
		if got := groupsText(state(load(t, s))); !strings.Contains(got, "{2 0002 four ") {
			t.Errorf("groups %s", got)
		}
	})
}

// TestLoggingIsKept, and set only when it changes.
func TestLoggingIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		set := func(all bool, apps ...string) controller.SetLogging {
			return controller.SetLogging{Logging: api.Logging{Accepted: all, Apps: apps}, By: "me"}
		}
		for i, each := range []struct {
			cmd  controller.SetLogging
			want api.Revision
		}{{set(false, "cats"), 1}, {set(false, "cats"), 0}, {set(true, "cats"), 2}, {set(true), 3}} {
			if got := do(t, s, each.cmd); got != each.want {
				t.Errorf("write %d: revision %d, want %d", i, got, each.want)
			}
		}
		s = reopen(t, s, db)
		if got := state(load(t, s)).Logging(); !got.Accepted || len(got.Apps) != 0 {
			t.Errorf("logging %+v", got)
		}
	})
}
