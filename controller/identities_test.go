package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// TestIdentitiesKeepTheirTags: one that is no app's keeps its group id for
// good, across a restart too; an app's goes the way of all.
func TestIdentitiesKeepTheirTags(t *testing.T) {
	b := start(t)
	assign := func(id, kind string) api.Group {
		t.Helper()
		group, err := b.AssignTag(b.limit(), flows.AppID(id), kind, "agent")
		if err != nil {
			t.Fatal(err)
		}
		return group
	}
	router, nobody, cats := assign("INGRESS_ROUTER", "router"), assign("", "router"), assign("cats", "")
	if router.Type != "router" || nobody.Type != "router" || cats.Type != "app" || router.Group == nobody.Group || router.Group == cats.Group {
		t.Errorf("assigned %+v, %+v and %+v", router, nobody, cats)
	}
	if again := assign("INGRESS_ROUTER", "router"); again != router {
		t.Errorf("the second time it is %+v", again)
	}
	if _, err := b.AssignTag(b.limit(), "INGRESS_ROUTER", "app", "agent"); !errors.Is(err, api.ErrConflict) {
		t.Errorf("with another type: %v", err)
	}
	if _, err := b.AssignTag(b.limit(), flows.AppID(strings.Repeat("x", 256)), "router", "agent"); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("with a long name: %v", err)
	}
	b.cellNumber(1, api.Endpoint{Container: "c1", IP: "10.1.0.2", OFPort: 10})
	if list, err := b.Endpoints(b.limit()); err != nil || len(list) != 1 || list[0].Group != 0 {
		t.Errorf("a container without an app: %+v, %v", list, err)
	}
	b.restart(gormstore.Options{})
	for range 2 { // once to see that nothing uses them, once to free
		if err := b.keeper.Tidy(b.limit(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := b.Groups(b.limit())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, g := range groups {
		states[g.App+"/"+g.Type] = g.State
	}
	if state, there := states["INGRESS_ROUTER/router"]; !there || state != "" {
		t.Errorf("after a restart there is %v", states)
	}
	if state, there := states["/router"]; !there || state != "" {
		t.Errorf("after a restart there is %v", states)
	}
	if group, err := b.GroupsOf(b.limit(), []flows.AppID{"INGRESS_ROUTER", "birds"}); err != nil || len(group) != 1 || group["INGRESS_ROUTER"] != flows.GroupID(router.Group) {
		t.Errorf("groups of them: %v, %v", group, err)
	}
}

// TestPoliciesChangedGrows: with each change, and with nothing else, and it
// does not go back at a restart.
func TestPoliciesChangedGrows(t *testing.T) {
	b := start(t)
	changed := func() int64 {
		t.Helper()
		at, err := b.PoliciesChanged(b.limit())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	last := changed()
	b.allow("cats", "dogs", 80)
	if at := changed(); at <= last || time.Since(time.Unix(0, at)).Abs() > time.Minute {
		t.Errorf("now it is %d, after %d", at, last)
	}
	last = changed()
	b.revoke("cats", "dogs", 80)
	if at := changed(); at <= last {
		t.Errorf("a removal: %d after %d", at, last)
	}
	b.allow("cats", "dogs", 81)
	last = changed()
	b.allow("cats", "dogs", 81)
	if at := changed(); at != last {
		t.Errorf("a write that changes nothing moved it from %d to %d", last, at)
	}
	b.restart(gormstore.Options{})
	if at := changed(); at != last {
		t.Errorf("the restart moved it from %d to %d", last, at)
	}
}

// TestSetSecurityGroups: what is set is there, durably, with ids that stay.
func TestSetSecurityGroups(t *testing.T) {
	b := start(t)
	set := func(groups ...api.SecurityGroup) (string, int64) {
		t.Helper()
		if err := b.SetSecurityGroups(b.limit(), groups, "cloud controller"); err != nil {
			t.Fatal(err)
		}
		list, at, err := b.SecurityGroups(b.limit())
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, g := range list {
			text += fmt.Sprintf("%d:%s:%s ", g.ID, g.GUID, g.Rules)
		}
		return text, at
	}
	group := func(guid, rules string) api.SecurityGroup {
		return api.SecurityGroup{GUID: guid, Name: guid, Rules: rules, RunningSpaces: []string{"zoo"}}
	}
	text, first := set(group("dns", "[]"), group("db", `[{}]`))
	if text != "1:dns:[] 2:db:[{}] " || first == 0 {
		t.Errorf("there is %q, changed at %d", text, first)
	}
	if _, at := set(group("db", `[{}]`), group("dns", "[]")); at != first {
		t.Errorf("set again, it changed from %d to %d", first, at)
	}
	text, second := set(group("build", "[]"), group("db", `[{},{}]`))
	if text != "2:db:[{},{}] 3:build:[] " || second <= first {
		t.Errorf("there is %q, changed at %d after %d", text, second, first)
	}
	for want, bad := range map[string]api.SecurityGroup{
		`security group "": its GUID`: group("", "[]"), `its GUID must be 1 to 255`: group("a\nb", "[]"), "not JSON": group("x", ""),
		`space "": its GUID`: {GUID: "x", Rules: "[]", RunningSpaces: []string{""}}, "is there twice": group("db", "[]"),
	} {
		err := b.SetSecurityGroups(b.limit(), []api.SecurityGroup{group("db", "[]"), bad}, "cloud controller")
		if !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	b.restart(gormstore.Options{})
	list, at, err := b.SecurityGroups(b.limit())
	if err != nil || len(list) != 2 || at != second {
		t.Errorf("after a restart there is %+v, changed at %d, %v", list, at, err)
	}
	if text, at := set(); text != "" || at <= second {
		t.Errorf("without any there is %q, changed at %d", text, at)
	}
}
