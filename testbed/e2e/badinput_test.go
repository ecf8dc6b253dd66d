package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// What the runtime or the operator gets wrong is said clearly by ADD, and
// leaves nothing behind.
func TestBadAttachments(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(2)
	before := cell.Belongings()
	for _, c := range []struct {
		name    string
		network testbed.Network
		want    string // in the error
	}{
		{"unknown bridge", testbed.Network{Change: map[string]any{"bridge": "br-none"}}, "br-none"},
		{"no bridge", testbed.Network{Change: map[string]any{"bridge": 7}}, "bridge"},
		{"no database", testbed.Network{Change: map[string]any{"ovsdb": "unix:/nowhere/db.sock"}}, "/nowhere/db.sock"},
		{"malformed endpoint", testbed.Network{Change: map[string]any{"ovsdb": "db.sock"}}, "ovsdb"},
		{"malformed timeout", testbed.Network{Change: map[string]any{"readyTimeout": "soon"}}, "readyTimeout"},
		{"no lease", testbed.Network{Change: map[string]any{"subnetFile": "/nowhere/subnet.json"}}, "/nowhere/subnet.json"},
		{"missing netns", testbed.Network{NetNS: "/run/netns/none"}, "/run/netns/none"},
		{"MTU too large", testbed.Network{Change: map[string]any{"mtu": 70000}}, "mtu"},
	} {
		_, err := cell.TryConfig(c.network)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: ADD says %v, want an error that names %q", c.name, err, c.want)
		}
	}
	if err := cell.Belongings().Same(before); err != nil {
		t.Errorf("after failed attachments: %v", err)
	}
}

// A lease of two addresses has none left for the third container, and one
// again when one stops.
func TestExhaustedLease(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(2)
	small := testbed.Network{Change: cell.SmallLease(2)}
	first, err := cell.TryConfig(small)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cell.TryConfig(small); err != nil {
		t.Fatal(err)
	}
	before := cell.Belongings()
	if _, err = cell.TryConfig(small); err == nil || !strings.Contains(err.Error(), "address") {
		t.Errorf("third container of a lease of two: %v, want an error about addresses", err)
	}
	if err := cell.Belongings().Same(before); err != nil {
		t.Errorf("after the failed attachment: %v", err)
	}
	first.Stop()
	if _, err = cell.TryConfig(small); err != nil {
		t.Errorf("after one has stopped: %v", err)
	}
}

// Without an agent ADD fails when its time is up, says so, and leaves nothing.
func TestAttachWithoutAgent(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(2)
	before := cell.Belongings()
	cell.KillAgent()
	start := time.Now()
	_, err := cell.TryConfig(testbed.Network{App: "late", Change: map[string]any{"readyTimeout": "2s"}})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("ADD took %s with a readyTimeout of 2s", took)
	}
	if err == nil || !strings.Contains(err.Error(), "weft-agent") {
		t.Errorf("ADD says %v, want an error that names weft-agent", err)
	}
	cell.StartAgent()
	if err := cell.Belongings().Same(before); err != nil {
		t.Errorf("after the failed attachment: %v", err)
	}
}

// The policy API refuses bad requests with Cloud Foundry's words and keeps
// nothing of them.
func TestBadPolicies(t *testing.T) {
	bed := bed(t)
	for _, c := range []struct {
		name, body, token string
		status            int
		want              string
	}{
		{"no token", policy("tcp", "8080"), "", 401, "missing authorization header"},
		{"wrong token", policy("tcp", "8080"), "Bearer wrong", 401, "token"},
		{"port 0", policy("tcp", "0"), "Bearer " + bed.Token(), 400, "missing start port"},
		{"port 70000", policy("tcp", "70000"), "Bearer " + bed.Token(), 400, "invalid end port 70000, must be in range 1-65535"},
		{"icmp", policy("icmp", "8080"), "Bearer " + bed.Token(), 400, "invalid destination protocol, specify either udp or tcp"},
		{"not JSON", "allow cats dogs", "Bearer " + bed.Token(), 400, "invalid character 'a' looking for beginning of value"},
		{"one good, one bad", strings.Replace(policy("tcp", "8080"), "]", ","+policyItem("tcp", "0")+"]", 1), "Bearer " + bed.Token(), 400, "missing start port"},
	} {
		status, text := post(t, bed, c.body, c.token)
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %d and %q", c.name, status, text, c.status, c.want)
		}
	}
	infos, err := bed.Client().Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range infos {
		if strings.HasPrefix(g.App, "bad-") {
			t.Errorf("app %s of a refused policy has group id %d", g.App, g.Group)
		}
	}
}

func policyItem(protocol, port string) string {
	return `{"source":{"id":"bad-cats"},"destination":{"id":"bad-dogs","protocol":"` + protocol + `","ports":{"start":` + port + `,"end":` + port + `}}}`
}

func policy(protocol, port string) string { return `{"policies":[` + policyItem(protocol, port) + `]}` }

func post(t *testing.T, bed *testbed.Bed, body, authorization string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, bed.URL()+"/networking/v1/external/policies", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
