package flows

import (
	"net/netip"
	"slices"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Table destination: which port, which cell, or out of the overlay?

const (
	destinationLocal   = 100 // a container here
	destinationRemote  = 90  // a container's packet to another cell's lease
	destinationNobody  = 80  // from a tunnel or the host to none of ours, our lease's free addresses, everybody
	destinationUnknown = 70  // the overlay's unleased rest
	destinationOutside = 60  // out of the overlay
)

// destinationEndpoint delivers to a container here, whoever sends.
func (b *builder) destinationEndpoint(ep Endpoint) {
	high, low := ep.mac().halves()
	b.add(stage{TableDestination, destinationLocal, EndpointCookie(ep.IP)},
		[]term{ipDestination(host(ep.IP))},
		append(traits(ep), destination.set(uint32(ep.Group)), ofport.set(uint32(ep.OFPort)),
			macHigh.set(high), macLow.set(low), delivery.set(deliveryLocal), gotoTable(TableJudge))...)
}

// traits loads what an endpoint has besides its identity, if it has it. It is
// the same for what comes from it and what goes to it, so between two
// containers of one cell the receiver's stands; egress asks about neither.
func traits(ep Endpoint) []ovs.Action {
	var actions []ovs.Action
	if ep.Egress != "" {
		actions = append(actions, profile.set(uint32(ep.Egress.Profile())))
	}
	if ep.Log {
		actions = append(actions, logged.set(1))
	}
	return actions
}

// destinationPeer sends containers' packets to the cell whose lease holds the
// address. It mentions no container of that cell, and never matches packets of
// a tunnel: a cell does not forward for others.
func (b *builder) destinationPeer(peer Peer) {
	b.add(stage{TableDestination, destinationRemote, CellCookie(peer.VTEP)},
		[]term{origin.is(originContainer), ipDestination(peer.Lease)},
		vtep.set(ipv4(peer.VTEP)), delivery.set(deliveryTunnel), gotoTable(TableJudge))
}

// destinationRest drops what has no receiver, and hands to the host what leaves
// the overlay, if its judge lets it. The host reaches containers of its own
// cell and no others: it has no group id.
func (b *builder) destinationRest(lease netip.Prefix, overlay []netip.Prefix) {
	at := func(priority uint16) stage {
		return stage{TableDestination, priority, BaseCookie(TableDestination)}
	}
	sender := origin.is(originContainer)
	b.add(at(destinationNobody), []term{origin.is(originTunnel)}, drop)
	b.add(at(destinationNobody), []term{origin.is(originHost)}, drop)
	b.add(at(destinationNobody), []term{sender, ipDestination(lease)}, drop)
	b.add(at(destinationNobody), []term{sender, ipDestination(manyReceivers)}, drop)
	for _, network := range distinct(overlay) {
		b.add(at(destinationUnknown), []term{sender, ipDestination(network)}, drop)
	}
	b.add(at(destinationOutside), []term{sender, isIP}, delivery.set(deliveryHost), gotoTable(TableJudge))
}

// manyReceivers are multicast, reserved and broadcast addresses (RFC 1112, RFC
// 919): one routed overlay has no use for them, and nobody may answer them.
var manyReceivers = netip.MustParsePrefix("224.0.0.0/3")

// distinct returns each network once, masked and in order.
func distinct(networks []netip.Prefix) []netip.Prefix {
	masked := make([]netip.Prefix, len(networks))
	for i, network := range networks {
		masked[i] = network.Masked()
	}
	slices.SortFunc(masked, netip.Prefix.Compare)
	return slices.Compact(masked)
}
