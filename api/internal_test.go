package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/api/internal/memory"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/logbook"
)

// inside serves the internal API over real mTLS.
type inside struct {
	*memory.Controller
	*pki
	url  string
	stop context.CancelFunc
	done chan struct{} // closed when Serve has returned
	log  logbook.Logbook
}

func newInside(t *testing.T) *inside {
	t.Helper()
	x := &inside{Controller: memory.New(), pki: newPKI(t), done: make(chan struct{})}
	x.issue(t, "controller", &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	x.issueCell(t, "cell-1")
	config, err := api.ServerTLS(x.files("controller"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.url = "https://" + listener.Addr().String()
	log := slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := api.Server{Handler: api.NewInternal(api.Internal{Agents: x, Names: x, Policies: x, Identities: x, TagDigits: 4, Log: log}), TLS: config, Log: log}
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	go func() {
		defer close(x.done)
		if err := server.Serve(ctx, listener); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-x.done })
	return x
}

func (x *inside) issueCell(t *testing.T, name string) {
	x.issue(t, name, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (x *inside) agent(t *testing.T, name string) *api.AgentClient {
	t.Helper()
	config, err := api.ClientTLS(x.files(name))
	if err != nil {
		t.Fatal(err)
	}
	c := api.NewAgentClient(x.url, config)
	t.Cleanup(c.Close)
	return c
}

var hello = api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{{Container: "c1", App: "cats", IP: "10.255.1.2", OFPort: 7}}}

// TestStream is an agent's conversation from lease to acknowledgement.
func TestStream(t *testing.T) {
	x := newInside(t)
	x.Lent = api.Lease{Subnet: "10.255.1.0/24", Network: []string{"10.255.0.0/16"}, VNI: 1, VXLANPort: 4789}
	agent := x.agent(t, "cell-1")

	lease, err := agent.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"})
	if err != nil || lease.Cell != "cell-1" || lease.Subnet != "10.255.1.0/24" {
		t.Fatalf("lease: %+v, %v", lease, err)
	}
	if got := <-x.Heard; got != (api.LeaseRequest{VTEP: "192.0.2.1"}) {
		t.Errorf("heard %+v", got)
	}
	stream, err := agent.Open(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	far := <-x.Streams
	if far.Cell != "cell-1" || len(far.Hello.Endpoints) != 1 || far.Hello.Endpoints[0] != hello.Endpoints[0] {
		t.Errorf("opened by %s with %+v", far.Cell, far.Hello)
	}
	for seq := uint64(1); seq <= 3; seq++ { // each line is flushed: nothing else pushes it out
		far.Messages <- api.Message{Type: api.TypeDelta, Seq: seq, Revision: 40 + seq}
		if m, err := stream.Next(); err != nil || m.Seq != seq || m.Revision != 40+seq {
			t.Fatalf("message %d: %+v, %v", seq, m, err)
		}
	}
	if err := agent.Report(t.Context(), api.EndpointsReport{Stream: "s", Down: []string{"c1"}}); err != nil {
		t.Error(err)
	}
	if got, ok := (<-x.Heard).(api.EndpointsReport); !ok || got.Down[0] != "c1" {
		t.Errorf("heard %+v", got)
	}
	if err := agent.Acknowledge(t.Context(), api.Applied{Stream: "s", Seq: 3}); err != nil {
		t.Error(err)
	}
	if got := <-x.Heard; got != (api.Applied{Stream: "s", Seq: 3}) {
		t.Errorf("heard %+v", got)
	}

	close(far.Messages) // replaced by a newer one
	if _, err := stream.Next(); !errors.Is(err, api.ErrGone) {
		t.Errorf("at the end of the stream: %v", err)
	}
	<-far.Closed
}

// TestEveryContainerWithManyRules: a full cell whose containers have the longest
// sets of egress rules that there can be says so in one hello and one report.
func TestEveryContainerWithManyRules(t *testing.T) {
	x := newInside(t)
	agent := x.agent(t, "cell-1")
	full := api.Hello{VTEP: "192.0.2.1", Endpoints: slices.Repeat([]api.Endpoint{{Container: "c1", IP: "10.255.1.2", OFPort: 7, Egress: strings.Repeat("x", flows.MaxEgressText)}}, 250)}
	stream, err := agent.Open(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if far := <-x.Streams; len(far.Hello.Endpoints) != 250 {
		t.Errorf("%d endpoints arrived", len(far.Hello.Endpoints))
	}
	if err := agent.Report(t.Context(), api.EndpointsReport{Stream: "s", Up: full.Endpoints}); err != nil {
		t.Error(err)
	}
}

// TestRefusalsKeepTheirKind across the wire.
func TestRefusalsKeepTheirKind(t *testing.T) {
	x := newInside(t)
	agent := x.agent(t, "cell-1")
	for kind, refusal := range map[api.Kind]error{
		api.ErrInvalid: api.Invalid("bad %q", `"`), api.ErrUnauthorized: api.Unauthorized("who?"), api.ErrForbidden: api.Forbidden("no"),
		api.ErrNotFound: api.NotFound("nothing"), api.ErrConflict: api.Conflict("taken"), api.ErrGone: api.Gone("over"),
		api.ErrExhausted: api.Exhausted("none left"), api.ErrUnavailable: api.Unavailable("later"), api.ErrInternal: errors.New("secret"),
	} {
		x.Refusal = map[string]error{"Lease": refusal, "Open": refusal, "Report": refusal, "Acknowledge": refusal}
		_, lease := agent.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"})
		_, open := agent.Open(t.Context(), hello)
		report := agent.Report(t.Context(), api.EndpointsReport{Stream: "s"})
		ack := agent.Acknowledge(t.Context(), api.Applied{Stream: "s", Seq: 1})
		for call, err := range map[string]error{"Lease": lease, "Open": open, "Report": report, "Acknowledge": ack} {
			if !errors.Is(err, kind) || api.KindOf(err) != kind {
				t.Errorf("%s: want kind %s, got %v", call, kind, err)
			}
			if told := kind != api.ErrInternal; told != strings.Contains(err.Error(), refusal.Error()) {
				t.Errorf("%s: %v", call, err)
			}
		}
	}
}

// TestOnlyCellsGetIn: the certificate decides who asks, and nothing else.
func TestOnlyCellsGetIn(t *testing.T) {
	x := newInside(t)
	for _, name := range []string{"Cell_1", "cell.1", strings.Repeat("a", 64), "cell 1", "zelle-ä"} {
		x.issue(t, "odd", &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		_, err := x.agent(t, "odd").Open(t.Context(), hello)
		if !errors.Is(err, api.ErrForbidden) || !strings.Contains(err.Error(), "the certificate is not a cell's") {
			t.Errorf("common name %q: %v", name, err)
		}
	}
	foreign := newPKI(t)
	foreign.issue(t, "cell-1", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	files := foreign.files("cell-1")
	files.CA = x.files("cell-1").CA
	config, err := api.ClientTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.NewAgentClient(x.url, config).Open(t.Context(), hello); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("a certificate of another CA: %v", err)
	}
	if _, err := api.NewAgentClient(x.url, &tls.Config{RootCAs: config.RootCAs}).Open(t.Context(), hello); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("no certificate: %v", err)
	}
	config.RootCAs = x509.NewCertPool()
	if _, err := api.NewAgentClient(x.url, config).Open(t.Context(), hello); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("an agent that does not know the controller: %v", err)
	}
	select {
	case far := <-x.Streams:
		t.Errorf("a stream was opened by %q", far.Cell)
	default:
	}
}

// TestInternalNeedsTLS: without it nobody is a cell.
func TestInternalNeedsTLS(t *testing.T) {
	x := &external{Controller: memory.New()}
	x.handler = api.NewInternal(api.Internal{Agents: x, Log: slog.New(slog.DiscardHandler)})
	for _, path := range []string{"lease", "stream", "endpoints", "applied"} {
		want(t, x.call("POST", "/weft/v1/"+path, `{}`), 401, `{"error": "a client certificate signed by the controller's CA is required"}`)
	}
}

// TestHostileAgents: a body that is not the message of its route is refused.
func TestHostileAgents(t *testing.T) {
	x := newInside(t)
	config, err := api.ClientTLS(x.files("cell-1"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	endpoint := func(e string) string { return `{"vtep":"192.0.2.1","endpoints":[` + e + `]}` }
	for _, tt := range []struct{ path, body, text string }{
		{"stream", ``, `request body: unexpected end of JSON input`},
		{"stream", `[]`, `request body: json: cannot unmarshal array into Go value of type api.Hello`},
		{"stream", endpoint(`{"container":"c1","ip":"10.255.1.2","ofport":70000}`), `request body: json: cannot unmarshal number 70000 into Go struct field Endpoint.endpoints.ofport of type uint16`},
		{"endpoints", `{}`, `stream: missing: give the id from the snapshot`},
		{"applied", `{"seq":1}`, `stream: missing: give the id from the snapshot`},
		{"applied", `{"stream":"s","seq":-1}`, `request body: json: cannot unmarshal number -1 into Go struct field Applied.seq of type uint64`},
		{"lease", strings.Repeat(" ", 64<<20+1), `request body: more than 67108864 bytes`},
	} {
		resp, err := client.Post(x.url+"/weft/v1/"+tt.path, "application/json", strings.NewReader(tt.body))
		if err != nil {
			t.Errorf("%s %.60s: %v", tt.path, tt.body, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := string(text); resp.StatusCode != 400 || got != `{"error": "`+tt.text+`"}` {
			t.Errorf("%s %.60s:\ngot  %d %s\nwant 400 %s", tt.path, tt.body, resp.StatusCode, got, tt.text)
		}
		if resp.ProtoMajor != 2 {
			t.Errorf("spoke %s, not HTTP/2", resp.Proto)
		}
	}
	// a newer agent may say more
	resp, err := client.Post(x.url+"/weft/v1/lease", "application/json", strings.NewReader(`{"vtep":"192.0.2.1","mood":"fine"}`))
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("unknown field: %v, %v", resp, err)
	}
	resp.Body.Close()
}

// TestOddEndpointsReachTheController: it refuses one alone and serves the
// others, so the handlers must not refuse them all.
func TestOddEndpointsReachTheController(t *testing.T) {
	x := newInside(t)
	odd := api.Endpoint{Container: "../x", IP: "banana", OFPort: 0}
	stream, err := x.agent(t, "cell-1").Open(t.Context(), api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{odd}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	far := <-x.Streams
	if len(far.Hello.Endpoints) != 1 || far.Hello.Endpoints[0] != odd {
		t.Errorf("hello arrived as %+v", far.Hello)
	}
	far.Messages <- api.Message{Type: api.TypeSnapshot, Stream: "s", Seq: 1, Refused: &[]api.Refusal{{Container: "../x", Reason: "no"}}}
	if m, err := stream.Next(); err != nil || m.Refused == nil || (*m.Refused)[0].Reason != "no" {
		t.Errorf("message: %+v, %v", m, err)
	}
}

// TestClosingAStream ends it on both sides.
func TestClosingAStream(t *testing.T) {
	x := newInside(t)
	agent := x.agent(t, "cell-1")
	for name, end := range map[string]func(*api.AgentStream, context.CancelFunc){
		"closed":    func(s *api.AgentStream, _ context.CancelFunc) { s.Close(); s.Close() },
		"cancelled": func(_ *api.AgentStream, cancel context.CancelFunc) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := agent.Open(ctx, hello)
		if err != nil {
			t.Fatal(err)
		}
		far := <-x.Streams
		failed := make(chan error, 1)
		go func() { _, err := stream.Next(); failed <- err }()
		end(stream, cancel)
		if err := <-failed; err == nil {
			t.Errorf("%s: Next returned a message", name)
		}
		<-far.Closed // the controller learns of it
		cancel()
	}
}

// TestServerEndsStreams: a controller that stops does not wait for its agents.
func TestServerEndsStreams(t *testing.T) {
	x := newInside(t)
	stream, err := x.agent(t, "cell-1").Open(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	begin := time.Now()
	x.stop()
	if _, err := stream.Next(); !errors.Is(err, api.ErrGone) && !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("Next: %v", err)
	}
	<-x.done
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := x.agent(t, "cell-1").Open(t.Context(), hello); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestSilentController: an agent finds out that nobody is there any more,
// before the stream is accepted and after.
func TestSilentController(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, serve := range map[string]http.HandlerFunc{
		"no answer": func(http.ResponseWriter, *http.Request) { <-release },
		"half a line": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"type":"snap`)
			_ = http.NewResponseController(w).Flush()
			<-release
		},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: serve}
		go func() { _ = server.Serve(listener) }()
		defer server.Close()
		agent := api.NewAgentClient("http://"+listener.Addr().String(), nil)
		agent.SetSilence(200 * time.Millisecond)
		stream, err := agent.Open(t.Context(), hello)
		if err == nil {
			_, err = stream.Next()
			stream.Close()
		}
		if !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "silent for 200ms") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeyFiles: a fault in the files shows at once and names the file.
func TestKeyFiles(t *testing.T) {
	p := newPKI(t)
	p.issue(t, "x", &x509.Certificate{})
	for name, change := range map[string]func(*api.KeyFiles){
		"absent.pem": func(f *api.KeyFiles) { f.Cert = filepath.Join(p.dir, "absent.pem") },
		"absent.key": func(f *api.KeyFiles) { f.Key = filepath.Join(p.dir, "absent.key") },
		"absent-ca":  func(f *api.KeyFiles) { f.CA = filepath.Join(p.dir, "absent-ca") },
		"x.key":      func(f *api.KeyFiles) { f.CA = f.Key },
	} {
		files := p.files("x")
		change(&files)
		for _, load := range []func(api.KeyFiles) (*tls.Config, error){api.ServerTLS, api.ClientTLS} {
			if _, err := load(files); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
