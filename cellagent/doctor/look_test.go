package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/ownnet"
)

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// rules stand for the host's side.
type rules bool

func (r rules) InStep(context.Context) (bool, error) { return bool(r), nil }

// host is a host of its own network, with a VTEP on under0, a route of the
// lease by br-weft and another cell on the underlay. No Open vSwitch is there.
func host(t *testing.T) Cell {
	t.Helper()
	sh(t, `ip link set lo up
		for pair in under0:peer0 under1:peer1 br-weft:container; do
			ip link add ${pair%:*} type veth peer name ${pair#*:}; ip link set ${pair%:*} up; ip link set ${pair#*:} up
		done
		ip addr add 192.0.2.1/24 dev under0; ip addr add 198.51.100.1/24 dev under1; ip route add 10.255.1.0/24 dev br-weft
		sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.under0.rp_filter=0 net.ipv4.conf.br-weft.rp_filter=0`)
	return Cell{
		Bridge: "br-weft", UnderlayIP: netip.MustParseAddr("192.0.2.1"), Lease: netip.MustParsePrefix("10.255.1.0/24"),
		Tunnel: "weftvxlan", UDPPort: 4789, Peers: []netip.Addr{netip.MustParseAddr("192.0.2.9")}, HostOn: true,
	}
}

// look fails the test if anything could not be looked at.
func look(t *testing.T, cell Cell, from Sources) Facts {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if from.Rules == nil {
		from.Rules = rules(true)
	}
	f := Look(ctx, cell, from)
	for name, err := range f.Failed {
		t.Errorf("%s: %v", name, err)
	}
	return f
}

// TestLookAtSettings: what the kernel's settings are is what is judged.
func TestLookAtSettings(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	f := look(t, cell, Sources{})
	if f.Underlay != (Underlay{Name: "under0", MTU: 1500}) || !f.Forwarding.On || len(f.Forwarding.Off) > 0 || !f.Tracking.InStep || f.Tracking.Entries != 0 || len(f.Closed) > 0 {
		t.Errorf("at first: %+v", f)
	}
	want := []Return{
		{Who: "this cell's containers", Source: netip.MustParseAddr("10.255.1.1"), In: "br-weft", Out: "br-weft"},
		{Who: "the cell at 192.0.2.9", Source: netip.MustParseAddr("192.0.2.9"), To: cell.UnderlayIP, In: "under0", Out: "under0"},
	}
	if !slices.Equal(f.Returns, want) {
		t.Errorf("returns\n%+v, want\n%+v", f.Returns, want)
	}

	sh(t, `sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.under0.rp_filter=2 net.ipv4.conf.br-weft.forwarding=0
		ip route add 192.0.2.9/32 dev under1; ip link set dev under0 mtu 1400
		nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'`)
	f = look(t, cell, Sources{Rules: rules(false)})
	if f.Underlay.MTU != 1400 || !f.Forwarding.On || !slices.Equal(f.Forwarding.Off, []string{"br-weft"}) || f.Tracking.InStep || !slices.Equal(f.Closed, []string{"chain FORWARD of table ip filter"}) {
		t.Errorf("then: %+v", f)
	}
	if f.Returns[0].Filter != rpStrict || f.Returns[1].Filter != rpLoose || f.Returns[1].Out != "under1" {
		t.Errorf("returns %+v, want the larger of all's and the interface's own filter", f.Returns)
	}
	sh(t, "sysctl -qw net.ipv4.ip_forward=0; ip route del 192.0.2.9/32; ip route replace unreachable 192.0.2.9/32")
	if f = look(t, cell, Sources{}); f.Forwarding.On || f.Returns[1].Out != "" {
		t.Errorf("at last: %+v, %+v", f.Forwarding, f.Returns)
	}
	cell.HostOn, cell.Userspace = false, true
	if f = look(t, cell, Sources{}); len(f.Returns) > 0 || len(f.Closed) > 0 {
		t.Errorf("a cell alone, with nothing on its host: %+v", f)
	}
	cell.UnderlayIP = netip.MustParseAddr("203.0.113.7")
	if f = look(t, cell, Sources{}); f.Underlay.Name != "" {
		t.Errorf("an address of nobody is on %+v", f.Underlay)
	}
	if _, err := FindUnderlay(cell.UnderlayIP); !errors.Is(err, ErrNoUnderlay) || !strings.Contains(err.Error(), "203.0.113.7") {
		t.Errorf("an address of nobody: %v", err)
	}
	cell.UnderlayIP = netip.MustParseAddr("127.0.0.1")
	if f = look(t, cell, Sources{}); !f.Underlay.Inner {
		t.Errorf("the loopback is %+v", f.Underlay)
	}
}

