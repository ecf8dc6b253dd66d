package gormstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

func options() Options {
	return Options{
		Networks: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")}, SubnetPrefix: 24, Log: slog.New(slog.DiscardHandler),
		Quarantine: 5 * time.Minute, Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
}

func policy(from, to string, port uint16) api.Policy {
	return api.Policy{From: flows.AppID(from), To: flows.AppID(to), Protocol: flows.TCP, Ports: flows.PortRange{First: port, Last: port}}
}

// do writes, and holds that what follows the log is the same whether it is
// remembered or read.
func do(t testing.TB, s *Store, cmd controller.Command) api.Revision {
	t.Helper()
	revision, err := s.Write(t.Context(), cmd)
	if err != nil {
		t.Fatalf("%T: %v", cmd, err)
	}
	if _, known := s.latest.after(revision); revision != 0 && known == s.shared {
		t.Errorf("%T: the latest change is remembered: %v", cmd, known)
	}
	if _, is := t.(*testing.B); is || revision == 0 {
		return revision
	}
	remembered := changesAfter(t, s, revision-1)
	s.latest.forget()
	if read := changesAfter(t, s, revision-1); !reflect.DeepEqual(remembered, read) {
		t.Errorf("%T: remembered %+v, read %+v", cmd, remembered, read)
	}
	return revision
}

func changesAfter(t testing.TB, s *Store, after api.Revision) []controller.Change {
	t.Helper()
	list, err := s.Changes(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func load(t testing.TB, s *Store) controller.Snapshot {
	t.Helper()
	snapshot, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// state is a State at what Load says.
func state(snapshot controller.Snapshot) *controller.State {
	s := controller.NewState(controller.Overlay{Networks: options().Networks, SubnetPrefix: 24, VNI: 1, Quarantine: 5 * time.Minute})
	s.Step(snapshot.Change)
	return s
}

// TestLogLeadsToTheTables: who follows the log from the start has the state of
// who loads the tables at the end.
func TestLogLeadsToTheTables(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		begun := options().Now().UnixNano()
		first := load(t, s)
		if want := []controller.Event{controller.Marks{PoliciesChanged: begun, SecurityGroupsChanged: begun}}; first.Revision != 0 || !slices.Equal(first.Events, want) {
			t.Fatalf("an empty database has %+v", first)
		}
		do(t, s, controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.1")})
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 8080), policy("dogs", "dogs", 9090)}, Order: api.Order{By: "me"}})
		do(t, s, controller.AssignGroups{Apps: []flows.AppID{"birds", "cats"}})
		do(t, s, controller.GrantLease{Cell: "cell-2", VTEP: netip.MustParseAddr("192.0.2.2")})
		do(t, s, controller.RemovePolicies{Policies: []api.Policy{policy("cats", "dogs", 8080)}, Order: api.Order{By: "me"}})
		do(t, s, controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.11")})
		do(t, s, controller.SetLogging{Logging: api.Logging{Apps: []string{"cats", "dogs"}}})
		do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1, 3}})
		do(t, s, controller.ReleaseGroups{Groups: []controller.Freed{{Group: 3, Revision: 8}}})
		do(t, s, controller.AssignGroups{Apps: []flows.AppID{"eels", "fish"}})
		do(t, s, controller.FreeGroups{Groups: []flows.GroupID{3}})
		do(t, s, controller.ReleaseGroups{Groups: []controller.Freed{{Group: 3, Revision: 11}}})
		changesOfLeases(t, s)

		s = reopen(t, s, db)
		followed := controller.NewState(controller.Overlay{Networks: options().Networks, SubnetPrefix: 24, VNI: 1, Quarantine: 5 * time.Minute})
		changes, err := s.Changes(t.Context(), 0)
		if err != nil || len(changes) != 29 {
			t.Fatalf("%d changes, %v", len(changes), err)
		}
		for i, change := range changes {
			if change.Revision != api.Revision(i+1) {
				t.Errorf("change %d has revision %d", i, change.Revision)
			}
			followed.Step(change)
		}
		loaded := state(load(t, s))
		for name, of := range map[string]func(*controller.State) any{
			"policies": func(s *controller.State) any { return s.Policies() },
			"groups":   func(s *controller.State) any { return s.Groups() },
			"cells":    func(s *controller.State) any { return s.Cells() },
			"revision": func(s *controller.State) any { return s.Revision() },
			"logging":  func(s *controller.State) any { return s.Logging() },
		} {
			if have, want := of(followed), of(loaded); !reflect.DeepEqual(have, want) {
				t.Errorf("%s: following the log %v, loading %v", name, have, want)
			}
		}
		if got := groupsText(loaded); got != "[{1 0001 cats app 0 quarantined 2026-01-02 03:09:05 +0000 UTC} {2 0002 dogs app 1 } {4 0004 fish app 0 }]" {
			t.Errorf("groups %s", got)
		}
	})
}

