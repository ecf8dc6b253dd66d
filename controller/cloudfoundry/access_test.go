package cloudfoundry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

// platform has two spaces, of which alice develops one.
func platform(t testing.TB) *cfstub.Stub {
	cf := cfstub.New(t)
	for _, app := range []cfstub.App{{GUID: "front", Space: "shop"}, {GUID: "back", Space: "shop"}, {GUID: "ledger", Space: "bank"}} {
		cf.AddApp(app)
	}
	cf.AddDeveloper("alice-guid", "shop")
	cf.AddDeveloper("bob-guid", "bank")
	return cf
}

var (
	alice = api.Caller{Name: "alice", Subject: "alice-guid", Scopes: []string{api.ScopeWrite}}
	admin = api.Caller{Name: "root", Subject: "root-guid", Scopes: []string{api.ScopeAdmin}}
)

// TestAccess: by roles of version 3 and, where there are none, of version 2.
func TestAccess(t *testing.T) {
	for name, prepare := range map[string]func(*cfstub.Stub){
		"v3": func(*cfstub.Stub) {}, "v2": (*cfstub.Stub).WithoutRoles, "pages of one": func(cf *cfstub.Stub) { cf.PageSize(1) },
		"v2, pages of one": func(cf *cfstub.Stub) { cf.WithoutRoles(); cf.PageSize(1) },
	} {
		t.Run(name, func(t *testing.T) {
			cf := platform(t)
			cf.AddDeveloper("alice-guid", "garden")
			prepare(cf)
			_, cc := connect(t, cf, quiet, "")
			for _, c := range []struct {
				who  api.Caller
				apps []flows.AppID
				may  bool
			}{
				{alice, []flows.AppID{"front", "back", "front"}, true},
				{alice, []flows.AppID{"front", "ledger"}, false},
				{alice, []flows.AppID{"front", "no-such-app"}, false},
				{alice, []flows.AppID{"front,back"}, false},
				{alice, []flows.AppID{""}, false},
				{alice, []flows.AppID{"front", flows.AppID(strings.Repeat("x", 1<<20))}, false},
				{api.Caller{Name: "nobody", Scopes: []string{api.ScopeWrite}}, []flows.AppID{"front"}, false},
				{api.Caller{Name: "sly", Subject: "alice-guid,x"}, []flows.AppID{"front"}, false},
				{api.Caller{Name: "sly", Subject: "../../v3/apps?"}, []flows.AppID{"front"}, false},
				{api.Caller{Name: "sly", Subject: ".."}, []flows.AppID{"front"}, false},
				{admin, []flows.AppID{"no-such-app"}, true},
			} {
				err := cc.MayWrite(t.Context(), c.who, c.apps)
				if c.may && err != nil || !c.may && !errors.Is(err, api.ErrForbidden) {
					t.Errorf("%s writes %.40q: %v", c.who.Name, c.apps, err)
				}
				var refusal *api.Error
				if errors.As(err, &refusal) && refusal.Text != "one or more applications cannot be found or accessed" {
					t.Errorf("told %q", refusal.Text)
				}
			}
			seen, err := cc.Visible(t.Context(), alice, []flows.AppID{"front", "ledger", "back", "gone"})
			if err != nil || len(seen) != 2 || !seen["front"] || !seen["back"] {
				t.Errorf("alice sees %v, %v", seen, err)
			}
			gone, err := cc.Gone(t.Context(), []flows.AppID{"front", "gone", "ledger", "a,b", "too"})
			if err != nil || fmt.Sprint(gone) != "[gone a,b too]" {
				t.Errorf("gone %v, %v", gone, err)
			}
		})
	}
}

// TestChunks: many apps are asked for by hundreds, with one token.
func TestChunks(t *testing.T) {
	cf := platform(t)
	_, cc := connect(t, cf, quiet, "")
	var apps []flows.AppID
	for i := range 950 {
		guid := fmt.Sprintf("%036d", i)
		cf.AddApp(cfstub.App{GUID: guid, Space: fmt.Sprintf("space-%d", i%150)})
		cf.AddDeveloper("alice-guid", fmt.Sprintf("space-%d", i%150))
		apps = append(apps, flows.AppID(guid))
	}
	seen, err := cc.Visible(t.Context(), alice, apps)
	if err != nil || len(seen) != len(apps) {
		t.Fatalf("sees %d of %d, %v", len(seen), len(apps), err)
	}
	for path, want := range map[string]int{"/v3/apps": 10, "/v3/roles": 2} {
		if n := cf.CC.Calls(path); n != want {
			t.Errorf("%d requests for %s, want %d", n, path, want)
		}
	}
	if n := cf.UAA.Calls("/uaa/oauth/token"); n != 1 {
		t.Errorf("%d tokens for 12 requests", n)
	}
}

