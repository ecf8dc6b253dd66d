package cellagent_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/ovsdb"
)

// told is what the subnet file says to weft-cni.
type told struct {
	Cell    string
	Subnet  string
	MTU     int
	RestMS  int64 `json:"address_rest_ms"`
	Socket  string
	Refuse  string
	Limited bool
}

// told reads the subnet file, the zero value if there is none.
func (b *bed) told() (said told) {
	b.t.Helper()
	text, err := os.ReadFile(b.cfg.SubnetFile)
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	return said
}

// Whether containers that run may be cut off.
const (
	safe    = false
	limited = true
)

// refuses waits until weft-cni is told that the cell takes no containers, with a
// reason.
func (b *bed) refuses(reason string, cut bool) {
	b.t.Helper()
	eventually(b.t, "no containers: "+reason, func() bool {
		said := b.told()
		return strings.Contains(said.Refuse, reason) && said.Limited == cut
	})
	eventually(b.t, "the status says it", func() bool { // of an agent that has just been started, too
		s, err := cellagent.FetchStatus(b.t.Context(), b.cfg.Socket)
		return err == nil && strings.Contains(s.Refuses, reason)
	})
}

// takes waits until weft-cni is told that the cell takes containers.
func (b *bed) takes() {
	b.t.Helper()
	eventually(b.t, "containers are taken", func() bool { said := b.told(); return said.Subnet != "" && said.Refuse == "" })
}

// keeps runs what must change nothing for a container that runs.
func (b *bed) keeps(container string, host int, what func()) {
	b.t.Helper()
	b.run(container, "cats", host)
	b.inStep()
	table := b.ovs.table()
	what()
	if !slices.Equal(b.ovs.table(), table) {
		b.t.Error("flows changed")
	}
	if ports, err := b.hand.Ports(b.cfg.Bridge); err != nil || len(ports) != 1 || !ports[0].Ready {
		b.t.Errorf("ports %+v, %v: want one that is ready", ports, err)
	}
}

// TestDrain: by the time that the controller is told, no container can be started
// any more, not even one whose start is under way. Those that run go on.
func TestDrain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.takes()
	b.keeps("one", 2, func() {
		b.controller.do(func() { b.controller.refused = []api.Refusal{{Container: "slow", Reason: "not yet"}} }) // its start takes until the drain
		slow := b.attach("slow", "cats", 3)
		b.controller.change(func() { b.controller.draining = true })
		eventually(t, "acknowledged", b.controller.acknowledged)
		if b.told().Refuse == "" {
			t.Error("the drain is acknowledged, and weft-cni is not told")
		}
		b.refuses("weft cells undrain cell-1", safe)
		b.controller.change(func() { b.controller.refused = nil })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		eventually(t, "the reason is the drain", func() bool { return strings.Contains(b.port(slow).Error, "drained") })
		if err := b.hand.WaitReady(ctx, slow); !errors.Is(err, ovsdb.ErrNotYet) || !strings.Contains(err.Error(), "drained") {
			t.Errorf("a container whose start was under way: %v", err)
		}
		b.remove(slow)
		right := "external_ids:weft-mac=" + b.port("c2").MAC
		b.ovs.vsctl("set", "interface", "c2", "external_ids:weft-mac=oops")
		eventually(t, "one that runs is hurt", func() bool { return !b.port("c2").Ready })
		b.ovs.vsctl("set", "interface", "c2", right)
		eventually(t, "and goes on", func() bool { p := b.port("c2"); return p.Ready && p.Error == "" })
		b.inStep()
		b.stop()
		b.startAgent()
		b.inStep()
		b.refuses("weft cells undrain cell-1", safe)
	})
	b.controller.change(func() { b.controller.draining = false })
	b.takes()
	b.run("three", "cats", 4)
}

