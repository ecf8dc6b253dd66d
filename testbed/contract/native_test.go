package contract

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

// asked is a request for the native API with policies as "from to port".
func asked(policies ...string) string {
	list := []api.PolicyRequest{}
	for _, text := range policies {
		words := strings.Fields(text)
		ports, err := api.ParsePorts(words[2])
		if err != nil {
			panic(err)
		}
		list = append(list, api.PolicyRequest{Source: words[0], Destination: words[1], Protocol: "tcp", Ports: ports})
	}
	text, err := json.Marshal(api.PoliciesRequest{Policies: list})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// sources decodes an answer, and names the apps that its policies come from.
func (a answer) sources(t *testing.T) string {
	t.Helper()
	var list api.PolicyDetailsList
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		t.Errorf("%s: %v", a.body, err)
	}
	var apps []string
	for _, p := range list.Policies {
		apps = append(apps, p.Source)
	}
	return strings.Join(apps, " ")
}

// TestNativeScopes: what needs which scope, and that a refusal is a problem.
func TestNativeScopes(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		for _, path := range []string{"/cells", "/endpoints", "/groups", "/audit", "/logging", "/cookies/0x1", "/policies", "/sets", "/watch"} {
			writers := map[string]int{"/policies": 200, "/sets": 200}
			for as, status := range map[string]int{"": 401, "guest": 403, "none": 403, "ann": writers[path]} {
				if as == "ann" && path == "/watch" {
					continue // it has no end
				}
				if status == 0 {
					status = 403
				}
				got := b.call(as, "GET /weft/v1"+path, "")
				if got.status != status || status != 200 && got.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s as %q: %d %s", path, as, got.status, got.body)
				}
			}
		}
		for _, request := range []string{"POST /cells/cell-9/drain", "DELETE /cells/cell-9/drain", "DELETE /cells/cell-9"} {
			for as, status := range map[string]int{"": 401, "guest": 403, "none": 403, "ann": 403, "admin": 404} {
				method, path, _ := strings.Cut(request, " ")
				if got := b.call(as, method+" /weft/v1"+path, ""); got.status != status || got.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s as %q: %d %s", request, as, got.status, got.body)
				}
			}
		}
	})
}

// TestNativeForDevelopers: they see and write policies between their own apps,
// and see who reaches those.
func TestNativeForDevelopers(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		for _, s := range []struct {
			as, request, body string
			status            int
		}{
			{"ann", "POST /weft/v1/policies", asked("cats dogs 80"), 200},
			{"ann", "POST /weft/v1/policies", asked("cats dogs 81", "cats wolves 80"), 403},
			{"ann", "PUT /weft/v1/sets/web", asked("wolves cats 80"), 403},
			{"ann", "PUT /weft/v1/sets/web?dry_run=true", asked("wolves cats 80"), 403},
			{"ben", "POST /weft/v1/policies", asked("cats dogs 81"), 403},
			{"admin", "PUT /weft/v1/sets/web", asked("wolves cats 80", "dogs cats 80"), 200}, // 2 and 3
			{"ann", "GET /weft/v1/policies/2", "", 404},
			{"ann", "PATCH /weft/v1/policies/2", `{"name":"mine"}`, 404},
			{"ann", "DELETE /weft/v1/policies/2", "", 404},
			{"ann", "PATCH /weft/v1/policies/3", `{"name":"mine"}`, 200},
			{"ben", "DELETE /weft/v1/policies/3", "", 404},
			{"ann", "GET /weft/v1/apps/wolves/reachers", "", 403},
			{"ann", "PUT /weft/v1/sets/web?prune=true", asked(), 200}, // what of the set she sees
			{"ann", "POST /weft/v1/policies", asked("dogs cats 81", "dogs cats 82", "dogs cats 83"), 200},
			{"ann", "POST /weft/v1/policies", asked("dogs cats 84"), 403}, // over the quota
			{"admin", "POST /weft/v1/policies", asked("dogs cats 84"), 200},
		} {
			if got := b.call(s.as, s.request, s.body); got.status != s.status {
				t.Errorf("%s as %s with %s: %d %s", s.request, s.as, s.body, got.status, got.body)
			}
		}
		for as, want := range map[string]string{"admin": "cats wolves dogs dogs dogs dogs", "ann": "cats dogs dogs dogs dogs", "ben": ""} {
			if got := b.call(as, "GET /weft/v1/policies", "").sources(t); got != want {
				t.Errorf("%s sees policies from %q, want %q", as, got, want)
			}
		}
		var reach api.ReachersList
		got := b.call("ann", "GET /weft/v1/apps/cats/reachers", "")
		if err := json.Unmarshal([]byte(got.body), &reach); err != nil || len(reach.Reachers) != 2 || reach.Reachers[1].App != "wolves" {
			t.Errorf("who reaches cats: %d %s", got.status, got.body)
		}
		var log api.AuditList
		got = b.call("admin", "GET /weft/v1/audit?by=ann&limit=1", "")
		if err := json.Unmarshal([]byte(got.body), &log); err != nil || len(log.Entries) != 1 || log.Entries[0].By != "ann" || len(log.Entries[0].Added) != 3 {
			t.Errorf("what ann did last: %d %s", got.status, got.body)
		}
	}, func(c *server.Config) { c.MaxPoliciesPerAppSource = 3 })
}
