package cellagent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// TestReadyMeansInTheSwitch: when the plugin sees the mark, the switch holds
// the endpoint's flows, the controller knows it and its port number is pinned.
func TestReadyMeansInTheSwitch(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	table, port := b.ovs.table(), b.port("c2")
	entrance := fmt.Sprintf("in_port=%d", port.OFPort)
	if !slices.ContainsFunc(table, func(f flows.Flow) bool { return f.Table == flows.TableClassify && f.Match == entrance }) {
		t.Errorf("ready, but the switch has no flow with %s:\n%v", entrance, table)
	}
	b.controller.do(func() {
		want := api.Endpoint{Container: "one", App: "cats", IP: "10.255.1.2", OFPort: uint16(port.OFPort)}
		if len(b.controller.reports) != 1 || !slices.Equal(b.controller.reports[0].Up, []api.Endpoint{want}) {
			t.Errorf("reports %+v, want one with %+v", b.controller.reports, want)
		}
	})
	eventually(t, "the port's number is pinned", func() bool { return b.port("c2").OFPortRequest == port.OFPort })
}

// TestReadyMeansAnIdentity: a container of an app that has no group id yet is
// not ready, since all that it sent would be nobody's; after a while it is told
// why, and it is ready as soon as the id is there.
func TestReadyMeansAnIdentity(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	name := b.attach("one", "owls", 2)
	eventually(t, "the start is told what it waits for", func() bool { return strings.Contains(b.port(name).Error, `app "owls"`) })
	if p := b.port(name); p.Ready || !p.Passes {
		t.Errorf("before its app has a group id: ready %v, passes %v", p.Ready, p.Passes)
	}
	b.controller.change(func() {
		b.controller.groups["owls"] = 103
		b.controller.state.Local[0].Group = 103
	})
	eventually(t, "it is ready with its id", func() bool { p := b.port(name); return p.Ready && p.Error == "" })
	b.run("two", "", 3) // without app: isolated, and ready
}

// TestHelloNamesWhatRuns: after a restart the first message says it all.
func TestHelloNamesWhatRuns(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.stop()
	b.attach("two", "", 3)
	b.startAgent()
	b.inStep()
	b.controller.do(func() {
		got := b.controller.hello.Endpoints
		if len(got) != 2 || got[0].Container != "one" || got[1].Container != "two" || got[1].App != "" {
			t.Errorf("hello names %+v", got)
		}
	})
}

// TestIdentityEndsWithThePort: the flows of a container that is gone go at
// once, without a controller, so that the next user of its OpenFlow port is
// not taken for it.
func TestIdentityEndsWithThePort(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	empty := b.ovs.table()
	b.run("one", "cats", 2)
	b.inStep()
	b.controller.down()
	b.remove("c2")
	eventually(t, "its flows are gone", func() bool { return slices.Equal(b.ovs.table(), empty) })

	b.stop() // now the container ends while the agent is away, too
	b.controller.up()
	b.startAgent()
	b.run("two", "cats", 3)
	b.inStep()
	b.stop()
	b.controller.down()
	b.remove("c3")
	b.startAgent()
	eventually(t, "its flows are gone", func() bool { return slices.Equal(b.ovs.table(), empty) })
}

// TestLastGoodTableGivesNobodyAnIdentity: a port of another container on the
// remembered number is not given the remembered container's flows.
func TestLastGoodTableGivesNobodyAnIdentity(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	empty := b.ovs.table()
	b.run("one", "cats", 2)
	b.inStep()
	number := b.port("c2").OFPort
	b.stop()
	b.controller.down()
	b.remove("c2")
	b.attach("two", "dogs", 3)
	b.ovs.vsctl("set", "interface", "c3", fmt.Sprintf("ofport_request=%d", number))
	eventually(t, "the other container has the number", func() bool { return b.port("c3").OFPort == number })
	b.ovs.KillVswitchd()
	b.ovs.StartVswitchd()
	b.startAgent()
	eventually(t, "the last good table without the endpoint", func() bool { return slices.Equal(b.ovs.table(), empty) })
}

// TestEarlierBootIsCleanedUp: ports whose namespaces went with the last boot
// are removed, those of this boot stay.
func TestEarlierBootIsCleanedUp(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.stop()
	b.cfg.BootID = "next-boot"
	b.attach("two", "dogs", 3)
	b.startAgent()
	eventually(t, "the old port is gone and the new one ready", func() bool {
		return b.port("c2").Name == "" && b.port("c3").Ready
	})
	b.inStep()
	b.controller.do(func() {
		if len(b.controller.state.Local) != 1 || b.controller.state.Local[0].Container != "two" {
			t.Errorf("the controller has %+v", b.controller.state.Local)
		}
	})
}

