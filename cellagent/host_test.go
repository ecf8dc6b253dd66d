package cellagent_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// inOwnNetwork runs the test again in a network namespace of its own, as a
// process, since an agent's goroutines are on any thread. It returns true there.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const inside = "WEFT_TEST_IN_OWN_NETWORK"
	if os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// newHostBed is a bed on the userspace datapath, whose bridge has a real
// network device.
func newHostBed(t *testing.T) *bed {
	t.Helper()
	return newBedOn(t, dummyovs.Start(t))
}

// newRealBed is one whose containers' ports have real devices, too: the test
// makes them.
func newRealBed(t *testing.T) *bed {
	t.Helper()
	return newBedOn(t, dummyovs.StartUserspace(t))
}

func newBedOn(t *testing.T, sw *dummyovs.Switch) *bed {
	t.Helper()
	sh(t, "ip link set lo up; ip link add under0 type veth peer name under1; ip addr add 192.0.2.1/24 dev under0; ip link set under0 up")
	b := newBed(t)
	b.ovs = &ovs{sw, t}
	b.hand = hand{b.ovs}
	b.cfg.OVSDB, b.cfg.OVSRunDir = b.ovs.DB(), b.ovs.RunDir()
	b.cfg.Datapath, b.cfg.UnderlayIP = cellagent.DatapathAlone, "192.0.2.1"
	b.cfg.FlowLog.File = ""
	return b
}

// attachMapped attaches a container that maps a port of the host.
func (b *bed) attachMapped(container string, host int, mapping string) string {
	b.t.Helper()
	mappings, err := ovsdb.ParseMappings(mapping)
	if err != nil {
		b.t.Fatal(err)
	}
	ip := netip.AddrFrom4([4]byte{10, 255, 1, byte(host)})
	p := ovsdb.Port{Name: "m" + container, Container: container, IfName: "eth0", App: "cats", IP: ip,
		MAC: flows.MACOf(ip).String(), BootID: b.cfg.BootID, Mappings: mappings}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := b.hand.AddPort(ctx, b.cfg.Bridge, p); err != nil {
		b.t.Fatal(err)
	}
	return p.Name
}

func (b *bed) waitReady(port string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	return b.hand.WaitReady(ctx, port)
}

// TestHostFollowsTheCell: what the agent makes on the host follows the
// containers, is repaired, and goes when it is told to.
func TestHostFollowsTheCell(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newHostBed(t)
	b.cfg.Reconcile = 300 * time.Millisecond
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	eventually(t, "host network is on", func() bool { return b.status().Host.On })
	if got := sh(t, "ip -o link show br-weft | grep -o 'ee:ee:[0-9a-f:]*'; ip route show dev br-weft"); got !=
		"ee:ee:a9:fe:00:01\n10.255.1.0/24 via 169.254.0.1 src 192.0.2.1 onlink" {
		t.Errorf("br-weft:\n%s", got)
	}
	name := b.attachMapped("one", 2, "61000:8080/tcp,61000:53/udp")
	if err := b.waitReady(name); err != nil {
		t.Fatal(err)
	}
	// Ready means mapped: no waiting here.
	if got := sh(t, "nft list map inet weft tcp_ports; nft list map inet weft udp_ports"); !strings.Contains(got, "61000 : 10.255.1.2 . 8080") || !strings.Contains(got, "61000 : 10.255.1.2 . 53") {
		t.Errorf("ready, but the maps are\n%s", got)
	}
	second := b.attachMapped("two", 3, "61000:9090/tcp")
	if err := b.waitReady(second); err == nil || !strings.Contains(err.Error(), "61000/tcp") {
		t.Errorf("the second container on one host port: %v", err)
	}
	tunnels := b.attachMapped("three", 4, "4789:53/udp")
	if err := b.waitReady(tunnels); err == nil || !strings.Contains(err.Error(), "4789/udp is that of the overlay's tunnels") {
		t.Errorf("a container on the tunnels' port: %v", err)
	}
	b.remove(tunnels)
	b.remove(name)
	eventually(t, "the second gets the port when the first goes", func() bool {
		return strings.Contains(sh(t, "nft list map inet weft tcp_ports"), "61000 : 10.255.1.3 . 9090") && b.port(second).Ready
	})
	if got := sh(t, "nft list ruleset"); strings.Contains(got, "10.255.1.2") {
		t.Errorf("the first container is still in the rules:\n%s", got)
	}

	sh(t, "nft flush ruleset; ip route flush dev br-weft")
	eventually(t, "what was flushed is back", func() bool {
		s := b.status().Host
		return s.InStep && s.Repairs > 0 && s.LastRepair != nil && strings.Contains(sh(t, "ip route show dev br-weft; nft list ruleset"), "10.255.1.3 . 9090")
	})
	b.holdsCleanup(second)
}

