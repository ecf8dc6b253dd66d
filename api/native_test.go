package api_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestNativeListings are never null, and say what ovs-ofctl says.
func TestNativeListings(t *testing.T) {
	x := newExternal()
	for path, body := range map[string]string{
		"cells": `{"cells":[]}`, "endpoints": `{"endpoints":[]}`, "groups": `{"groups":[]}`, "policies": `{"policies":[]}`,
	} {
		want(t, x.call("GET", "/weft/v1/"+path, ""), 200, body)
	}
	x.call("POST", prefix+"/policies", catsToDogs)
	want(t, x.call("GET", "/weft/v1/policies", ""), 200, `{"policies":[{"id":1,"source":{"id":"cats"},`+
		`"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}},"cookie":"0x4000000000000001","cookies":["0x4000000000000001"]}]}`)
	want(t, x.call("GET", "/weft/v1/policies?source_id=dogs", ""), 200, `{"policies":[]}`)
	want(t, x.call("GET", "/weft/v1/cookies/banana", ""), 400, `{"error": "cookie: \"banana\" is not one: give it as ovs-ofctl prints it, such as 0x4000000000000007"}`)
	want(t, x.call("GET", "/weft/v1/cookies/0x4000000000000009", ""), 404, `{"error": "no policy has the cookie 0x4000000000000009"}`)
	want(t, x.call("GET", "/weft/v1/cookies/0x4000000000000001", ""), 200, `{"cookie":"0x4000000000000001","kind":"policy","text":"policy 1 lets cats connect to dogs","file":"flows/policy.go",`+
		`"policies":[{"id":1,"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}},"cookie":"0x4000000000000001"}]}`)
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
