package gormstore

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

func spec(p api.Policy, name string) api.PolicySpec {
	return api.PolicySpec{Policy: p, About: api.About{Name: name, Description: name + "?", Set: "pets", Labels: map[string]string{"b": "2", "a": "1"}}}
}

func change(add []api.PolicySpec, remove ...api.Policy) controller.ChangePolicies {
	return controller.ChangePolicies{PolicyChanges: api.PolicyChanges{Add: add, Remove: remove}, Order: api.Order{By: "me"}}
}

// marks is how a snapshot ends.
func marks(t testing.TB, s *Store) controller.Marks {
	t.Helper()
	events := load(t, s).Events
	if len(events) == 0 {
		return controller.Marks{}
	}
	m, is := events[len(events)-1].(controller.Marks)
	if !is {
		t.Fatalf("the snapshot ends with %+v", events[len(events)-1])
	}
	return m
}

// TestChangePolicies: added, described and removed in one write; a description
// that is so already changes nothing, and who added a policy stays so.
func TestChangePolicies(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80), policy("cats", "dogs", 81)}, Order: api.Order{By: "other"}})
		both := change([]api.PolicySpec{spec(policy("cats", "dogs", 80), "eighty"), spec(policy("cats", "mice", 80), "mice")}, policy("cats", "dogs", 81), policy("no", "body", 1))
		if got := do(t, s, both); got != 2 {
			t.Errorf("revision %d", got)
		}
		if got := do(t, s, both); got != 0 {
			t.Errorf("the same again is revision %d", got)
		}
		if got := do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80)}, Order: api.Order{By: "me"}}); got != 0 {
			t.Errorf("adding without a description took it away, in revision %d", got)
		}
		at := options().Now()
		want := []api.PolicyRecord{
			{Policy: policy("cats", "dogs", 80), About: spec(api.Policy{}, "eighty").About, Origin: api.Origin{Creator: "other", Created: at.Local()}},
			{Policy: policy("cats", "mice", 80), About: spec(api.Policy{}, "mice").About, Origin: api.Origin{Creator: "me", Created: at.Local()}},
		}
		want[0].ID, want[1].ID = 1, 3
		s = reopen(t, s, db)
		if have, revision := state(load(t, s)).Records(); !reflect.DeepEqual(have, want) || revision != 2 {
			t.Errorf("records at %d:\n%+v, want\n%+v", revision, have, want)
		}
		followed := controller.NewState(controller.Overlay{Networks: options().Networks, SubnetPrefix: 24, VNI: 1})
		changes, err := s.Changes(t.Context(), 0)
		for _, c := range changes {
			followed.Step(c)
		}
		if have, revision := followed.Records(); err != nil || !reflect.DeepEqual(have, want) || revision != 2 {
			t.Errorf("following the log: records at %d:\n%+v, %v", revision, have, err)
		}
		for _, wrong := range []struct {
			cmd  controller.ChangePolicies
			want string
		}{
			{change([]api.PolicySpec{spec(policy("a", "b", 1), "x"), spec(policy("a", "b", 1), "y")}), "given twice"},
			{change([]api.PolicySpec{spec(policy("a", "b", 1), "x")}, policy("a", "b", 1)), "both added and removed"},
		} {
			if _, err := s.Write(t.Context(), wrong.cmd); !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), wrong.want) {
				t.Errorf("%v, want %s", err, wrong.want)
			}
		}
	})
}

// TestQuota counts what there is after the write, of the sources of what it
// adds; one that exists counts once.
func TestQuota(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		order := api.Order{By: "dev", MaxPerSource: 2}
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 1), policy("rich", "dogs", 1), policy("rich", "dogs", 2), policy("rich", "dogs", 3)}})
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 1), policy("cats", "dogs", 2), policy("dogs", "rich", 1), policy("rich", "dogs", 3)}, Order: order})
		before := load(t, s)
		_, err := s.Write(t.Context(), controller.AddPolicies{Policies: []api.Policy{policy("new", "dogs", 1), policy("cats", "new", 3)}, Order: order})
		if !errors.Is(err, api.ErrQuota) || !strings.Contains(err.Error(), `app "cats" would be the source of 3 policies, more than the 2`) {
			t.Errorf("error %v", err)
		}
		if after := load(t, s); !reflect.DeepEqual(before, after) {
			t.Error("the refused request left something")
		}
		swap := change([]api.PolicySpec{{Policy: policy("cats", "dogs", 3)}}, policy("cats", "dogs", 1))
		swap.Order = order
		if got := do(t, s, swap); got == 0 {
			t.Error("one policy in place of another was refused")
		}
	})
}

// TestIfRevision: who has not seen the last change of policies changes nothing;
// changes of other things do not count.
func TestIfRevision(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		seen := func(r api.Revision) api.Order { return api.Order{By: "me", IfRevision: &r} }
		if got := do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 1)}, Order: seen(0)}); got != 1 {
			t.Errorf("revision %d", got)
		}
		assign(t, s, "birds")
		if got := do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 2)}, Order: seen(1)}); got != 3 {
			t.Errorf("revision %d", got)
		}
		for _, cmd := range []controller.Command{
			controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 2)}, Order: seen(1)},
			controller.RemovePolicies{Policies: []api.Policy{policy("cats", "dogs", 2)}, Order: seen(2)},
			controller.ChangePolicies{Order: seen(4)},
		} {
			if _, err := s.Write(t.Context(), cmd); !errors.Is(err, api.ErrOutdated) || !strings.Contains(err.Error(), "the latest is 3") {
				t.Errorf("%T: %v", cmd, err)
			}
		}
	})
}

