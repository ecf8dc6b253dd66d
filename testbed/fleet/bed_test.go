package fleet_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/fleet"
)

// cells is how many there are in these tests.
const cells = 20

// patience is how long anything may take here, on a loaded machine.
const patience = time.Minute

// bed is a real controller, with its database, and a fleet of it.
type bed struct {
	*testing.T
	dir    string
	scene  scene.Scene
	server *server.Server
	client *api.Client
	fleet  *fleet.Fleet
}

// newBed has a scene's policies in the database and all agents in step.
func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{T: t, dir: t.TempDir(), scene: scene.Fleet(cells).Build()}
	var certificates []pki.Cell
	for i := range cells {
		certificates = append(certificates, pki.Cell{ID: flows.CellID(scene.CellID(i)), Underlay: vtep(i)})
	}
	_, err := pki.Init(pki.Request{Dir: b.dir, Cells: certificates, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()})
	b.must(err)
	b.startController("127.0.0.1:0")
	_, err = b.client.AddPolicies(t.Context(), b.policies(b.scene.Policies...), api.Wait{})
	b.must(err)

	o := fleet.Options{URL: "https://" + b.server.Internal.String(), Certificates: b.dir, Cells: make([]fleet.Cell, cells)}
	for i := range o.Cells {
		o.Cells[i] = fleet.Cell{ID: certificates[i].ID, VTEP: vtep(i)}
	}
	for _, c := range b.scene.Containers {
		at := &o.Cells[c.Cell]
		at.Containers = append(at.Containers, fleet.Container{ID: c.ID, App: b.scene.Apps[c.App]})
	}
	b.fleet, err = fleet.New(o)
	b.must(err)
	b.must(b.fleet.Lease(t.Context()))
	b.fleet.Connect()
	t.Cleanup(func() {
		b.fleet.Close()
		b.must(b.server.Stop())
	})
	b.eventually("all agents are in step", b.settled)
	return b
}

func vtep(i int) netip.Addr { return netip.AddrFrom4([4]byte{172, 16, 0, byte(1 + i)}) }

// startController runs the real one on the database of the bed.
func (b *bed) startController(internal string) {
	b.Helper()
	config := server.Default()
	config.Listen, config.InternalListen = "127.0.0.1:0", internal
	config.Database, config.Auth.TokenFile = "sqlite://"+filepath.Join(b.dir, "weft.db"), filepath.Join(b.dir, "token")
	config.InternalTLS = api.KeyFiles{Cert: filepath.Join(b.dir, pki.ControllerCert), Key: filepath.Join(b.dir, pki.ControllerKey),
		CA: filepath.Join(b.dir, pki.AuthorityCert)}
	var err error
	b.server, err = server.Start(context.Background(), config, slog.New(slog.NewTextHandler(io.Discard, nil)))
	b.must(err)
	b.client = api.NewClient("http://"+b.server.External.String(), b.server.Token)
}

// policies are bodies of the API.
func (b *bed) policies(list ...scene.Policy) []api.PolicyBody {
	bodies := make([]api.PolicyBody, len(list))
	for i, p := range list {
		bodies[i] = api.PolicyBody{Source: api.Source{ID: b.scene.Apps[p.From]}, Destination: api.Destination{
			ID: b.scene.Apps[p.To], Protocol: scene.Protocol, Ports: api.Ports{Start: int(p.Port), End: int(p.Port)},
		}}
	}
	return bodies
}

// allow adds policies and returns when all cells have them, or fails.
func (b *bed) allow(list ...scene.Policy) {
	b.Helper()
	change, err := b.client.AddPolicies(b.Context(), b.policies(list...), api.Wait{For: api.WaitApplied, Timeout: patience})
	b.must(err)
	if len(change.Pending) > 0 {
		b.Fatalf("not applied after %v: %v", patience, change.Pending)
	}
}

func (b *bed) settled() bool { return b.fleet.Status().Settled == cells }

// wanted is a cell's table, compiled from scratch from what the API lists and
// the fleet says it runs.
func (b *bed) wanted(cell int) (flows.Hash, map[flows.FragmentKey]flows.Hash) {
	b.Helper()
	groups, rules := b.rules()
	config := server.Default()
	state := flows.CellState{VNI: flows.VNI(config.VNI), VXLANPort: uint16(config.VXLANPort), Overlay: []netip.Prefix{netip.MustParsePrefix(config.Networks[0])}}
	list, err := b.client.Cells(b.Context())
	b.must(err)
	for _, c := range list {
		peer := flows.Peer{Cell: flows.CellID(c.Cell), VTEP: netip.MustParseAddr(c.VTEP), Lease: netip.MustParsePrefix(c.Subnet)}
		if c.Cell == scene.CellID(cell) {
			state.Cell, state.Lease = peer.Cell, peer.Lease
		} else {
			state.Remote = append(state.Remote, peer)
		}
	}
	endpoints, err := b.client.Endpoints(b.Context())
	b.must(err)
	here := map[flows.GroupID]bool{}
	for _, e := range endpoints {
		if e.Cell == scene.CellID(cell) {
			here[groups[e.App]] = true
			state.Local = append(state.Local, flows.Endpoint{Container: e.Container, App: flows.AppID(e.App), Group: groups[e.App],
				IP: netip.MustParseAddr(e.IP), OFPort: flows.OFPort(e.OFPort)})
		}
	}
	for _, r := range rules {
		if here[r.To] {
			state.Allow = append(state.Allow, r)
		}
	}
	parts := map[flows.FragmentKey]flows.Hash{}
	fragments := flows.Fragments(state)
	for _, f := range fragments {
		parts[f.Key] = f.Hash
	}
	return flows.TableHash(fragments), parts
}

// rules are the apps' group ids and the policies between them.
func (b *bed) rules() (map[string]flows.GroupID, []flows.Rule) {
	b.Helper()
	list, err := b.client.Groups(b.Context())
	b.must(err)
	groups := map[string]flows.GroupID{}
	for _, g := range list {
		groups[g.App] = flows.GroupID(g.Group)
	}
	details, _, err := b.client.PolicyDetails(b.Context(), api.DetailFilter{})
	b.must(err)
	rules := make([]flows.Rule, len(details))
	for i, d := range details {
		rules[i] = flows.Rule{Policy: flows.PolicyID(d.ID), From: groups[d.Source], To: groups[d.Destination], Protocol: flows.TCP,
			Ports: flows.PortRange{First: uint16(d.Ports.Start), Last: uint16(d.Ports.End)}}
	}
	return groups, rules
}

// inStep checks that every agent has the table that it should have.
func (b *bed) inStep() {
	b.Helper()
	for cell := range cells {
		hash, parts := b.wanted(cell)
		gotHash, got := b.fleet.Table(cell)
		if gotHash != hash || !maps.Equal(got, parts) {
			b.Errorf("%s: table %v with %d fragments, want %v with %d", scene.CellID(cell), gotHash, len(got), hash, len(parts))
		}
	}
	if s := b.fleet.Status(); s.Diverged > 0 || s.Refused > 0 {
		b.Errorf("%d messages were refused by agents, %d endpoints by the controller: %s", s.Diverged, s.Refused, s.LastFault)
	}
}

func (b *bed) eventually(what string, is func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%s: not after %v: %+v", what, patience, b.fleet.Status())
		}
	}
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
