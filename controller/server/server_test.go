package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/flows"
)

const patience = 20 * time.Second

// install makes certificates for cell-1 to cell-3 and a configuration that
// listens on free ports.
func install(t testing.TB) (dir string, config server.Config) {
	t.Helper()
	dir = t.TempDir()
	cells, err := pki.ParseCells("cell-1,cell-2,cell-3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(pki.Request{Dir: dir, Cells: cells, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	config = server.Default()
	config.Listen, config.InternalListen = "127.0.0.1:0", "127.0.0.1:0"
	config.InternalTLS = keys(dir, "controller")
	config.Database = "sqlite://" + filepath.Join(dir, "db", "weft.db")
	config.Auth.TokenFile = filepath.Join(dir, "db", "token")
	return dir, config
}

func keys(dir, name string) api.KeyFiles {
	return api.KeyFiles{
		Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, pki.AuthorityCert),
	}
}

func run(t testing.TB, config server.Config) *server.Server {
	t.Helper()
	s, err := server.Start(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() }) // tests that care have stopped it, and looked
	return s
}

func agentClient(t testing.TB, s *server.Server, dir, cell string) *api.AgentClient {
	t.Helper()
	config, err := api.ClientTLS(keys(dir, cell))
	if err != nil {
		t.Fatal(err)
	}
	return api.NewAgentClient("https://"+s.Internal.String(), config)
}

func body(from, to string, port int) []api.PolicyBody {
	return []api.PolicyBody{{
		Source: api.Source{ID: from}, Destination: api.Destination{ID: to, Protocol: "tcp", Ports: api.Ports{Start: port, End: port}},
	}}
}

