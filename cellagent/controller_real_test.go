package cellagent_test

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/flows"
)

// serverConfig is that of the real controller, with its database in folder.
func serverConfig(folder, internal string) server.Config {
	config := server.Default()
	config.Listen, config.InternalListen = "127.0.0.1:0", internal
	config.Database, config.Auth.TokenFile = "sqlite://"+filepath.Join(folder, "weft.db"), filepath.Join(folder, "token")
	config.InternalTLS = api.KeyFiles{Cert: filepath.Join(folder, pki.ControllerCert), Key: filepath.Join(folder, pki.ControllerKey),
		CA: filepath.Join(folder, pki.AuthorityCert)}
	return config
}

// startServer runs the real controller.
func startServer(t *testing.T, config server.Config) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), config, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// makeCertificates puts those of the controller and of the cell into folder.
func makeCertificates(t *testing.T, folder string) {
	t.Helper()
	_, err := pki.Init(pki.Request{Dir: folder, Cells: []pki.Cell{{ID: "cell-1", Underlay: netip.MustParseAddr("127.0.0.1")}},
		ControllerNames: []string{"127.0.0.1"}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
}

// startAgentOf runs the agent of the controller whose certificates are in folder.
func (b *bed) startAgentOf(internal, folder string) {
	b.t.Helper()
	b.cfg.Controller = "https://" + internal
	b.cfg.TLS = cellagent.TLSFiles{CertFile: filepath.Join(folder, pki.CellCert("cell-1")), KeyFile: filepath.Join(folder, pki.CellKey("cell-1")),
		CAFile: filepath.Join(folder, pki.AuthorityCert)}
	b.startAgent()
	eventually(b.t, "the bridge has the base pipeline", func() bool { return len(b.ovs.table()) > 0 })
}

// TestWithTheRealController: a container, a policy with ?wait=applied, the
// restart of either side.
func TestWithTheRealController(t *testing.T) {
	b, folder := newBed(t), t.TempDir()
	makeCertificates(t, folder)
	real := startServer(t, serverConfig(folder, "127.0.0.1:0"))
	internal := real.Internal.(*net.TCPAddr).String()
	b.startAgentOf(internal, folder)
	b.run("one", "cats", 2)
	b.run("two", "dogs", 3)

	client := api.NewClient("http://"+real.External.String(), real.Token)
	policy := []api.PolicyBody{{Source: api.Source{ID: "cats"}, Destination: api.Destination{ID: "dogs", Protocol: "tcp", Ports: api.Ports{Start: 8080, End: 8080}}}}
	start := time.Now()
	change, err := client.AddPolicies(t.Context(), policy, api.Wait{For: api.WaitApplied, Timeout: 5 * time.Second})
	if err != nil || len(change.Pending) > 0 {
		t.Fatalf("pending %v, %v", change.Pending, err)
	}
	t.Logf("a policy was in the switch %v after the request", time.Since(start).Round(time.Microsecond))
	applied := b.ovs.table()
	if !slices.ContainsFunc(applied, func(f flows.Flow) bool { return f.Cookie.Kind() == flows.KindPolicy }) {
		t.Errorf("the wait is over, but the switch has no policy flow:\n%v", applied)
	}

	b.stop()
	b.startAgent()
	eventually(t, "the agent is back in step", func() bool {
		return strings.Count(b.log.String(), "connected to the controller") == 2 && b.status().InStep
	})
	if s := b.status(); s.Counters.FlowMods != 0 {
		t.Errorf("the agent's restart cost %d flow mods", s.Counters.FlowMods)
	}
	if err := real.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent notices", func() bool { return !b.status().Connected })
	real = startServer(t, serverConfig(folder, internal))
	eventually(t, "the agent is connected again", func() bool { return b.status().Connected })
	if n := strings.Count(b.log.String(), "resumed=true"); n != 2 {
		t.Errorf("of two restarts %d went on from the table that the agent had", n)
	}
	if s := b.status(); s.Counters.FlowMods != 0 || !slices.Equal(b.ovs.table(), applied) {
		t.Errorf("the controller's restart cost %d flow mods; the table is\n%v\nit was\n%v", s.Counters.FlowMods, b.ovs.table(), applied)
	}
	b.stop()
	if err := real.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestDrainByTheRealController: no container is started on a cell that is being
// drained, its lease ends with its last one, and it gets one again when it is let
// in.
func TestDrainByTheRealController(t *testing.T) {
	b, folder := newBed(t), t.TempDir()
	makeCertificates(t, folder)
	real := startServer(t, serverConfig(folder, "127.0.0.1:0"))
	b.startAgentOf(real.Internal.String(), folder)
	b.takes()
	b.run("one", "cats", 2)
	client := api.NewClient("http://"+real.External.String(), real.Token)
	state := func() string {
		cells, err := client.Cells(t.Context())
		if err != nil || len(cells) != 1 {
			t.Fatalf("%+v, %v", cells, err)
		}
		return cells[0].State
	}

	if _, err := client.DrainCell(t.Context(), "cell-1"); err != nil {
		t.Fatal(err)
	}
	b.refuses("weft cells undrain cell-1", safe)
	if got := state(); got != api.CellDraining {
		t.Errorf("with a container, state %q", got)
	}
	late := b.attach("late", "cats", 3)
	eventually(t, "the container is refused", func() bool { return strings.Contains(b.port(late).Error, "drained") })
	b.remove(late)
	b.remove("c2")
	eventually(t, "the lease ends with the last container", func() bool { return state() == api.CellDrained })
	b.refuses("cell cell-1 was drained", limited)

	if _, err := client.UndrainCell(t.Context(), "cell-1"); err != nil {
		t.Fatal(err)
	}
	b.takes()
	b.run("two", "cats", 2)
	b.stop()
	if err := real.Stop(); err != nil {
		t.Fatal(err)
	}
}
