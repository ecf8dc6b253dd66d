package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

// maxAnswer bounds what a request of at most some kilobytes is answered.
const maxAnswer = 256 << 10

// fuzzed is a real controller with its database, and what a fuzzer asks it.
type fuzzed struct {
	*server.Server
	base   string // of the API that is fuzzed
	client *http.Client
	admin  *http.Client // reads the state
	typed  *api.Client  // the same, for writing
}

func newFuzzed(s *server.Server, base string, client *http.Client) *fuzzed {
	return &fuzzed{Server: s, base: base, client: client, admin: &http.Client{}, typed: api.NewClient("http://"+s.External.String(), s.Token)}
}

// methods are what a fuzzer chooses from: others are all alike.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "BREW"}

func methodOf(number uint8) string { return methods[int(number)%len(methods)] }

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send makes one request. False: there is no such request. A connection that
// breaks is a handler that panicked. Streams are read for a moment.
func (x *fuzzed) send(t *testing.T, method, target string, header http.Header, body []byte) (reply, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := url.ParseRequestURI(target); err != nil || !strings.HasPrefix(target, "/") || len(target) > 16<<10 {
		return reply{}, false
	}
	request, err := http.NewRequestWithContext(ctx, method, x.base+target, bytes.NewReader(body))
	if err != nil {
		return reply{}, false
	}
	request.Header = header
	response, err := x.client.Do(request)
	switch {
	case err != nil && (strings.Contains(err.Error(), "invalid header field value") || errors.Is(err, context.DeadlineExceeded)):
		return reply{}, false
	case err != nil:
		t.Fatalf("%s %q with %q: %v", method, target, body, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s %q with %q: answer broke off: %v", method, target, body, err)
	}
	return reply{response.StatusCode, response.Header, text}, true
}

// check holds what is true of every answer.
func (r reply) check(t *testing.T, request string) {
	t.Helper()
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	switch {
	case len(r.body) > maxAnswer:
		t.Fatalf("%s: an answer of more than %d bytes", request, maxAnswer)
	case r.status >= 500:
		t.Fatalf("%s: %d %s", request, r.status, r.body)
	case kind == "application/json" && !json.Valid(r.body), kind == "application/problem+json" && !json.Valid(r.body):
		t.Fatalf("%s: %d and no JSON: %q", request, r.status, r.body)
	case r.status < 400:
		return
	}
	var fault struct {
		Error, Detail string
		Status        int
	}
	switch kind {
	case "text/plain": // by the router
		if r.status != http.StatusNotFound && r.status != http.StatusMethodNotAllowed {
			t.Fatalf("%s: %d %q", request, r.status, r.body)
		}
	case "application/json":
		if err := json.Unmarshal(r.body, &fault); err != nil || fault.Error == "" {
			t.Fatalf("%s: %d without an error: %q", request, r.status, r.body)
		}
	case "application/problem+json":
		if err := json.Unmarshal(r.body, &fault); err != nil || fault.Detail == "" || fault.Status != r.status {
			t.Fatalf("%s: %d and no problem document: %q", request, r.status, r.body)
		}
	default:
		t.Fatalf("%s: %d of type %q: %q", request, r.status, kind, r.body)
	}
}

// state is all that requests can change, as the admin reads it.
func (x *fuzzed) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/networking/v1/external/policies", "/weft/v1/logging", "/weft/v1/endpoints", "/weft/v1/cells"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+x.External.String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+x.Token)
		response, err := x.admin.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s, %v", path, response.Status, text, err)
		}
		all.Write(text)
	}
	return all.String()
}

