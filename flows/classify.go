package flows

import "net/netip"

// Table classify: which port did it enter by, and so whose packet is it?

const (
	classifyTagged  = 110 // a VLAN tag, from wherever
	classifyForeign = 105 // the host with an address of the overlay
	classifyKnown   = 100 // a container of ours, a cell we know, the host's rules, an answer
	classifyRefuse  = 50  // the tunnel, the host and the deny port: what no flow above knows
)

// classifyEndpoint gives a container's packets the identity of its app. It
// matches nothing but the port: what the packet says of itself is portsec's.
func (b *builder) classifyEndpoint(ep Endpoint) {
	b.add(stage{TableClassify, classifyKnown, EndpointCookie(ep.IP)},
		[]term{inPort(ep.OFPort)},
		append(traits(ep), source.set(uint32(ep.Group)), origin.set(originContainer), gotoTable(TablePortsec))...)
}

// classifyPeer believes the identity in a tunnel header only if the outer
// source is a cell that we know and the inner source is in that cell's lease:
// so a forged packet can at most claim to be from another app of the cell that
// forged it. Here alone tun_* is read (see Check).
func (b *builder) classifyPeer(vni VNI, peer Peer) {
	b.add(stage{TableClassify, classifyKnown, CellCookie(peer.VTEP)},
		[]term{inPort(TunnelOFPort), tunnelID(vni), tunnelSource(peer.VTEP), ipSource(peer.Lease)},
		source.from("NXM_NX_TUN_GBP_ID[]"), applied.from("NXM_NX_TUN_GBP_FLAGS[3]"),
		origin.set(originTunnel), gotoTable(TableConntrack))
}

// classifyHost lets in what the host's own rules let go, which mark it, and the
// answers to denied packets. An address of the overlay behind LOCAL is forged:
// containers' packets enter by their own ports. The answers' frames come with
// the MACs of the denied packet's Notice swapped, so their sender's group is in
// the source.
func (b *builder) classifyHost(overlay []netip.Prefix) {
	at := func(priority uint16) stage { return stage{TableClassify, priority, BaseCookie(TableClassify)} }
	for _, network := range distinct(overlay) {
		b.add(at(classifyForeign), []term{fromHost, ipSource(network)}, drop)
	}
	b.add(at(classifyKnown), []term{fromHost, hostMarked}, origin.set(originHost), gotoTable(TableConntrack))
	for _, answer := range [][]term{{isTCP, tcpReset}, {isICMP, icmpUnreachable, icmpPort}} {
		b.add(at(classifyKnown), append(answer, inPort(DenyOFPort)),
			source.from("NXM_OF_ETH_SRC[0..15]"), origin.set(originContainer), class.set(classRefusal),
			gotoTable(TableDestination))
	}
}

// classifyRest counts what comes by the tunnel from nobody we know, and what
// the host sends otherwise, apart from packets of ports that are not yet an
// endpoint. A VLAN tag must be refused by name: a match on IPv4 or ARP looks
// behind it, and what passes would be delivered with the tag.
func (b *builder) classifyRest() {
	at := func(priority uint16) stage { return stage{TableClassify, priority, BaseCookie(TableClassify)} }
	b.add(at(classifyTagged), []term{tagged}, drop)
	b.add(at(classifyRefuse), []term{inPort(TunnelOFPort)}, drop)
	b.add(at(classifyRefuse), []term{inPort(DenyOFPort)}, drop)
	b.add(at(classifyRefuse), []term{fromHost}, drop)
}
