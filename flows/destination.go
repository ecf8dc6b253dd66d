package flows

import (
	"net/netip"
	"slices"
)

// Table destination: which local port or remote VTEP should it leave by?

const (
	destinationLocal   = 100 // a container here
	destinationRemote  = 90  // a container's packet to another cell's lease
	destinationNobody  = 80  // from a tunnel to none of ours, or our lease's free addresses
	destinationUnknown = 70  // the overlay's unleased rest
	destinationOutside = 60  // out of the overlay
)

// destinationEndpoint delivers to a container here, whoever sends.
func (b *builder) destinationEndpoint(ep Endpoint) {
	b.add(stage{TableDestination, destinationLocal, EndpointCookie(ep.IP)},
		[]term{ipDestination(host(ep.IP))},
		destination.set(uint32(ep.Group)), ofport.set(uint32(ep.OFPort)), delivery.set(deliveryLocal),
		gotoTable(TableJudge))
}

// destinationPeer sends containers' packets to the cell whose lease holds the
// address. It mentions no container of that cell, and never matches packets of
// a tunnel: a cell does not forward for others.
func (b *builder) destinationPeer(peer Peer) {
	b.add(stage{TableDestination, destinationRemote, CellCookie(peer.VTEP)},
		[]term{origin.is(originContainer), ipDestination(peer.Lease)},
		vtep.set(ipv4(peer.VTEP)), delivery.set(deliveryTunnel), gotoTable(TableJudge))
}

// destinationRest drops what has no receiver and lets egress decide on what
// leaves the overlay.
func (b *builder) destinationRest(lease netip.Prefix, overlay []netip.Prefix) {
	at := func(priority uint16) stage {
		return stage{TableDestination, priority, BaseCookie(TableDestination)}
	}
	sender := origin.is(originContainer)
	b.add(at(destinationNobody), []term{origin.is(originTunnel)}, drop)
	b.add(at(destinationNobody), []term{sender, ipDestination(lease)}, drop)
	networks := make([]netip.Prefix, len(overlay))
	for i, network := range overlay {
		networks[i] = network.Masked()
	}
	slices.SortFunc(networks, netip.Prefix.Compare)
	for _, network := range slices.Compact(networks) {
		b.add(at(destinationUnknown), []term{sender, ipDestination(network)}, drop)
	}
	b.add(at(destinationOutside), []term{sender, isIP}, gotoTable(TableEgress))
}
