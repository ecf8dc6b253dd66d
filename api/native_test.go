package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
)

// wantProblem checks that an answer is a problem document.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, detail string) {
	t.Helper()
	var problem api.Problem
	err := json.Unmarshal(w.Body.Bytes(), &problem)
	media := w.Header().Get("Content-Type")
	if err != nil || w.Code != status || problem.Status != status || problem.Detail != detail || media != "application/problem+json" {
		t.Errorf("got  %d %s %q %v\nwant %d %q", w.Code, media, w.Body.String(), err, status, detail)
	}
	if got := w.Header().Get("Weft-Error-Kind"); problem.Kind == "" || got != problem.Kind {
		t.Errorf("kind is %q in the body, %q in the header", problem.Kind, got)
	}
}

// TestNativeListings are never null, and say what ovs-ofctl says.
func TestNativeListings(t *testing.T) {
	x := newExternal()
	for path, body := range map[string]string{
		"cells": `{"cells":[]}`, "endpoints": `{"endpoints":[]}`, "groups": `{"groups":[]}`, "policies": `{"policies":[],"revision":0}`, "sets": `{"sets":[],"revision":0}`,
	} {
		want(t, x.call("GET", "/weft/v1/"+path, ""), 200, body)
	}
	x.call("POST", prefix+"/policies", catsToDogs)
	want(t, x.call("GET", "/weft/v1/policies", ""), 200, `{"policies":[{"source":"cats","destination":"dogs","protocol":"tcp",`+
		`"ports":{"start":8080,"end":8090},"id":1,"cookie":"0x4000000000000001","cookies":["0x4000000000000001"]}],"revision":1}`)
	want(t, x.call("GET", "/weft/v1/policies?source_id=dogs", ""), 200, `{"policies":[],"revision":1}`)
	wantProblem(t, x.call("GET", "/weft/v1/cookies/banana", ""), 400, `cookie: "banana" is not one: give it as ovs-ofctl prints it, such as 0x4000000000000007`)
	wantProblem(t, x.call("GET", "/weft/v1/cookies/0x4000000000000009", ""), 404, "no policy has the cookie 0x4000000000000009")
	want(t, x.call("GET", "/weft/v1/cookies/0x4000000000000001", ""), 200, `{"cookie":"0x4000000000000001","kind":"policy","text":"policy 1 lets cats connect to dogs","file":"flows/policy.go",`+
		`"policies":[{"id":1,"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}},"cookie":"0x4000000000000001"}]}`)
}

// TestUnknownParametersAreRefused: who has mistyped dry_run would write.
func TestUnknownParametersAreRefused(t *testing.T) {
	x := newExternal()
	wantProblem(t, x.call("PUT", "/weft/v1/sets/shop?dryrun=true", `{"policies":[{"source":"a","destination":"b","protocol":"tcp","ports":{"start":1,"end":1}}]}`),
		400, `"dryrun" is no parameter of PUT /weft/v1/sets/{name}: see /openapi.json`)
	wantProblem(t, x.call("GET", "/weft/v1/cells?limit=1", ""), 400, `"limit" is no parameter of GET /weft/v1/cells: see /openapi.json`)
	wantProblem(t, x.call("GET", "/weft/v1/policies?set=a%zz", ""), 400, `query: invalid URL escape "%zz"`)
	want(t, x.call("GET", "/weft/v1/policies", ""), 200, `{"policies":[],"revision":0}`)
}

// TestOverlappingPoliciesShareCookies, and the listing shows them.
func TestOverlappingPoliciesShareCookies(t *testing.T) {
	x := newExternal()
	x.call("POST", prefix+"/policies", policy("a", "b", "tcp", `{"start":1,"end":10}`)) // 1-4 alone, 5-10 shared
	x.call("POST", prefix+"/policies", policy("a", "b", "tcp", `{"start":5,"end":10}`)) // all shared
	x.call("POST", prefix+"/policies", policy("b", "a", "tcp", `{"start":5,"end":10}`)) // the other way: its own
	body := x.call("GET", "/weft/v1/policies", "").Body.String()
	lists := regexp.MustCompile(`"cookies":\[([^]]*)\]`).FindAllStringSubmatch(body, -1)
	if len(lists) != 3 {
		t.Fatalf("listing: %s", body)
	}
	one, two, three := lists[0][1], lists[1][1], lists[2][1]
	if own := `"0x4000000000000001",`; one != own+two || !strings.HasPrefix(two, `"0x5`) || three != `"0x4000000000000003"` {
		t.Errorf("cookies: %s; %s; %s", one, two, three)
	}
}