// TestInventedAppsCostLittle: who names thousands that do not exist is refused
// without a question about each.
func TestInventedAppsCostLittle(t *testing.T) {
	cf := platform(t)
	_, cc := connect(t, cf, quiet, "")
	apps := []flows.AppID{"front"}
	for i := range 20_000 {
		apps = append(apps, flows.AppID(fmt.Sprintf("%036d", i)))
	}
	for _, extra := range []flows.AppID{"back", "not,askable"} {
		if err := cc.MayWrite(t.Context(), alice, append(apps, extra)); !errors.Is(err, api.ErrForbidden) || strings.Contains(err.Error(), "front") {
			t.Errorf("with %q: %v", extra, err)
		}
	}
	if n := cf.CC.Calls("/v3/apps"); n > 20 {
		t.Errorf("%d requests for /v3/apps", n)
	}
}

// TestBlindClient: a Cloud Controller that shows us no app at all does not make
// all of them gone.
func TestBlindClient(t *testing.T) {
	_, cc := connect(t, cfstub.New(t), quiet, "")
	apps := make([]flows.AppID, 101)
	for i := range apps {
		apps[i] = flows.AppID(fmt.Sprint("app-", i))
	}
	if gone, err := cc.Gone(t.Context(), apps); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("%d of %d are gone, %v", len(gone), len(apps), err)
	}
	if gone, err := cc.Gone(t.Context(), apps[:100]); err != nil || len(gone) != 100 {
		t.Errorf("%d of 100 are gone, %v", len(gone), err)
	}
}

// TestOwnToken: one that Cloud Controller no longer accepts is replaced once,
// and one that will soon end is not used.
func TestOwnToken(t *testing.T) {
	cf := platform(t)
	_, cc := connect(t, cf, quiet, "")
	ask := func() {
		t.Helper()
		if _, err := cc.Gone(t.Context(), []flows.AppID{"front"}); err != nil {
			t.Error(err)
		}
	}
	ask()
	cf.RevokeOwn()
	ask()
	ask()
	if n := cf.UAA.Calls("/uaa/oauth/token"); n != 2 {
		t.Errorf("%d tokens, want one and its replacement", n)
	}
	cf.RevokeOwn()
	cf.TokenLifetime(30 * time.Second)
	ask()
	ask()
	if n := cf.UAA.Calls("/uaa/oauth/token"); n != 4 {
		t.Errorf("%d tokens: one that ends within a minute was used again", n)
	}
}

// TestNobodyAnswers: then it is neither a yes nor a no.
func TestNobodyAnswers(t *testing.T) {
	for name, fail := range map[string]func(*cfstub.Stub){
		"cloud controller is gone":          func(cf *cfstub.Stub) { cf.CC.Stop() },
		"cloud controller fails":            func(cf *cfstub.Stub) { cf.CC.Fail(http.StatusInternalServerError) },
		"cloud controller refuses us":       func(cf *cfstub.Stub) { cf.CC.Fail(http.StatusForbidden) },
		"cloud controller wants other keys": func(cf *cfstub.Stub) { cf.CC.Fail(http.StatusUnauthorized) },
		"no such path":                      func(cf *cfstub.Stub) { cf.CC.Fail(http.StatusNotFound) },
		"elsewhere":                         func(cf *cfstub.Stub) { cf.CC.Fail(http.StatusFound) },
		"uaa is gone":                       func(cf *cfstub.Stub) { cf.UAA.Stop() },
		"cloud controller is slow":          func(cf *cfstub.Stub) { cf.CC.Delay(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			cf := platform(t)
			_, cc := connect(t, cf, quiet, "")
			fail(cf)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			apps := []flows.AppID{"front"}
			if err := cc.MayWrite(ctx, alice, apps); !errors.Is(err, api.ErrUnavailable) {
				t.Errorf("may write: %v", err)
			}
			if _, err := cc.Visible(ctx, alice, apps); !errors.Is(err, api.ErrUnavailable) {
				t.Errorf("visible: %v", err)
			}
			if gone, err := cc.Gone(ctx, apps); !errors.Is(err, api.ErrUnavailable) || gone != nil {
				t.Errorf("gone: %v, %v", gone, err)
			}
		})
	}
}