// TestWholeController: two agents over mTLS, an admin with the token, and a
// policy that is waited for.
func TestWholeController(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	admin := api.NewClient("http://"+s.External.String(), s.Token)

	for i, app := range []string{"front", "back"} {
		agent := agentClient(t, s, dir, fmt.Sprintf("cell-%d", i+1))
		vtep := fmt.Sprintf("192.0.2.%d", i+1)
		lease, err := agent.Lease(ctx, api.LeaseRequest{VTEP: vtep})
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("{cell-%d 10.255.%d.0/24 [10.255.0.0/16] 1 4789 604800}", i+1, i+1); fmt.Sprint(lease) != want {
			t.Errorf("lease %v, want %s", lease, want)
		}
		stream, err := agent.Open(ctx, api.Hello{VTEP: vtep, Endpoints: []api.Endpoint{
			{Container: "c1", App: app, IP: fmt.Sprintf("10.255.%d.2", i+1), OFPort: 10},
			{Container: "astray", App: app, IP: "10.254.0.1", OFPort: 11}, {Container: "-", IP: "?"}, // refused alone
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		go obey(ctx, agent, stream)
	}
	change, err := admin.AddPolicies(ctx, body("front", "back", 8080), api.Wait{For: api.WaitApplied, Timeout: patience})
	if err != nil || len(change.Pending) != 0 {
		t.Fatalf("adding a policy: %+v, %v", change, err)
	}
	cells, err := admin.Cells(ctx)
	if err != nil || len(cells) != 2 || !cells[1].Connected || cells[1].Applied < uint64(change.Revision) || cells[1].Endpoints != 1 {
		t.Errorf("cells %+v, %v; the policy was revision %d", cells, err, change.Revision)
	}
	info, _, err := admin.PolicyDetails(ctx, api.DetailFilter{})
	if err != nil || len(info) != 1 {
		t.Fatalf("policies %+v, %v", info, err)
	}
	why, err := admin.Explain(ctx, info[0].Cookie)
	if err != nil || why.Text != `policy 1: app "front" may connect to app "back" on tcp/8080` || why.File != "flows/policy.go" {
		t.Errorf("cookie %s: %+v, %v", info[0].Cookie, why, err)
	}

	// Stopped and started again over the same database it has the same.
	if err := s.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	again := run(t, config)
	if again.Token != s.Token {
		t.Error("the token has changed")
	}
	policies, err := api.NewClient("http://"+again.External.String(), again.Token).Policies(ctx, api.Filter{})
	if err != nil || len(policies.Policies) != 1 {
		t.Errorf("after a restart: policies %v, %v", policies, err)
	}
}

// obey acknowledges everything, as an agent whose switch takes everything.
func obey(ctx context.Context, agent *api.AgentClient, stream *api.AgentStream) {
	var id string
	for {
		msg, err := stream.Next()
		if err != nil {
			return
		}
		if msg.Stream != "" {
			id = msg.Stream
		}
		if agent.Acknowledge(ctx, api.Applied{Stream: id, Seq: msg.Seq}) != nil {
			return
		}
	}
}

// TestExplain: each kind of cookie leads to what caused the flow.
func TestExplain(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	agent := agentClient(t, s, dir, "cell-1")
	if _, err := agent.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := agent.Open(t.Context(), api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{
		{Container: "c1", App: "dogs", IP: "10.255.1.2", OFPort: 10},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	admin := api.NewClient("http://"+s.External.String(), s.Token)
	both := append(body("cats", "dogs", 80), body("cats", "dogs", 80)...)
	both[1].Destination.Ports.End = 90 // port 80 is now allowed by two policies
	if _, err := admin.AddPolicies(t.Context(), both, api.Wait{}); err != nil {
		t.Fatal(err)
	}
	shared := ""
	for shared == "" {
		msg, err := stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range msg.Set {
			for _, flow := range f.Flows {
				if flow.Cookie.Kind() == flows.KindPolicies {
					shared = flow.Cookie.String()
				}
			}
		}
	}
	for cookie, want := range map[string]string{
		"0x1000000000000032": "part of table 50 (policy) on every cell, whatever runs there",
		"0x200000000aff0102": `container c1 of app "dogs" on cell cell-1, 10.255.1.2 at ofport 10`,
		"0x30000000c0000201": "cell cell-1: its containers use 10.255.1.0/24, its tunnel end is 192.0.2.1",
		"0x4000000000000002": `policy 2: app "cats" may connect to app "dogs" on tcp/80-90`,
		shared:               `2 policies from app "cats" to app "dogs" that cause this flow together`,
		"0x4000000000000009": "not found",
		"0x200000000aff0109": "not found",
		"0x30000000c0000209": "not found",
		"0x5000000000000001": "not found",
		"0x7000000000000001": "not found",
	} {
		why, err := admin.Explain(t.Context(), cookie)
		if got := why.Text; err != nil && want != string(api.KindOf(err)) || err == nil && got != want {
			t.Errorf("cookie %s: %q, %v; want %q", cookie, got, err, want)
		}
	}
}

// TestStrangers: agents need a certificate of this authority, admins the token.
func TestStrangers(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	other, _ := install(t)
	if _, err := agentClient(t, s, other, "cell-1").Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err == nil {
		t.Error("a certificate of another authority was accepted, in both directions")
	}
	mine, err := api.ClientTLS(keys(dir, "cell-1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{
		"no certificate":        {RootCAs: mine.RootCAs},
		"another authority's":   {RootCAs: mine.RootCAs, Certificates: pair(t, other, "cell-1")},
		"the controller's own":  {RootCAs: mine.RootCAs, Certificates: pair(t, dir, "controller")},
		"an authority's as own": {RootCAs: mine.RootCAs, Certificates: pair(t, dir, "ca")},
	} {
		if _, err := api.NewAgentClient("https://"+s.Internal.String(), config).Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := api.NewClient("http://"+s.External.String(), "wrong").Policies(t.Context(), api.Filter{}); api.KindOf(err) != api.ErrUnauthorized {
		t.Errorf("a wrong token: %v", err)
	}
}

func pair(t *testing.T, dir, name string) []tls.Certificate {
	t.Helper()
	files := keys(dir, name)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

// TestToken: made once, for its owner only; what is there is used; what cannot
// be one is refused.
func TestToken(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	info, err := os.Stat(config.Auth.TokenFile)
	if err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Errorf("token file: %v, %v", info.Mode(), err)
	}
	text, _ := os.ReadFile(config.Auth.TokenFile)
	if len(s.Token) != 64 || string(text) != s.Token+"\n" {
		t.Errorf("token %q, file %q", s.Token, text)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(config.Auth.TokenFile, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Start(t.Context(), config, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "holds 5 characters") {
		t.Errorf("a short token: %v", err)
	}
}

// TestStopEndsStreams: SIGTERM's way out does not wait for agents, which never
// hang up by themselves.
func TestStopEndsStreams(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	agent := agentClient(t, s, dir, "cell-1")
	if _, err := agent.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	stream, err := agent.Open(t.Context(), api.Hello{VTEP: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.Stop(); err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("stopped after %v, %v", time.Since(began), err)
	}
	if _, err := stream.Next(); err == nil {
		t.Error("the stream goes on")
	}
	if _, err := http.Get("http://" + s.External.String()); err == nil {
		t.Error("the external API still answers")
	}
}

// TestCannotStart: each reason names what is wrong, and nothing stays open.
func TestCannotStart(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	for name, c := range map[string]struct {
		change func(*server.Config)
		want   string
	}{
		"address taken":  {func(c *server.Config) { c.Listen = s.External.String() }, "listen " + s.External.String()},
		"database taken": {func(c *server.Config) { c.Database = config.Database }, "another weft-controller has it open"},
		"no certificate": {func(c *server.Config) { c.InternalTLS.Cert += ".gone" }, "internal_tls: reading certificate"},
		"bad config":     {func(c *server.Config) { c.VNI = 0 }, `vni "0": must be 1 to 16777215`},
	} {
		_, other := install(t)
		c.change(&other)
		for range 2 { // the second time shows that the first left nothing behind
			if _, err := server.Start(t.Context(), other, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
}

// TestValidate: all faults at once, each with its key and value.
func TestValidate(t *testing.T) {
	bad := server.Config{
		Listen: "nowhere", InternalListen: ":x:y", Database: "weft.db", Auth: server.Auth{Mode: "token", TokenFile: "token"},
		Networks: []string{"10.255.0.1/16", "fd00::/64", "10.0.0.0/24", "10.0.0.0/8"}, SubnetPrefix: 24, VNI: 1 << 24, VXLANPort: 70000, LogLevel: "loud",
	}
	got := fmt.Sprint(bad.Validate())
	for _, want := range []string{
		`listen "nowhere"`, `internal_listen ":x:y"`, `internal_tls.cert_file ""`, `internal_tls.key_file ""`, `internal_tls.ca_file ""`,
		`database "weft.db"`, `auth.token_file "token"`,
		`network "10.255.0.1/16"`, `network "fd00::/64"`, `network "10.0.0.0/24": must be larger`, `network "10.0.0.0/8": overlaps 10.0.0.0/24`,
		`vni "16777216"`, `vxlan_port "70000"`, `log_level "loud"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no fault says %s; they are:\n%s", want, got)
		}
	}
	empty := server.Default()
	empty.Networks, empty.SubnetPrefix, empty.InternalTLS = nil, 31, api.KeyFiles{Cert: "c", Key: "k", CA: "a"}
	if got := fmt.Sprint(empty.Validate()); !strings.Contains(got, "at least one overlay network") || !strings.Contains(got, `subnet_prefix_length "31"`) {
		t.Errorf("faults: %s", got)
	}
	empty.Networks, empty.SubnetPrefix = []string{"10.255.0.0/16"}, 24
	if err := empty.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

// TestHealth: /health asks the database.
func TestHealth(t *testing.T) {
	_, config := install(t)
	s := run(t, config)
	res, err := http.Get("http://" + s.External.String() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || len(text) != 0 || err != nil {
		t.Errorf("%s: %q, %v", res.Status, text, err)
	}
}

// BenchmarkPolicyApplied: one policy over REST, durable, compiled, streamed to
// an agent over mTLS and acknowledged; the agent's switch costs nothing here.
func BenchmarkPolicyApplied(b *testing.B) {
	dir, config := install(b)
	s := run(b, config)
	agent := agentClient(b, s, dir, "cell-1")
	if _, err := agent.Lease(b.Context(), api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil {
		b.Fatal(err)
	}
	stream, err := agent.Open(b.Context(), api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{
		{Container: "c1", App: "back", IP: "10.255.1.2", OFPort: 10},
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	go obey(b.Context(), agent, stream)
	admin := api.NewClient("http://"+s.External.String(), s.Token)
	wait := api.Wait{For: api.WaitApplied, Timeout: patience}
	port := 0
	for b.Loop() {
		port = port%60000 + 1
		if change, err := admin.AddPolicies(b.Context(), body("front", "back", port), wait); err != nil || len(change.Pending) > 0 {
			b.Fatal(change, err)
		}
		if change, err := admin.RemovePolicies(b.Context(), body("front", "back", port), wait); err != nil || len(change.Pending) > 0 {
			b.Fatal(change, err)
		}
	}
}