// TestForeignBridgesAreUntouched: somebody else's bridge keeps its flows, and
// one that has our name is refused and left alone.
func TestForeignBridgesAreUntouched(t *testing.T) {
	b := newBed(t)
	b.cfg.Reconcile = 100 * time.Millisecond
	for _, name := range []string{"br-other", "br-weft"} {
		b.ovs.vsctl("add-br", name)
		b.ovs.ofctl(name, "del-flows")
		b.ovs.ofctl(name, "add-flow", "table=3,priority=4,ip,actions=NORMAL")
	}
	other, ours := b.ovs.ofctl("br-other", "dump-flows", "--no-stats"), b.ovs.ofctl("br-weft", "dump-flows", "--no-stats")
	b.startAgent()
	eventually(t, "the agent refuses the bridge", func() bool {
		return strings.Contains(b.log.String(), "refused: bridge belongs to somebody else")
	})
	if got := b.ovs.ofctl("br-weft", "dump-flows", "--no-stats"); got != ours {
		t.Errorf("flows of a foreign br-weft are\n%s\nthey were\n%s", got, ours)
	}
	b.ovs.vsctl("del-br", "br-weft")
	b.inStep()
	if got := b.ovs.ofctl("br-other", "dump-flows", "--no-stats"); got != other {
		t.Errorf("flows of br-other are\n%s\nthey were\n%s", got, other)
	}
}

// TestRefusedEndpointIsToldWhy: by the controller, and by the agent itself.
func TestRefusedEndpointIsToldWhy(t *testing.T) {
	b := newBed(t)
	b.controller.do(func() { b.controller.refused = []api.Refusal{{Container: "one", Reason: "app is too long"}} })
	b.startAgent()
	b.inStep()
	ready := func(name string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return b.hand.WaitReady(ctx, name)
	}
	if err := ready(b.attach("one", "cats", 2)); err == nil || !errors.Is(err, ovsdb.ErrNotReady) || !strings.Contains(err.Error(), "app is too long") {
		t.Errorf("refused by the controller: %v", err)
	}
	b.run("two", "cats", 3)
	err := b.hand.AddPort(context.Background(), "br-weft", ovsdb.Port{Name: "c9", Container: "nine", IP: b.port("c3").IP,
		MAC: b.port("c3").MAC, BootID: b.cfg.BootID})
	if err != nil {
		t.Fatal(err)
	}
	if err := ready("c9"); err == nil || !errors.Is(err, ovsdb.ErrNotReady) || !strings.Contains(err.Error(), "already used by container two") {
		t.Errorf("an address in use: %v", err)
	}
}

// TestAbsentControllerFailsAStart: in time for CNI's ten seconds, with the reason.
func TestAbsentControllerFailsAStart(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.controller.down()
	name := b.attach("one", "cats", 2)
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := b.hand.WaitReady(ctx, name); err == nil || !errors.Is(err, ovsdb.ErrNotYet) || !strings.Contains(err.Error(), "not connected to the controller") {
		t.Errorf("got %v", err)
	}
	b.controller.up()
	b.inStep()
	eventually(t, "it is ready once the controller is back", func() bool { return b.port(name).Ready })
}

// TestCellAlone: on the userspace datapath there is no tunnel, no flow towards
// other cells, and the first container does not sit on the tunnel's number.
func TestCellAlone(t *testing.T) {
	b := newBed(t)
	b.cfg.Datapath = "netdev"
	b.startAgent()
	eventually(t, "in step", b.controller.acknowledged)
	b.run("one", "cats", 2)
	if got := b.port("c2").OFPort; got == int(flows.TunnelOFPort) {
		t.Errorf("the container has OpenFlow port %d", got)
	}
	if got := b.ovs.vsctl("list-ports", "br-weft"); got != "c2\nweftdeny" {
		t.Errorf("ports %q, want the container and no tunnel", got)
	}
	for _, f := range b.ovs.table() {
		if f.Cookie.Kind() == flows.KindCell {
			t.Errorf("a cell alone has a flow towards another: %v", f)
		}
	}
	if s := b.status(); !s.InStep || s.Datapath != "netdev" {
		t.Errorf("in step %v, datapath %s", s.InStep, s.Datapath)
	}
}