// changesOfLeases leaves cells in each state that there is.
func changesOfLeases(t testing.TB, s *Store) {
	t.Helper()
	expire := func(cells ...flows.CellID) {
		for _, cell := range cells {
			do(t, s, controller.ExpireLeases{Leases: []controller.Renewal{{Cell: cell, At: options().Now()}}})
		}
	}
	for n := 3; n <= 7; n++ {
		if err := grant(t, s, n, fmt.Sprintf("192.0.2.%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	do(t, s, controller.DrainCell{Cell: "cell-3"})
	do(t, s, controller.ReleaseDrained{Cells: []flows.CellID{"cell-3"}})
	do(t, s, controller.DrainCell{Cell: "cell-4"})
	do(t, s, controller.RemoveCell{Cell: "cell-4"})
	do(t, s, controller.DrainCell{Cell: "cell-5"})
	expire("cell-5", "cell-6", "cell-7")
	for n := 6; n <= 7; n++ {
		if err := grant(t, s, n, fmt.Sprintf("192.0.2.%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	do(t, s, controller.ConfirmReturns{Cells: []flows.CellID{"cell-6"}})
	do(t, s, controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.1"), SingleIP: true})
}

// groupsText is the listing, without pointers.
func groupsText(s *controller.State) string {
	var words []string
	for _, g := range s.Groups() {
		until := ""
		if g.Until != nil {
			until = " " + g.Until.String()
		}
		words = append(words, fmt.Sprintf("{%d %s %s %s %d %s%s}", g.Group, g.Tag, g.App, g.Type, g.Policies, g.State, until))
	}
	return fmt.Sprint(words)
}

// TestWritesAreIdempotent: what is so already changes nothing, not even the
// revision.
func TestWritesAreIdempotent(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		add := controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 8080), policy("cats", "dogs", 8080)}}
		lease := controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.1")}
		name := controller.AssignGroups{Apps: []flows.AppID{"cats"}}
		remove := controller.RemovePolicies{Policies: []api.Policy{policy("cats", "dogs", 8080), policy("cats", "dogs", 8080)}}
		for i, each := range []struct {
			cmd  controller.Command
			want api.Revision
		}{{add, 1}, {add, 0}, {name, 0}, {lease, 2}, {lease, 0}, {remove, 3}, {remove, 0}, {add, 4}} {
			if got := do(t, s, each.cmd); got != each.want {
				t.Errorf("write %d (%T): revision %d, want %d", i, each.cmd, got, each.want)
			}
		}
		policies := state(load(t, s)).Policies()
		if len(policies) != 1 || policies[0].ID != 2 {
			t.Errorf("policies %+v: an id must not be given twice", policies)
		}
	})
}

// TestGroupIDsRunOut: the request that needs one more than there is changes
// nothing; those that need none still work; a container's app gets what is left.
func TestGroupIDsRunOut(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		o := options()
		o.MaxGroup = 3
		s := open(t, db, o)
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("one", "two", 80)}})
		before := load(t, s)

		_, err := s.Write(t.Context(), controller.AddPolicies{Policies: []api.Policy{policy("two", "three", 80), policy("one", "four", 80)}})
		if !errors.Is(err, api.ErrExhausted) || !strings.Contains(err.Error(), "all 3 group ids") {
			t.Fatalf("error %v", err)
		}
		s = reopen(t, s, db)
		if after := load(t, s); !reflect.DeepEqual(before, after) {
			t.Errorf("the refused request left %+v, before %+v", after, before)
		}
		if got := do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("two", "one", 81)}}); got != 2 {
			t.Errorf("a policy among apps with ids: revision %d", got)
		}
		revision, err := s.Write(t.Context(), controller.AssignGroups{Apps: []flows.AppID{"three", "four", "five"}})
		if revision != 3 || !errors.Is(err, api.ErrExhausted) || !strings.Contains(err.Error(), `"four"`) {
			t.Errorf("assigning past the end: revision %d, %v", revision, err)
		}
		if groups := state(load(t, s)).Groups(); len(groups) != 3 || groups[2].App != "three" {
			t.Errorf("groups %v", groups)
		}
	})
}