// holdsCleanup: not while the agent runs or a container is there, and then
// everything.
func (b *bed) holdsCleanup(port string) {
	t := b.t.(*testing.T)
	t.Helper()
	clean := func(extent cellagent.Extent) ([]string, error) { return cellagent.Cleanup(t.Context(), b.cfg, extent) }
	if _, err := clean(cellagent.HostOnly); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("while the agent runs: %v", err)
	}
	b.stop()
	if _, err := clean(cellagent.HostAndBridge); err == nil || !strings.Contains(err.Error(), "1 container, such as two") {
		t.Errorf("with a container: %v", err)
	}
	if got := sh(t, "nft list tables | sort"); got != "table bridge weft\ntable inet weft" { // listed in the order in which they were loaded
		t.Errorf("after refusals: %q", got)
	}
	b.remove(port)
	removed, err := clean(cellagent.HostAndBridge)
	want := []string{"route 10.255.1.0/24", "neighbour 169.254.0.1 on br-weft", "device br-weft (set down)", "bridge weftreject",
		"nftables table inet weft", "nftables table bridge weft", "OVS bridge br-weft"}
	if err != nil || !slices.Equal(removed, want) {
		t.Errorf("removed %q, %v\nexpected %q", removed, err, want)
	}
	if got := sh(t, "nft list ruleset; ip -o link | grep -E 'weft' || true") + b.ovs.vsctl("list-br"); got != "" {
		t.Errorf("left: %q", got)
	}
	if removed, err := clean(cellagent.HostAndBridge); err != nil || len(removed) > 0 {
		t.Errorf("again: %q, %v", removed, err)
	}
}

// TestWithoutDeviceHostIsOff: a bridge without network device works, but for
// what needs the host.
func TestWithoutDeviceHostIsOff(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	sh(t, "ip link set lo up")
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	if s := b.status(); s.Host.On || !strings.Contains(s.Host.Reason, "br-weft has no network device") || len(s.Faults) > 0 {
		t.Errorf("host %+v, faults %v", s.Host, s.Faults)
	}
	if err := b.waitReady(b.attachMapped("two", 3, "61000:8080/tcp")); err == nil || !strings.Contains(err.Error(), "ports cannot be mapped: host network is off") {
		t.Errorf("a container that maps a port: %v", err)
	}
	if got := sh(t, "nft list tables"); got != "" {
		t.Errorf("tables %q", got)
	}
}

// TestVanishedDeviceIsNoEndpoint: a container whose host end somebody deletes is
// not ready any more, the reason is told, and its flows go; others stay.
func TestVanishedDeviceIsNoEndpoint(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newRealBed(t)
	for _, name := range []string{"c2", "c3"} {
		sh(t, "ip link add "+name+" type veth peer name p"+name+"; ip link set "+name+" up; ip link set p"+name+" up")
	}
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	b.run("one", "cats", 2)
	b.run("two", "cats", 3)
	sh(t, "ip link del c2")
	const gone = "the switch cannot use the interface: its network device is gone"
	eventually(t, "it is not ready", func() bool { p := b.port("c2"); return !p.Ready && p.Error == gone })
	eventually(t, "the status says why", func() bool {
		for _, e := range b.status().Endpoints {
			if e.Ready != (e.Port == "c3") || e.Installed != (e.Port == "c3") || (e.Error == gone) != (e.Port == "c2") {
				return false
			}
		}
		return true
	})
	b.controller.do(func() {
		if local := b.controller.state.Local; len(local) != 1 || local[0].Container != "two" {
			t.Errorf("the controller has %+v", local)
		}
	})
}