// TestManyStartOnACellAlone: the one that ovs-vswitchd put on the tunnel's number
// is moved to none that it is about to give to another.
func TestManyStartOnACellAlone(t *testing.T) {
	b := newBed(t)
	b.cfg.Datapath = "netdev"
	b.startAgent()
	eventually(t, "in step", b.controller.acknowledged)
	var names []string
	for host := 2; host < 34; host++ {
		names = append(names, b.attach(fmt.Sprint("many-", host), "cats", host))
	}
	for _, name := range names {
		if err := b.waitReady(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTunnelOnUserspaceDatapathIsRefused: it would send without a group id. What
// is refused is the cell's bridge while containers are on it; without any it is
// made anew on the configured datapath.
func TestTunnelOnUserspaceDatapathIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.ovs.vsctl("add-br", "br-weft", "--", "set", "bridge", "br-weft", "datapath_type=netdev", "external_ids:weft-owner=cell-1")
	name := b.attach("one", "cats", 2)
	b.startAgent()
	b.refuses("userspace datapath, whose VXLAN carries no group id, and has 1 container: it is made anew", safe)
	if got := b.ovs.vsctl("list-ports", "br-weft"); got != name {
		t.Errorf("ports %q", got)
	}
	b.remove(name)
	b.makesAnew(`""`)
	if got := b.ovs.vsctl("list-ports", "br-weft"); got != "c3\nweftdeny\nweftvxlan" {
		t.Errorf("ports %q", got)
	}
}

// makesAnew waits until the bridge is on a datapath and takes containers.
func (b *bed) makesAnew(datapath string) {
	b.t.Helper()
	eventually(b.t, "the bridge is made anew", func() bool {
		return b.ovs.vsctl("--if-exists", "get", "bridge", "br-weft", "datapath_type") == datapath
	})
	b.takes()
	b.run("two", "cats", 3)
	if got := b.fault("bridge"); got != "" {
		b.t.Errorf("still: %s", got)
	}
}

// TestHalfMadeBridgeIsMadeAnew: where the kernel has no datapath, the agent says
// that a cell alone can do without. Doing so needs nothing else.
func TestHalfMadeBridgeIsMadeAnew(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newRealBed(t) // whose ovs-vswitchd makes none of the kernel's
	sh(t, "ip link add c3 type veth peer name pc3; ip link set c3 up; ip link set pc3 up")
	b.cfg.Datapath = ""
	b.startAgent()
	b.refuses("A cell alone can run with datapath: netdev", safe)
	b.stop()
	b.cfg.Datapath = "netdev"
	b.startAgent()
	b.makesAnew("netdev")
}

// TestDeletedBridgeComesBack: with its pipeline, and not open.
func TestDeletedBridgeComesBack(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.ovs.vsctl("del-br", "br-weft")
	eventually(t, "bridge, tunnel and flows are back", func() bool { return slices.Equal(b.ovs.table(), b.controller.want()) })
	if got := b.ovs.vsctl("get", "bridge", "br-weft", "fail_mode"); got != "secure" {
		t.Errorf("fail_mode %s", got)
	}
	if got := b.ovs.vsctl("get", "interface", "weftvxlan", "ofport", "options:exts"); got != "1\ngbp" {
		t.Errorf("tunnel %q", got)
	}
	b.run("one", "cats", 2)
	b.inStep()
}

// TestUnderlayOfNobodyIsRefused: no bridge is made for a tunnel that cannot be.
func TestUnderlayOfNobodyIsRefused(t *testing.T) {
	b := newBed(t)
	b.cfg.UnderlayIP = "192.0.2.77"
	b.startAgent()
	eventually(t, "refused with the reason", func() bool {
		return strings.Contains(b.log.String(), "underlay_ip 192.0.2.77: no interface of this host carries it")
	})
	if got := b.ovs.vsctl("list-br"); got != "" {
		t.Errorf("bridges %q", got)
	}
	eventually(t, "the controller is not blamed", func() bool { return strings.Contains(b.status().Away, "once the bridge is made") })
	if faults := b.status().Faults; len(faults) != 1 || faults[0].What != "bridge" {
		t.Errorf("faults %+v, want the one cause", faults)
	}
}

// TestBridgeOfSomebodyElseIsLeftAlone: neither a table on disk nor one in
// memory is put on a bridge that has our name and another owner.
func TestBridgeOfSomebodyElseIsLeftAlone(t *testing.T) {
	b := newBed(t)
	b.cfg.Reconcile = 100 * time.Millisecond
	b.startAgent()
	b.inStep()
	knows := func() {
		t.Helper()
		eventually(t, "the agent refuses the bridge", func() bool {
			_, err := os.Stat(b.cfg.Socket)
			return err == nil && strings.Contains(b.fault("ovsdb"), "belongs to somebody else")
		})
	}
	refused := func(what string) {
		t.Helper()
		theirs := b.ovs.table()
		knows()
		time.Sleep(300 * time.Millisecond) // several reconcile intervals
		if now := b.ovs.table(); !slices.Equal(now, theirs) {
			t.Errorf("%s: the bridge changed from\n%vto\n%v", what, theirs, now)
		}
	}
	b.stop()
	b.controller.down()
	b.ovs.vsctl("del-br", "br-weft")
	b.ovs.vsctl("add-br", "br-weft")
	b.startAgent()
	refused("a table on disk")

	b.ovs.vsctl("del-br", "br-weft")
	b.controller.up()
	b.inStep()
	b.ovs.vsctl("set", "bridge", "br-weft", "external_ids:weft-owner=cell-9")
	knows()
	b.ovs.ofctl("br-weft", "add-flow", "table=3,priority=4,ip,actions=NORMAL")
	refused("a table in memory")
}

// TestOnePortThatCannotBeTidiedHoldsUpNoOther: the cell works, and says which.
func TestOnePortThatCannotBeTidiedHoldsUpNoOther(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.ovs.vsctl("add-port", "br-weft", "odd", "--", "set", "interface", "odd",
		"external_ids:weft-owner=weft", "external_ids:weft-container=odd", "external_ids:weft-boot=earlier")
	b.run("one", "cats", 2)
	b.stop()
	b.startAgent()
	b.inStep()
	if got := b.fault("ports"); !strings.Contains(got, `"odd"`) {
		t.Errorf("status says %q, want the port that is not ours to delete", got)
	}
}