// TestAllGroupIDs: each of the 65,535 can be given, the lowest first, and no more.
func TestAllGroupIDs(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		fill(t, db, 2, 65534, 300)
		do(t, s, controller.AssignGroups{Apps: []flows.AppID{"first", "gap", "last"}})
		if _, err := s.Write(t.Context(), controller.AssignGroups{Apps: []flows.AppID{"more"}}); !errors.Is(err, api.ErrExhausted) {
			t.Errorf("beyond the last id: %v", err)
		}
		groups := state(load(t, s)).Groups()
		if groups[0].App != "first" || groups[299].App != "gap" || groups[65534].App != "last" || groups[65534].Tag != "FFFF" {
			t.Errorf("groups %v, %v, %v", groups[0], groups[299], groups[65534])
		}
	})
}

// TestConcurrentWriters: whatever runs at once, each policy is there once, ids
// and revisions are unique, and every write has its place in the log.
func TestConcurrentWriters(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		const writers, each = 8, 25
		s := open(t, db, options())
		var all sync.WaitGroup
		revisions := make(chan api.Revision, writers*each)
		for w := range writers {
			all.Go(func() {
				for i := range each {
					// Ports overlap between the writers: half of the writes find the policy there.
					port := uint16(1 + (w/2)*each + i)
					revision, err := s.Write(t.Context(), controller.AddPolicies{Policies: []api.Policy{policy(fmt.Sprintf("app-%d", i), "sink", port)}})
					if err != nil {
						t.Error(err)
					}
					revisions <- revision
				}
			})
		}
		all.Wait()
		close(revisions)
		var got []api.Revision
		for r := range revisions {
			if r != 0 {
				got = append(got, r)
			}
		}
		slices.Sort(got)
		for i, r := range got {
			if r != api.Revision(i+1) {
				t.Fatalf("revisions %v: want 1, 2, 3 ...", got)
			}
		}
		final := state(load(t, s))
		if n := len(final.Policies()); n != writers/2*each || n != len(got) {
			t.Errorf("%d policies, %d revisions, want %d", n, len(got), writers/2*each)
		}
		if n := len(final.Groups()); n != each+1 {
			t.Errorf("%d groups, want %d", n, each+1)
		}
	})
}

// TestWriterGivesUpItsTurn: a write whose caller left while it queued changes nothing.
func TestWriterGivesUpItsTurn(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		<-s.turn // somebody writes
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Write(ctx, controller.AssignGroups{Apps: []flows.AppID{"cats"}}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		s.turn <- struct{}{}
		if got := do(t, s, controller.AssignGroups{Apps: []flows.AppID{"cats"}}); got != 1 {
			t.Errorf("revision %d", got)
		}
	})
}
