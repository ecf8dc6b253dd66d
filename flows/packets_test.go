package flows

import (
	"net/netip"
	"testing"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

func threeApps() CellState {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return CellState{Cell: "cell-1", VNI: 1, Lease: prefix("10.255.1.0/24"), Overlay: []netip.Prefix{prefix("10.255.0.0/16")},
		Local: []Endpoint{
			{Container: "server", App: "backend", Group: 102, IP: addr("10.255.1.2"), OFPort: 101},
			{Container: "good", App: "frontend", Group: 101, IP: addr("10.255.1.3"), OFPort: 102},
			{Container: "bad", App: "other", Group: 103, IP: addr("10.255.1.4"), OFPort: 103},
		},
		Remote: []Peer{{Cell: "cell-2", VTEP: addr("172.31.0.2"), Lease: prefix("10.255.2.0/24")}},
		Allow:  []Rule{{Policy: 7, From: 101, To: 102, Protocol: UDP, Ports: PortRange{8080, 8080}}},
	}
}

// TestAlternatingApps: packets of two apps, one allowed and one not, are never
// taken for each other, by whatever the switch caches: on this cell, from one
// other cell, and in the answers.
func TestAlternatingApps(t *testing.T) {
	cell := threeApps()
	r := newRig(t)
	r.load(cell)
	const rounds = 30
	for range rounds {
		ask := func(from packet) packet {
			from.dst, from.protocol, from.srcPort, from.dstPort = cell.Local[0].IP, UDP, firstSource, 8080
			from.mac = MACOf(from.src)
			return from
		}
		remote := func(last byte, group GroupID) packet {
			return ask(packet{vtep: cell.Remote[0].VTEP, vni: cell.VNI, group: group, src: netip.AddrFrom4([4]byte{10, 255, 2, last})})
		}
		answer := func(to netip.Addr) packet {
			return packet{port: 101, src: cell.Local[0].IP, mac: MACOf(cell.Local[0].IP), dst: to, protocol: UDP, srcPort: 8080, dstPort: firstSource}
		}
		got := r.deliveries([]packet{
			ask(packet{port: 102, src: cell.Local[1].IP}), ask(packet{port: 103, src: cell.Local[2].IP}),
			remote(2, 101), remote(3, 103), remote(2, 101), remote(3, 103),
		})
		for i, want := range []OFPort{101, 0, 101, 0, 101, 0} {
			if got[i] != want {
				t.Fatalf("packet %d went to port %d, want %d", i, got[i], want)
			}
		}
		got = r.deliveries([]packet{answer(cell.Local[1].IP), answer(cell.Local[2].IP)})
		if got[0] != 102 || got[1] != 0 {
			t.Fatalf("answers went to ports %v, want 102 and none", got)
		}
	}
}

// TestPushingServerStops: a server that pushes over an established connection
// is cut off by the removal of the policy, without a packet of the client.
func TestPushingServerStops(t *testing.T) {
	cell := threeApps()
	r := newRig(t)
	r.load(cell)
	open := packet{port: 102, src: cell.Local[1].IP, mac: MACOf(cell.Local[1].IP), dst: cell.Local[0].IP, protocol: UDP, srcPort: firstSource, dstPort: 8080}
	push := packet{port: 101, src: open.dst, mac: MACOf(open.dst), dst: open.src, protocol: UDP, srcPort: 8080, dstPort: firstSource}
	if got := r.deliveries([]packet{open}); got[0] != 101 {
		t.Fatalf("the request went to port %d", got[0])
	}
	many := make([]packet, 20)
	for i := range many {
		many[i] = push
	}
	for _, policy := range []bool{true, false, true} {
		now := cell
		want := OFPort(102)
		if !policy {
			now.Allow, want = nil, 0
		}
		r.load(now)
		for i, got := range r.deliveries(many) {
			if got != want {
				t.Fatalf("policy %t: push %d went to port %d, want %d", policy, i, got, want)
			}
		}
	}
}

// TestGatewayAnswersARP: the answer is the gateway's, to the one who asked.
func TestGatewayAnswersARP(t *testing.T) {
	cell := threeApps()
	r := newRig(t)
	r.load(cell)
	asker := MACOf(cell.Local[0].IP)
	r.ports[101].Send(dummyovs.ARP{EthSrc: asker, EthDst: MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Op: 1,
		SenderMAC: asker, SenderIP: cell.Local[0].IP, TargetIP: GatewayIP}.Bytes())
	got, err := dummyovs.ParseARP(r.ports[101].Receive())
	want := dummyovs.ARP{EthSrc: GatewayMAC, EthDst: asker, Op: 2,
		SenderMAC: GatewayMAC, SenderIP: GatewayIP, TargetMAC: asker, TargetIP: cell.Local[0].IP}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	r.settle(func(port OFPort, frame []byte) { t.Errorf("port %d got %x as well", port, frame) })
}