// TestOddAnswers: what is not the JSON of a list is not taken for an empty one.
func TestOddAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"text": "<html>", "nothing": "", "half": `{"resources":[{"guid":"fr`, "list": `[]`,
		"objects of another kind": `{"resources":[7]}`,
		"endless":                 `{"resources":[],"pagination":{"next":{"href":"http://evil.example/v3/apps?page=2"}}}`,
		"next is no address":      `{"resources":[],"pagination":{"next":{"href":"::"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			cf, odd := platform(t), oddServer(t, body)
			uaa, _ := connect(t, cf, quiet, "")
			cc := mustCC(t, odd, uaa)
			if gone, err := cc.Gone(t.Context(), []flows.AppID{"front"}); !errors.Is(err, api.ErrUnavailable) || gone != nil {
				t.Errorf("gone: %v, %v", gone, err)
			}
		})
	}
}

// TestNoSpaceIsNobodys: an app without a space is not of those whose role has none.
func TestNoSpaceIsNobodys(t *testing.T) {
	cf, odd := platform(t), oddServer(t, `{"resources":[{"guid":"front"}]}`)
	uaa, _ := connect(t, cf, quiet, "")
	if err := mustCC(t, odd, uaa).MayWrite(t.Context(), alice, []flows.AppID{"front"}); !errors.Is(err, api.ErrForbidden) {
		t.Errorf("alice may write: %v", err)
	}
}

// TestSecurityGroups: all pages, as the internal API shows them.
func TestSecurityGroups(t *testing.T) {
	cf := platform(t)
	cf.PageSize(1)
	_, cc := connect(t, cf, quiet, "")
	before, err := cc.LatestSecurityGroupUpdate(t.Context())
	if err != nil || before == "" {
		t.Fatalf("updated %q, %v", before, err)
	}
	cf.SetSecurityGroups(
		cfstub.SecurityGroup{GUID: "g1", Name: "dns", Rules: []map[string]any{{"protocol": "udp", "ports": "53", "destination": "0.0.0.0/0"}}, RunningDefault: true},
		cfstub.SecurityGroup{GUID: "g2", Name: "db", RunningSpaces: []string{"shop"}, StagingSpaces: []string{"bank", "shop"}},
	)
	if after, err := cc.LatestSecurityGroupUpdate(t.Context()); err != nil || after == before {
		t.Errorf("updated %q, before %q, %v", after, before, err)
	}
	groups, err := cc.SecurityGroups(t.Context())
	want := `[{0 g1 dns [{"destination":"0.0.0.0/0","ports":"53","protocol":"udp"}] false true [] []} {0 g2 db [] false false [bank shop] [shop]}]`
	if err != nil || fmt.Sprint(groups) != want {
		t.Errorf("got %v, %v\nwant %s", groups, err, want)
	}
	for answer, want := range map[string]string{
		`{}`:                            "the answer is no list",
		`{"resources":{}}`:              "the answer is no list",
		`{"resources":[{"guid":"g1"}]}`: `security group "g1" ("") has no GUID or no rules`,
		`{"resources":[{"rules":[]}]}`:  `security group "" ("") has no GUID or no rules`,
		`{"resources":[{"guid":7}]}`:    "an object is not what it should be",
		`{"resources":[],"pagination":{"total_results":1}}`: "it had 0, and should have [1]",
	} {
		cf.CC.Answer("/v3/security_groups", answer)
		if groups, err := cc.SecurityGroups(t.Context()); api.KindOf(err) != api.ErrUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", answer, groups, err)
		}
	}
	cf.CC.Answer("/v3/security_groups", `{"resources":[{"guid":"g","rules":[]}],"pagination":{"total_results":3,"total_pages":3}}`)
	if groups, err := cc.SecurityGroups(t.Context()); err != nil || len(groups) != 3 {
		t.Errorf("pages that are counted but not linked: %v, %v", groups, err)
	}
	for _, none := range []string{`{"resources":[]}`, `{"resources":null}`} {
		cf.CC.Answer("/v3/security_groups", none)
		if groups, err := cc.SecurityGroups(t.Context()); err != nil || len(groups) != 0 {
			t.Errorf("%s: %v, %v", none, groups, err)
		}
	}
	cf.WithoutLatestUpdate()
	if at, err := cc.LatestSecurityGroupUpdate(t.Context()); err != nil || at != "" {
		t.Errorf("without the path: %q, %v", at, err)
	}
}