// TestLostLease: a cell whose lease the controller does not give back says so and
// changes nothing of what runs.
func TestLostLease(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.keeps("one", 2, func() {
		b.controller.down()
		b.controller.do(func() {
			b.controller.leaseErr = api.Conflict("cell cell-1: 1 container runs in 10.255.1.0/24, and it cannot have that again: cell cell-2 at 192.0.2.2 has it now")
		})
		b.controller.up()
		b.refuses("cannot have that again", limited)
		b.controller.do(func() {
			if asked := b.controller.asked; asked.Subnet != "10.255.1.0/24" || asked.Containers != 1 {
				t.Errorf("the controller was asked %+v, want it told of the lease and the container", asked)
			}
			b.controller.leaseErr = nil
		})
		if s := b.status(); s.Subnet == "" || !strings.Contains(s.Denied, "cannot have that again") {
			t.Errorf("the status says %q of the lease %q", s.Denied, s.Subnet)
		}
		b.inStep()
	})
	b.takes()
}

// TestExpiredLease: who has not heard of the controller for too long starts no
// containers, not even after a restart, since their address may be another
// cell's. Those that run go on.
func TestExpiredLease(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.controller.expiry = 1
	b.startAgent()
	b.inStep()
	b.keeps("one", 2, func() {
		b.controller.down()
		b.refuses("lease 10.255.1.0/24 has expired", limited)
		if got := b.fault("lease expired"); !strings.Contains(got, "connect the cell to its controller again") {
			t.Errorf("the status says %q, want what to do", got)
		}
		b.stop()
		b.startAgent()
		b.refuses("lease 10.255.1.0/24 has expired", limited)
		b.controller.up()
		b.inStep()
	})
	b.takes()
}

// TestNobodyToAsk: without controller or switch no container can be started, and
// weft-cni need not try.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.takes()
	b.controller.down()
	b.refuses("connect: connection refused", safe) // and not how the last stream ended
	if s := b.status(); s.Connected || !strings.Contains(s.Away, "connect: connection refused") || b.fault("stream") != "" {
		t.Errorf("the controller is away because of %q; faults %+v", s.Away, s.Faults)
	}
	b.controller.up()
	b.takes()
	b.ovs.KillVswitchd()
	b.refuses("OpenFlow connection lost", limited)
	b.ovs.StartVswitchd()
	b.takes()
	b.ovs.PauseVswitchd()
	b.refuses("switch: the switch does not answer", limited)
	b.ovs.ResumeVswitchd()
	b.takes()
	b.run("one", "cats", 2)
}

// TestSwitchGoneBefore: an agent that comes when ovs-vswitchd is away finds its
// bridge in the database as it left it, and says all the same what is.
func TestSwitchGoneBefore(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.stop()
	b.ovs.KillVswitchd()
	b.startAgent()
	b.refuses("is ovs-vswitchd running? systemctl start openvswitch-switch", limited)
	b.ovs.StartVswitchd()
	b.takes()
}

// TestNoFlowsNoContainers: where no flow can be installed, weft-cni is told why
// before a container's start waits for it in vain.
func TestNoFlowsNoContainers(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.cfg.OVSOfctl = "no-such-ofctl"
	b.startAgent()
	eventually(t, "there is a bridge", func() bool { return strings.Contains(b.ovs.vsctl("list-br"), b.cfg.Bridge) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.hand.WaitReady(ctx, b.attach("one", "cats", 2)); !errors.Is(err, ovsdb.ErrNotYet) || !strings.Contains(err.Error(), "apt-get install openvswitch-common") {
		t.Errorf("a start that was under way: %v", err)
	}
	b.refuses(`apply: dump flows: run no-such-ofctl: exec: "no-such-ofctl": executable file not found in $PATH: apt-get install openvswitch-common`, safe)
	if p := b.status(); !p.Connected {
		t.Errorf("it is not for want of a controller: %+v", p.Faults)
	}
}

// TestSingleIP: a cell with one address has the bridge, and no containers.
func TestSingleIP(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.cfg.SingleIPOnly = true
	b.controller.state.Lease = netip.MustParsePrefix("10.255.1.1/32")
	b.startAgent()
	b.inStep()
	b.refuses("single_ip_only", safe)
	b.controller.do(func() {
		if !b.controller.asked.SingleIP {
			t.Errorf("the controller was asked %+v, want one address", b.controller.asked)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	name := b.attach("one", "cats", 1)
	if err := b.hand.WaitReady(ctx, name); err == nil || !strings.Contains(err.Error(), "single_ip_only") {
		t.Errorf("a container was started: %v", err)
	}
}
