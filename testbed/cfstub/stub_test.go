package cfstub_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/cfstub"
)

// ask makes a request of the stub, as the controller would, and returns status
// and body.
func ask(t *testing.T, r *http.Request) (int, map[string]any) {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatalf("%s: %d, %v", r.URL, res.StatusCode, err)
	}
	return res.StatusCode, body
}

func form(t *testing.T, address string, values url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(cfstub.ClientID, cfstub.ClientSecret)
	return r
}

func get(t *testing.T, address, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "bearer "+token)
	return r
}

// TestStub: the stand-in answers in the shapes that the contract names, pages,
// counts, and can be switched off and on again.
func TestStub(t *testing.T) {
	cf := cfstub.New(t)
	user := cf.Mint(cfstub.User("alice", "network.write"))
	if status, body := ask(t, form(t, cf.UAA.URL+"/check_token", url.Values{"token": {user}})); status != 200 || body["user_name"] != "alice" {
		t.Errorf("check_token: %d %v", status, body)
	}
	if status, _ := ask(t, form(t, cf.UAA.URL+"/check_token", url.Values{"token": {user + "x"}})); status != http.StatusBadRequest {
		t.Errorf("check_token of a wrong one: %d", status)
	}
	_, body := ask(t, form(t, cf.UAA.URL+"/oauth/token", url.Values{"grant_type": {"client_credentials"}}))
	own, _ := body["access_token"].(string)

	cf.AddApp(cfstub.App{GUID: "a", Space: "s1"})
	cf.AddApp(cfstub.App{GUID: "b", Space: "s2"})
	cf.AddDeveloper("alice-guid", "s1")
	cf.AddDeveloper("alice-guid", "s2")
	cf.PageSize(1)
	for path, want := range map[string]string{
		"/v3/apps?guids=a,b,c&per_page=3":                                          `"href":"` + cf.CC.URL + `/v3/spaces/s1"`,
		"/v3/apps?guids=a,b&per_page=2&page=2":                                     `"guid":"b"`,
		"/v3/apps?names=b":                                                         `"guid":"b"`,
		"/v3/roles?types=space_developer&user_guids=alice-guid&space_guids=s2":     `"guid":"s2"`,
		"/v2/spaces/s1":                                                            `"organization_guid":"org"`,
		"/v2/spaces?q=developer_guid:alice-guid&q=name:s1&q=organization_guid:org": `"total_results":1`,
		"/v2/users/alice-guid/spaces?results-per-page=100":                         `"next_url":"/v2/users/alice-guid/spaces?page=2`,
		"/internal/v4/asg_latest_update":                                           `"last_update":"20`,
		"/v3/security_groups?per_page=5000":                                        `"resources":[]`,
	} {
		status, body := ask(t, get(t, cf.CC.URL+path, own))
		text, _ := json.Marshal(body)
		if status != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s, want %s", path, status, text, want)
		}
	}
	if n := cf.CC.Calls("/v3/apps"); n != 3 {
		t.Errorf("counted %d requests for apps, want 3", n)
	}
	cf.RevokeOwn()
	if status, _ := ask(t, get(t, cf.CC.URL+"/v3/apps", own)); status != http.StatusUnauthorized {
		t.Errorf("with a revoked token: %d", status)
	}
	cf.CC.Stop()
	if res, err := http.DefaultClient.Do(get(t, cf.CC.URL+"/v3/apps", user)); err == nil {
		res.Body.Close()
		t.Error("it answers although it was stopped")
	}
	cf.CC.Resume(t)
	if status, _ := ask(t, get(t, cf.CC.URL+"/v3/apps", user)); status != http.StatusOK {
		t.Errorf("after a stop: %d", status)
	}
}