// TestMarksGrow from when the database was made, with every change, whatever
// the clock does.
func TestMarksGrow(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		begun := options().Now().UnixNano() // before anything changed
		if got, want := marks(t, s), (controller.Marks{PoliciesChanged: begun, SecurityGroupsChanged: begun}); got != want {
			t.Errorf("a new database has %+v, want %+v", got, want)
		}
		first := begun + 1
		for i := range int64(3) {
			do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", uint16(1+i))}})
			do(t, s, controller.SetSecurityGroups{Groups: []api.SecurityGroup{{GUID: "g", Name: fmt.Sprint(i)}}})
			if got := marks(t, s); got.PoliciesChanged != first+i || got.SecurityGroupsChanged != first+i || got.Policies != api.Revision(1+2*i) {
				t.Errorf("marks %+v, first %d", got, first)
			}
		}
		o := options()
		o.Now = func() time.Time { return options().Now().Add(-time.Hour) }
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, db, o)
		do(t, s, controller.RemovePolicies{Policies: []api.Policy{policy("cats", "dogs", 1)}})
		if got := marks(t, s).PoliciesChanged; got != first+3 {
			t.Errorf("a clock that went back: %d, want %d", got, first+3)
		}
	})
}

// TestTags: an identity that is no app's gets an id for good; a type stays.
func TestTags(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		router := controller.AssignTag{ID: "INGRESS_ROUTER", Type: "router", By: "agent"}
		assign(t, s, "cats")
		for i, want := range []api.Revision{2, 0} {
			if got := do(t, s, router); got != want {
				t.Errorf("time %d: revision %d, want %d", i, got, want)
			}
		}
		if got := do(t, s, controller.AssignTag{ID: "cats", Type: "app"}); got != 0 {
			t.Errorf("an app that has its id: revision %d", got)
		}
		for _, cmd := range []controller.AssignTag{{ID: "cats", Type: "router"}, {ID: "INGRESS_ROUTER", Type: "app"}} {
			if _, err := s.Write(t.Context(), cmd); !errors.Is(err, api.ErrConflict) {
				t.Errorf("%+v: %v", cmd, err)
			}
		}
		if got := do(t, s, controller.AssignTag{Type: "router"}); got == 0 {
			t.Error("an identity with the empty name got no id")
		}
		do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1, 2}})
		loaded := state(load(t, s))
		if got := groupsText(loaded); !strings.Contains(got, "{2 0002 INGRESS_ROUTER router 0 }") || !strings.Contains(got, "cats app 0 quarantined") {
			t.Errorf("groups %s", got)
		}
		if unused := loaded.Unused(); len(unused) != 0 {
			t.Errorf("unused %v", unused)
		}
	})
}

// TestSecurityGroups: the log gets what is different, and a GUID keeps its id.
func TestSecurityGroups(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		set := func(groups ...api.SecurityGroup) api.Revision {
			return do(t, s, controller.SetSecurityGroups{Groups: groups, By: "asg"})
		}
		public := api.SecurityGroup{GUID: "p", Name: "public", Rules: `[{"protocol":"all"}]`, StagingDefault: true, StagingSpaces: []string{}, RunningSpaces: []string{}}
		dns := api.SecurityGroup{GUID: "d", Name: "dns", Rules: "[]", StagingSpaces: []string{}, RunningSpaces: []string{"space 1", "space 2"}}
		for i, want := range []api.Revision{1, 0} {
			if got := set(public, dns); got != want {
				t.Errorf("time %d: revision %d, want %d", i, got, want)
			}
		}
		dns.Rules, dns.RunningSpaces = `[{"protocol":"udp"}]`, []string{"space 2"}
		set(dns)
		changes, err := s.Changes(t.Context(), 1)
		dns.ID = 2
		want := []controller.Event{controller.SecurityGroupSet{Group: dns}, controller.SecurityGroupRemoved{GUID: "p"}}
		if err != nil || len(changes) != 1 || !reflect.DeepEqual(changes[0].Events, want) {
			t.Errorf("changes %+v, %v, want %+v", changes, err, want)
		}
		if got := load(t, s).Events; !reflect.DeepEqual(got[0], want[0]) || len(got) != 2 {
			t.Errorf("loaded %+v", got)
		}
		hand(t, db, "INSERT INTO security_groups VALUES (9, 'x', 'x', '', 0, 0, '{', '[]')")
		set(public, dns)
		if got := load(t, s); len(got.Faults) != 0 || len(got.Events) != 3 {
			t.Errorf("after a broken row: %+v", got)
		}
		if _, err := s.Write(t.Context(), controller.SetSecurityGroups{Groups: []api.SecurityGroup{dns, dns}}); !errors.Is(err, api.ErrInvalid) {
			t.Errorf("one given twice: %v", err)
		}
	})
}

// TestIDsAreTakenByTheByte: apps that differ by case, or by a blank at the end,
// are different apps.
func TestIDsAreTakenByTheByte(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "Cats", 1), policy("cats ", "cäts", 1), policy("ca'ts\\", "cats\x00", 1)}})
		if got := groupsText(state(load(t, s))); strings.Count(got, "app 1") != 6 {
			t.Errorf("groups %q", got)
		}
		do(t, s, controller.RemovePolicies{Policies: []api.Policy{policy("cats", "Cats", 1)}})
		if left := state(load(t, s)).Policies(); len(left) != 2 || left[0].From != "cats " {
			t.Errorf("policies %v", left)
		}
	})
}
