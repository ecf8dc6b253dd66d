package flows

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// randomCellFrom is a cell with a few apps, addresses, peers and policies,
// small enough that random packets meet them.
func randomCellFrom(seed uint64) CellState {
	r := rand.New(rand.NewPCG(seed, 0))
	cell := CellState{Cell: "cell-1", VNI: 1, Lease: netip.MustParsePrefix("10.255.1.0/24"),
		Overlay: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")}}
	for i := range 4 + r.IntN(3) {
		ep := Endpoint{
			Container: fmt.Sprintf("c%d", i), App: AppID(fmt.Sprintf("app-%d", i)),
			Group: GroupID(r.IntN(5)), // 0: isolated
			IP:    netip.AddrFrom4([4]byte{10, 255, 1, byte(2 + i)}), OFPort: OFPort(101 + i),
		}
		if r.IntN(3) == 0 {
			ep.MAC = MAC{2, 0, 0, 0, 0x77, byte(i)}
		}
		cell.Local = append(cell.Local, ep)
	}
	for i := range 1 + r.IntN(3) {
		cell.Remote = append(cell.Remote, Peer{Cell: CellID(fmt.Sprintf("cell-%d", i+2)),
			VTEP:  netip.AddrFrom4([4]byte{172, 31, 0, byte(i + 2)}),
			Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(i + 2), 0}), 24)})
	}
	for i := range 8 + r.IntN(12) {
		first := randomPort(r)
		cell.Allow = append(cell.Allow, Rule{
			Policy: PolicyID(i + 1), From: GroupID(r.IntN(5)), To: GroupID(r.IntN(5)),
			Protocol: []Protocol{TCP, UDP}[r.IntN(2)],
			Ports:    PortRange{first, first + uint16(r.IntN(40)*r.IntN(2))},
		})
	}
	return cell
}

// randomPort is mostly one of a few ports, around which ranges overlap.
func randomPort(r *rand.Rand) uint16 {
	if r.IntN(10) == 0 {
		return uint16(1 + r.IntN(firstSource-100))
	}
	return uint16(8070 + r.IntN(40))
}