// TestStrictFilterDropsTunnels: what is said of an underlay whose routes back
// lead elsewhere is what the kernel does with a tunnel's packet.
func TestStrictFilterDropsTunnels(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	listener, err := net.ListenPacket("udp4", "192.0.2.1:4789")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range []struct {
		name, script string
		arrives      bool
	}{
		{"back by the same way", "sysctl -qw net.ipv4.conf.under0.rp_filter=1", true},
		{"strict, back by another", "ip route add 192.0.2.9/32 dev under1", false},
		{"loose", "sysctl -qw net.ipv4.conf.under0.rp_filter=2", true},
		{"strict for all, loose here", "sysctl -qw net.ipv4.conf.all.rp_filter=1", true},
		{"no way back", "ip route replace unreachable 192.0.2.9/32", false},
		{"no filter", "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.under0.rp_filter=0", true},
	} {
		sh(t, c.script)
		sendTunnelled(t, "peer0", "under0")
		_ = listener.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, _, err := listener.ReadFrom(make([]byte, 100))
		if (err == nil) != c.arrives {
			t.Errorf("%s: the packet arrives: %v, expected %v", c.name, err == nil, c.arrives)
		}
		if drops := look(t, cell, Sources{}).Returns[1].drops(); drops == c.arrives {
			t.Errorf("%s: it is said that packets are dropped: %v", c.name, drops)
		}
	}
}

// sendTunnelled puts a packet from 192.0.2.9 to UDP 4789 of 192.0.2.1 on a wire.
func sendTunnelled(t *testing.T, from, to string) {
	t.Helper()
	out, err1 := net.InterfaceByName(from)
	in, err2 := net.InterfaceByName(to)
	fd, err3 := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	defer unix.Close(fd)
	frame := slices.Concat(in.HardwareAddr, out.HardwareAddr, []byte{
		0x08, 0x00, // IPv4
		0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0xf6, 0xbe, 192, 0, 2, 9, 192, 0, 2, 1,
		0x30, 0x39, 0x12, 0xb5, 0, 16, 0, 0, // UDP 12345 to 4789, without a checksum
		0x88, 0, 0, 101, 0, 0, 1, 0, // VXLAN with a group id
	})
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: out.Index}); err != nil {
		t.Fatal(err)
	}
}

// TestLookAtTracking: entries of the tunnel's port are counted, and no others.
func TestLookAtTracking(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	sh(t, `nft 'table inet t { chain c { type filter hook output priority 0; ct state new accept; }; }'`)
	for _, port := range []int{4789, 4789, 53} { // from one source port each
		conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
	}
	if n := look(t, cell, Sources{}).Tracking.Entries; n != 2 {
		t.Errorf("%d entries, expected 2", n)
	}
	cell.Userspace = true
	if n := look(t, cell, Sources{}).Tracking.Entries; n != 0 {
		t.Errorf("%d entries of a tunnel that there is not", n)
	}
}

// TestLookAtDevices: the features are those of the devices that do the work,
// be they below a bridge, or a bridge below a device that stands on it.
func TestLookAtDevices(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	sh(t, `ip link add br0 type bridge; ip link set br0 up; ip addr flush dev under0
		ip link set under0 master br0; ip link set under1 master br0; ip link add link br0 name up0 type macvlan
		ip addr add 192.0.2.1/24 dev up0; ip link set up0 up`)
	f := look(t, cell, Sources{})
	if f.Underlay.Name != "up0" || len(f.Devices) != 2 {
		t.Fatalf("%+v, devices %+v, expected under0 and under1 below up0", f.Underlay, f.Devices)
	}
	slices.SortFunc(f.Devices, func(a, b Device) int { return strings.Compare(a.Name, b.Name) })
	for i, name := range []string{"under0", "under1"} {
		if d := f.Devices[i]; d.Name != name || d.Driver != "veth" || !d.Features[tunnelSegmentation] || !d.Features[tunnelCsumSegmentation] {
			t.Errorf("%+v, expected %s, a veth with both", d, name)
		}
	}
	tool, err := ethtool.NewEthtool()
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	if err := tool.Change("under1", map[string]bool{tunnelSegmentation: false}); err != nil {
		t.Fatal(err)
	}
	f = look(t, cell, Sources{})
	for _, d := range f.Devices {
		if d.Features[tunnelSegmentation] != (d.Name == "under0") {
			t.Errorf("after switching it off on under1: %+v", d)
		}
	}
}

// TestLookAtContainers: those that are attached, by the host ends that there are.
func TestLookAtContainers(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	sw, db := database(t)
	cell.Bridge = "br-none"
	sh(t, "ip link add br-none type bridge")
	if f := look(t, cell, Sources{DB: db}); len(f.Containers) > 0 || !f.Switch.Connected || f.Switch.Bridge || f.Switch.FlowRestoreWait {
		t.Errorf("without the bridge: %+v", f)
	}
	cell.Bridge = "br-weft"
	sh(t, "ip link add c2 mtu 1450 type veth peer name eth2")
	plugin, err := ovsdb.Dial(t.Context(), sw.DB())
	if err != nil {
		t.Fatal(err)
	}
	defer plugin.Close()
	for _, name := range []string{"c2", "c3"} { // c3 has no device, as in a switch of another namespace
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := plugin.AddPort(ctx, "br-weft", "cell-1", ovsdb.Port{Name: name, Container: "container-of-" + name}); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	sw.Vsctl("--no-wait", "set", "open_vswitch", ".", "other_config:flow-restore-wait=true")
	waitFor(t, "the database says flow-restore-wait", func() bool { return db.Status("br-weft").FlowRestoreWait })
	f := look(t, cell, Sources{DB: db})
	if !slices.Equal(f.Containers, []Container{{ID: "container-of-c2", Port: "c2", MTU: 1450}}) || f.Switch.DatapathID == "" || !f.Switch.FlowRestoreWait {
		t.Errorf("containers %+v, switch %+v", f.Containers, f.Switch)
	}
}
