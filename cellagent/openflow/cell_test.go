package openflow

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/weft-sdn/weft/flows"
)

// randomCell is a cell with something of everything that a table depends on.
func randomCell(seed uint64) flows.CellState {
	r := rand.New(rand.NewPCG(seed, 2))
	port := func() uint16 { return uint16(1 + r.IntN(65535)) }
	cell := flows.CellState{Cell: "cell-1", VNI: flows.VNI(1 + r.IntN(1<<24-1)), Lease: netip.MustParsePrefix("10.255.1.0/24"),
		Overlay:   []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")},
		VXLANPort: port(), Deny: []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")},
		Services: []flows.Service{{Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53}}}
	for i := range r.IntN(6) {
		cell.Local = append(cell.Local, flows.Endpoint{
			Container: fmt.Sprint("c", i), App: flows.AppID(fmt.Sprint("app-", i)), Group: flows.GroupID(r.IntN(1 << 16)),
			IP: netip.AddrFrom4([4]byte{10, 255, 1, byte(2 + i)}), OFPort: flows.OFPort(101 + i),
			Egress: randomEgress(r), Log: r.IntN(2) == 0,
		})
	}
	for i := range r.IntN(4) {
		cell.Remote = append(cell.Remote, flows.Peer{Cell: flows.CellID(fmt.Sprint("cell-", i+2)),
			VTEP:  netip.AddrFrom4([4]byte{172, byte(r.IntN(256)), byte(r.IntN(256)), byte(i)}),
			Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(i + 2), 0}), 24)})
	}
	for i := range r.IntN(20) {
		first := port()
		cell.Allow = append(cell.Allow, flows.Rule{Policy: flows.PolicyID(i + 1), From: flows.GroupID(1 + r.IntN(1<<16-1)), To: flows.GroupID(1 + r.IntN(1<<16-1)),
			Protocol: []flows.Protocol{flows.TCP, flows.UDP}[r.IntN(2)], Log: r.IntN(4) == 0,
			Ports: flows.PortRange{First: first, Last: first + uint16(r.IntN(65536-int(first)))}})
	}
	return cell
}

func randomEgress(r *rand.Rand) flows.EgressRules {
	var rules []flows.EgressRule
	for range r.IntN(5) {
		first := r.Uint32()
		last := first + uint32(r.IntN(int(^first)+1))
		rule := flows.EgressRule{Protocol: flows.AnyProtocol, First: ipv4(first), Last: ipv4(last), Log: r.IntN(2) == 0}
		switch r.IntN(4) {
		case 0:
			rule.Protocol, rule.ICMPType, rule.ICMPCode = flows.ICMP, int16(r.IntN(256)), int16(r.IntN(257)-1)
		case 1, 2:
			rule.Protocol = flows.TCP
			lowest := 1 + r.IntN(65535)
			rule.Ports = flows.PortRange{First: uint16(lowest), Last: uint16(lowest + r.IntN(65536-lowest))}
		}
		rules = append(rules, rule)
	}
	set, err := flows.NewEgressRules(rules)
	if err != nil {
		panic(err)
	}
	return set
}

func ipv4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
