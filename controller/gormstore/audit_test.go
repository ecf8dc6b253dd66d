package gormstore

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

func audit(t testing.TB, s *Store, query api.AuditQuery) string {
	t.Helper()
	if query.Limit == 0 {
		query.Limit = 100
	}
	entries, err := s.Audit(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range entries {
		words = append(words, fmt.Sprintf("%d %s +%d -%d ~%d %v %s", e.Revision, e.By, len(e.Added), len(e.Removed), len(e.Updated), e.Logging != nil, e.Other))
	}
	return strings.Join(words, "\n")
}

// TestAudit: every change, newest first, by app, by caller, page by page.
func TestAudit(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80), policy("mice", "dogs", 80)}, Order: api.Order{By: "ann"}})
		do(t, s, change([]api.PolicySpec{spec(policy("cats", "dogs", 80), "x")}, policy("mice", "dogs", 80)))
		do(t, s, controller.SetLogging{Logging: api.Logging{Accepted: true}, By: "ann"})
		do(t, s, controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.1")})
		do(t, s, controller.FreeGroups{Groups: []flows.GroupID{3}})
		do(t, s, controller.SetSecurityGroups{Groups: []api.SecurityGroup{{GUID: "g", Name: "public"}}, By: "asg"})
		for _, c := range []struct {
			query api.AuditQuery
			want  string
		}{
			{api.AuditQuery{}, "6 asg +0 -0 ~0 false security groups set: public g\n5 controller +0 -0 ~0 false group ids freed: 0003 mice\n" +
				"4 cell-1 +0 -0 ~0 false lease of cell cell-1: 10.255.1.0/24 at 192.0.2.1\n3 ann +0 -0 ~0 true \n2 me +0 -1 ~1 false \n" +
				"1 ann +2 -0 ~0 false group ids assigned: 0001 cats, 0002 dogs, 0003 mice"},
			{api.AuditQuery{App: "cats", Limit: 1}, "2 me +0 -1 ~1 false "},
			{api.AuditQuery{App: "cats", Before: 2}, "1 ann +2 -0 ~0 false group ids assigned: 0001 cats, 0002 dogs, 0003 mice"},
			{api.AuditQuery{App: "dogs", By: "ann"}, "1 ann +2 -0 ~0 false group ids assigned: 0001 cats, 0002 dogs, 0003 mice"},
			{api.AuditQuery{By: "ann", Limit: 1}, "3 ann +0 -0 ~0 true "},
			{api.AuditQuery{App: "birds"}, ""},
		} {
			if got := audit(t, s, c.query); got != c.want {
				t.Errorf("%+v:\n%s\nwant\n%s", c.query, got, c.want)
			}
		}
		entries, err := s.Audit(t.Context(), api.AuditQuery{Before: 3, Limit: 2})
		if err != nil || len(entries) != 2 {
			t.Fatalf("%+v, %v", entries, err)
		}
		if p := entries[0].Updated[0]; p.Source != "cats" || p.Protocol != "tcp" || p.Ports.Start != 80 || p.Name != "x" || p.Set != "pets" || p.Labels["a"] != "1" || p.ID != 1 {
			t.Errorf("updated %+v", p)
		}
		if p := entries[1].Added[1]; p.Creator != "ann" || !p.Created.Equal(options().Now()) || p.Cookie != flows.PolicyCookie(2).String() {
			t.Errorf("added %+v", p)
		}
		hand(t, db, "UPDATE changes SET body = '{' WHERE revision = 6")
		if got := audit(t, s, api.AuditQuery{Limit: 1}); !strings.Contains(got, "broken") {
			t.Errorf("a broken entry: %s", got)
		}
	})
}