// forget removes all policies when there are many, so that later requests are
// as fast as the first.
func (x *fuzzed) forget(t *testing.T) {
	t.Helper()
	list, err := x.typed.Policies(t.Context(), api.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Policies) > 50 {
		if _, err := x.typed.RemovePolicies(t.Context(), list.Policies, api.Wait{}); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzExternal: whatever an admin sends to the external and the native API,
// the answer is one of theirs, and what was refused has changed nothing.
func FuzzExternal(f *testing.F) {
	_, config := install(f)
	s := run(f, config)
	x := newFuzzed(s, "http://"+s.External.String(), &http.Client{})
	const one = `{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp","ports":{"start":1,"end":65535}}}]}`
	const native = `{"policies":[{"source":"a","destination":"b","protocol":"udp","ports":{"start":53,"end":53},"name":"n","labels":{"k":"v"}}]}`
	for _, seed := range [][4]string{
		{"GET", "/", "", ""}, {"GET", "/health", "", ""}, {"OPTIONS", "/networking/v1/external/policies", "https://a", ""}, {"HEAD", "/weft/v1/cells", "", ""},
		{"POST", "/networking/v1/external/policies", "id", one}, {"POST", "/networking/v0/external/policies", "", strings.Replace(one, `"ports":{"start":1,"end":65535}`, `"port":1`, 1)},
		{"POST", "/networking/v1/external/policies?wait=applied&timeout=1ms", "", one}, {"POST", "/networking/v1/external/policies?wait=x&timeout=-1s", "", one},
		{"POST", "/networking/v1/external/policies/delete", "", one}, {"POST", "/networking/v2/external/policies/delete", "", one}, {"POST", "/networking/v1/external/policies/cleanup", "", ""},
		{"POST", "/networking/v1/external/policies", "", `{"policies":[{"source":{"id":"\u0000"},"destination":{"id":"\ud800","protocol":"tcp","ports":{"start":7,"end":7}}}]}`},
		{"POST", "/networking/v1/external/policies", "", strings.Replace(one, `"a"`, `"`+strings.Repeat("a", 300)+`"`, 1)},
		{"POST", "/networking/v1/external/policies", "", `{"policies":{"a":` + strings.Repeat("[", 11_000)}, {"POST", "/networking/v1/external/policies", "", "\xff"},
		{"GET", "/networking/v1/external/policies?id=a,b&source_id=&dest_id=%00", "", ""}, {"GET", "/networking/v0/external/policies?source_id=%ff", "", ""}, {"GET", "/networking/v1/external/policies?id=a;b&%zz", "", ""},
		{"GET", "/networking/v1/external/tags", "", ""}, {"GET", "/networking/v1/external/whoami", "", ""}, {"GET", "/networking/%2e%2e/external/tags", "", ""},
		{"GET", "/weft/v1/policies?limit=1&after=0&label=a=b&set=x", `"1"`, ""}, {"GET", "/weft/v1/policies?limit=-1&after=99999999999999999999&label=", "", ""}, {"GET", "/weft/v1/policies/1", "", ""}, {"GET", "/weft/v1/policies/x", "", ""},
		{"POST", "/weft/v1/policies", "", native}, {"POST", "/weft/v1/policies", `"0"`, native}, {"POST", "/weft/v1/policies", "*", `{"policies":null}`}, {"POST", "/weft/v1/policies", "", `{"policies":[{}]}`},
		{"PATCH", "/weft/v1/policies/1", "", `{"name":"x","labels":{"":""}}`}, {"PATCH", "/weft/v1/policies/1", "", `{"description":"\u0000"}`}, {"DELETE", "/weft/v1/policies/1", "", ""}, {"DELETE", "/weft/v1/policies/0", `W/"1"`, ""},
		{"PUT", "/weft/v1/sets/web?prune=true", "", native}, {"PUT", "/weft/v1/sets/web?dry_run=1&prune=maybe", "", native}, {"PUT", "/weft/v1/sets/%20", "", native}, {"GET", "/weft/v1/sets", "", ""}, {"GET", "/weft/v1/sets/web", "", ""},
		{"GET", "/weft/v1/apps/a/reachers", "", ""}, {"GET", "/weft/v1/apps/%2f/reachers", "", ""}, {"GET", "/weft/v1/audit?limit=3&app=a&by=token&before=9", "", ""}, {"GET", "/weft/v1/audit?limit=x&before=-1", "", ""},
		{"GET", "/weft/v1/watch?app=a", "18446744073709551615", ""}, {"GET", "/weft/v1/watch", "0", ""}, {"GET", "/openapi.json", "", ""},
		{"GET", "/weft/v1/cells", "", ""}, {"GET", "/weft/v1/groups", "", ""}, {"GET", "/weft/v1/endpoints", "", ""}, {"GET", "/weft/v1/cookies/0x4000000000000001", "", ""}, {"GET", "/weft/v1/cookies/-1", "", ""},
		{"PUT", "/weft/v1/logging", "", `{"accepted":true,"apps":["a","a"]}`}, {"PUT", "/weft/v1/logging", "", `{"apps":[""]}`}, {"PUT", "/weft/v1/logging", "", `[]`},
	} {
		f.Add(uint8(slices.Index(methods, seed[0])), seed[1], seed[2], []byte(seed[3]))
	}
	f.Fuzz(func(t *testing.T, number uint8, target, header string, body []byte) {
		method := methodOf(number)
		before := x.state(t)
		got, sent := x.send(t, method, target, http.Header{
			"Authorization": {"Bearer " + x.Token}, "Origin": {header}, "If-Match": {header}, "If-None-Match": {header},
			"Last-Event-Id": {header}, "X-Vcap-Request-Id": {header},
		}, body)
		if !sent {
			return
		}
		request := method + " " + target
		if method != http.MethodHead { // whose answers have no body
			got.check(t, request)
		}
		if got.status >= 400 && x.state(t) != before {
			t.Fatalf("%s with %q: refused with %d %s, and the state is another", request, body, got.status, got.body)
		}
		x.forget(t)
	})
}

// FuzzInternal: the same of what a cell with its certificate sends. STREAM in a
// body stands for the id of the cell's open stream.
func FuzzInternal(f *testing.F) {
	dir, config := install(f)
	s := run(f, config)
	tls, err := api.ClientTLS(keys(dir, "cell-1"))
	if err != nil {
		f.Fatal(err)
	}
	x := newFuzzed(s, "https://"+s.Internal.String(), &http.Client{Transport: &http.Transport{TLSClientConfig: tls, ForceAttemptHTTP2: true}})
	if _, err := agentClient(f, s, dir, "cell-1").Lease(f.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		f.Fatal(err)
	}
	stream := openStream(f, s, dir)
	endpoint := `{"container":"c1","app":"a","ip":"10.255.1.2","ofport":10,"egress":["tcp 10.0.0.0/8 443"],"space":"s","workload":"task"}`
	for _, seed := range [][3]string{
		{"POST", "/weft/v1/lease", `{"vtep":"192.0.2.1"}`}, {"POST", "/weft/v1/lease", `{"vtep":"::1"}`}, {"POST", "/weft/v1/lease", `{"vtep":"127.0.0.1/8"}`}, {"POST", "/weft/v1/lease", ``},
		{"POST", "/weft/v1/stream", `{"vtep":"192.0.2.1","endpoints":[` + endpoint + `,{}]}`}, {"POST", "/weft/v1/stream", `{"vtep":"192.0.2.9"}`}, {"POST", "/weft/v1/stream", `{"hashes":{"base":"zz"},"services":[{}]}`}, {"POST", "/weft/v1/stream", `[]`},
		{"POST", "/weft/v1/endpoints", `{"stream":"STREAM","up":[` + endpoint + `],"down":["c2"]}`}, {"POST", "/weft/v1/endpoints", `{"stream":"STREAM","up":[{"container":"","app":"\u0000","ip":"10.255.1.255","ofport":70000}]}`},
		{"POST", "/weft/v1/endpoints", `{"stream":"x"}`}, {"POST", "/weft/v1/endpoints", `{"stream":"STREAM","up":[{"container":"c3","app":"b","ip":"10.255.1.3","ofport":-1}]}`},
		{"POST", "/weft/v1/applied", `{"stream":"STREAM","seq":1}`}, {"POST", "/weft/v1/applied", `{"stream":"STREAM","seq":18446744073709551615}`}, {"POST", "/weft/v1/applied", `{"seq":-1}`},
		{"GET", "/weft/v1/groups?id=1,2", ``}, {"GET", "/weft/v1/groups?id=x", ``}, {"GET", "/weft/v1/groups?id=0,70000", ``},
		{"GET", "/networking/v1/internal/policies?id=a,b", ``}, {"GET", "/networking/banana/internal/policies", ``}, {"GET", "/networking/v1/internal/policies_last_updated", ``},
		{"PUT", "/networking/v1/internal/tags", `{"ID":"INGRESS_ROUTER","Type":"router"}`}, {"PUT", "/networking/v1/internal/tags", `{"id":"","type":""}`}, {"PUT", "/networking/v1/internal/tags", `{`}, {"PUT", "/networking/v1/internal/tags", `{"id":"a","type":"router"}`},
		{"GET", "/networking/v1/internal/security_groups?space_guids=a,b&limit=1&from=0", ``}, {"GET", "/networking/v1/internal/security_groups?limit=x", ``}, {"GET", "/networking/v1/internal/security_groups?from=-1", ``},
	} {
		f.Add(uint8(slices.Index(methods, seed[0])), seed[1], []byte(seed[2]))
	}
	f.Fuzz(func(t *testing.T, number uint8, target string, body []byte) {
		method := methodOf(number)
		before := x.state(t)
		got, sent := x.send(t, method, target, http.Header{}, bytes.ReplaceAll(body, []byte("STREAM"), []byte(stream)))
		if !sent {
			return
		}
		if got.status == http.StatusInternalServerError && contractual(target, got.body) {
			return
		}
		request := method + " " + target
		if method != http.MethodHead {
			got.check(t, request)
		}
		if got.status >= 400 && x.state(t) != before {
			t.Fatalf("%s with %q: refused with %d %s, and the state is another", request, body, got.status, got.body)
		}
		if strings.HasPrefix(target, "/weft/v1/stream") || got.status == http.StatusGone {
			stream = openStream(t, s, dir) // it may have replaced ours
		}
	})
}

// contractual says whether Cloud Foundry's contract wants status 500 here.
func contractual(target string, body []byte) bool {
	text := string(body)
	return strings.Contains(target, "/internal/security_groups") && strings.Contains(text, "invalid value for '") ||
		strings.Contains(target, "/internal/tags") && strings.Contains(text, "database create failed")
}

// openStream opens the cell's stream and returns its id. It ends with the
// server, since it must outlive the input that opened it.
func openStream(t testing.TB, s *server.Server, dir string) string {
	t.Helper()
	stream, err := agentClient(t, s, dir, "cell-1").Open(context.Background(), api.Hello{VTEP: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		message, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		if message.Stream != "" {
			return message.Stream
		}
	}
}
