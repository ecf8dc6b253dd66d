package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// foreign is a client with a certificate of our CA that is no cell's.
func (x *inside) foreign(t *testing.T) *http.Client {
	t.Helper()
	x.issue(t, "agent", &x509.Certificate{
		Subject: pkix.Name{CommonName: "vxlan-policy-agent.client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	config, err := api.ClientTLS(x.files("agent"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 5 * time.Second, Transport: transport}
}

// ask makes a request and returns status, header and body.
func (x *inside) ask(t *testing.T, client *http.Client, method, path, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, x.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Vcap-Request-Id", "abc")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// TestInternalOfCloudFoundry: what agents written for upstream's policy server
// ask, and what they are told.
func TestInternalOfCloudFoundry(t *testing.T) {
	x := newInside(t)
	client := x.foreign(t)
	policy := func(from, to string, first, last uint16) api.Policy {
		return api.Policy{From: flows.AppID(from), To: flows.AppID(to), Protocol: flows.TCP, Ports: flows.PortRange{First: first, Last: last}}
	}
	if _, err := x.AddPolicies(t.Context(), []api.Policy{policy("cats", "dogs", 1, 65535), policy("mice", "cats", 80, 80)}, api.Order{}); err != nil {
		t.Fatal(err)
	}
	x.Secured = []api.SecurityGroup{
		{ID: 1, GUID: "dns", Name: "DNS", Rules: `[{"protocol":"udp"}]`, StagingDefault: true, RunningDefault: true},
		{ID: 2, GUID: "db", Name: "Db", Rules: `[]`, RunningSpaces: []string{"zoo"}},
		{ID: 4, GUID: "build", Name: "Build", Rules: `[]`, StagingSpaces: []string{"farm", "zoo"}},
	}
	const (
		catsToDogs = `{"source":{"id":"cats","tag":"0065"},"destination":{"id":"dogs","tag":"0066","protocol":"tcp","ports":{"start":1,"end":65535}}}`
		miceToCats = `{"source":{"id":"mice","tag":"0067"},"destination":{"id":"cats","tag":"0065","protocol":"tcp","ports":{"start":80,"end":80}}}`
		none       = `{"total_policies":0,"policies":[]}`
		dns        = `{"guid":"dns","name":"DNS","rules":"[{\"protocol\":\"udp\"}]","staging_default":true,"running_default":true,"staging_space_guids":[],"running_space_guids":[]}`
		db         = `{"guid":"db","name":"Db","rules":"[]","staging_default":false,"running_default":false,"staging_space_guids":[],"running_space_guids":["zoo"]}`
		build      = `{"guid":"build","name":"Build","rules":"[]","staging_default":false,"running_default":false,"staging_space_guids":["farm","zoo"],"running_space_guids":[]}`
	)
	groups := func(next, list string) string { return `{"next":` + next + `,"security_groups":[` + list + `]}` }
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/networking/v1/internal/policies", "", 200, `{"total_policies":2,"policies":[` + catsToDogs + `,` + miceToCats + `]}`},
		{"GET", "/networking/v1/internal/policies?id=dogs,birds", "", 200, `{"total_policies":1,"policies":[` + catsToDogs + `]}`},
		{"GET", "/networking/v0/internal/policies?id=mice", "", 200, `{"total_policies":1,"policies":[` + miceToCats + `]}`},
		{"GET", "/networking/v77/internal/policies?id=mice&id=dogs&source_id=nobody&dest_id=nobody", "", 200, `{"total_policies":1,"policies":[` + miceToCats + `]}`},
		{"GET", "/networking/v1/internal/policies?id=", "", 200, none},
		{"GET", "/networking/v1/internal/policies?id=birds", "", 200, none},
		{"GET", "/networking/v1/internal/policies_last_updated", "", 200, `1`},
		{"GET", "/networking/v0/internal/policies_last_updated", "", 200, `1`},
		{"PUT", "/networking/v1/internal/tags", `{"id":"INGRESS_ROUTER","type":"router"}`, 200, `{"id":"INGRESS_ROUTER","tag":"0068","type":"router"}`},
		{"PUT", "/networking/v1/internal/tags", `{"ID":"INGRESS_ROUTER","Type":"router"}`, 200, `{"id":"INGRESS_ROUTER","tag":"0068","type":"router"}`},
		{"PUT", "/networking/v1/internal/tags", `{"id":"INGRESS_ROUTER","type":"other"}`, 500, `{"error": "database create failed"}`},
		{"PUT", "/networking/v1/internal/tags", `{`, 400, `{"error": "failed parsing request body"}`},
		{"PUT", "/networking/v1/internal/tags", ``, 400, `{"error": "failed parsing request body"}`},
		{"PUT", "/networking/v1/internal/tags", `{"id":7}`, 400, `{"error": "failed parsing request body"}`},
		{"PUT", "/networking/v1/internal/tags", `{}`, 200, `{"id":"","tag":"0069","type":""}`},
		{"PUT", "/networking/v0/internal/tags", `{"id":"x","type":"router"}`, 404, "404 page not found\n"},
		{"POST", "/networking/v1/internal/tags", `{}`, 405, "Method Not Allowed\n"},
		{"GET", "/networking/v1/internal/security_groups", "", 200, groups("0", dns)},
		{"GET", "/networking/v1/internal/security_groups?space_guids=", "", 200, groups("0", dns)},
		{"GET", "/networking/v1/internal/security_groups?space_guids=zoo&per_page=5000", "", 200, groups("0", dns+","+db+","+build)},
		{"GET", "/networking/v0/internal/security_groups?space_guids=desert,farm", "", 200, groups("0", dns+","+build)},
		{"GET", "/networking/v1/internal/security_groups?space_guids=zoo&limit=2", "", 200, groups("4", dns+","+db)},
		{"GET", "/networking/v1/internal/security_groups?space_guids=zoo&limit=2&from=4", "", 200, groups("0", build)},
		{"GET", "/networking/v1/internal/security_groups?space_guids=zoo&limit=1&from=2", "", 200, groups("4", db)},
		{"GET", "/networking/v1/internal/security_groups?from=5", "", 200, groups("0", "")},
		{"GET", "/networking/v1/internal/security_groups?from=x&limit=y", "", 500, `{"error": "invalid value for 'from' parameter"}`},
		{"GET", "/networking/v1/internal/security_groups?limit=y", "", 500, `{"error": "invalid value for 'limit' parameter"}`},
		{"GET", "/networking/v1/internal/security_groups_last_updated", "", 200, `3`},
		{"GET", "/networking/v1/internal/healthcheck", "", 200, `{"healthcheck":true}`},
		{"GET", "/", "", 404, "404 page not found\n"},
		{"GET", "/networking/v1/external/policies", "", 404, "404 page not found\n"},
	} {
		status, header, got := x.ask(t, client, tt.method, tt.path, tt.body)
		if status != tt.status || got != tt.want {
			t.Errorf("%s %s %s:\ngot  %d %s\nwant %d %s", tt.method, tt.path, tt.body, status, got, tt.status, tt.want)
		}
		if id := header.Get("X-Vcap-Request-Id"); !strings.HasPrefix(id, "abc::") || header.Get("Strict-Transport-Security") != "max-age=31536000" || header.Get("X-Frame-Options") != "" {
			t.Errorf("%s %s: header %v", tt.method, tt.path, header)
		}
	}
	x.Failure = api.Unavailable("no database")
	for path, want := range map[string]string{
		"GET policies": "database read failed", "GET policies_last_updated": "database read failed", "GET security_groups": "database read failed",
		"GET security_groups_last_updated": "database read failed", "PUT tags": "database create failed",
	} {
		method, name, _ := strings.Cut(path, " ")
		if status, _, got := x.ask(t, client, method, "/networking/v1/internal/"+name, `{"id":"x","type":"y"}`); status != 500 || got != `{"error": "`+want+`"}` {
			t.Errorf("%s without a database: %d %s", path, status, got)
		}
	}
	if !strings.Contains(x.log.String(), "client=vxlan-policy-agent.client") {
		t.Error("the log does not say who asked")
	}
}

// TestClientsAreNoCells: a certificate that is not a cell's opens no route of
// agents, and without one nothing opens.
func TestClientsAreNoCells(t *testing.T) {
	x := newInside(t)
	client := x.foreign(t)
	for _, path := range []string{"POST /weft/v1/lease", "POST /weft/v1/stream", "POST /weft/v1/endpoints", "POST /weft/v1/applied", "GET /weft/v1/groups?id=1"} {
		method, path, _ := strings.Cut(path, " ")
		if status, _, got := x.ask(t, client, method, path, `{}`); status != 403 || !strings.Contains(got, "the certificate is not a cell's") {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
	config, err := api.ClientTLS(x.files("agent"))
	if err != nil {
		t.Fatal(err)
	}
	config.GetClientCertificate = nil
	bare := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	if resp, err := bare.Get(x.url + "/networking/v1/internal/policies"); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("no certificate: %v, %v", resp, err)
	}
	plain := "http" + strings.TrimPrefix(x.url, "https") + "/networking/v1/internal/policies"
	resp, err := http.Get(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(text), "Client sent an HTTP request to an HTTPS server.") {
		t.Errorf("plain HTTP: %d %s", resp.StatusCode, text)
	}
}

// vanishing lists policies whose apps have lost their group ids since.
type vanishing struct{ *inside }

func (vanishing) GroupsOf(context.Context, []flows.AppID) (map[flows.AppID]flows.GroupID, error) {
	return map[flows.AppID]flows.GroupID{"cats": 1}, nil
}

// TestVanishingPolicy: a policy that was removed between two looks is not
// listed with a tag that is nobody's.
func TestVanishingPolicy(t *testing.T) {
	x := newInside(t)
	if _, err := x.AddPolicies(t.Context(), []api.Policy{{From: "cats", To: "dogs", Protocol: flows.TCP}}, api.Order{}); err != nil {
		t.Fatal(err)
	}
	handler := api.NewInternal(api.Internal{Agents: x, Policies: x, Identities: vanishing{x}, TagDigits: 4, Log: slog.New(slog.DiscardHandler)})
	list := func() string {
		r := httptest.NewRequest("GET", "/networking/v1/internal/policies", nil)
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: "a.client"}}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Body.String()
	}
	if got := list(); got != `{"total_policies":0,"policies":[]}` {
		t.Errorf("listed %s", got)
	}
	x.Failure = errors.New("secret")
	if got := list(); got != `{"error": "database read failed"}` {
		t.Errorf("failed as %s", got)
	}
}
