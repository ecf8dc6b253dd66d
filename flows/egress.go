package flows

import "net/netip"

// Table egress: may it leave the overlay?

// Below these are the containers' own rules: egressprofile.go.
const (
	egressTunnel  = 30000 // to the port of VXLAN
	egressService = 20000 // a service of the host, or the host's error about a connection
	egressDeny    = 10000 // a network that is always denied
)

// egress has what holds for all containers of the cell, whatever their rules.
// All flows match the connection's original tuple, as those of policy do: one
// flow judges a connection's packets both ways, each of them.
func (b *builder) egress(base Base) {
	at := func(priority uint16) stage { return stage{TableEgress, priority, BaseCookie(TableEgress)} }
	allow := gotoTable(TableOutput)
	// A container that could reach the tunnel of any cell, by whichever of the
	// cell's addresses, would send packets as any app: masqueraded, they come
	// from a known VTEP. Nobody answers, either.
	b.add(at(egressTunnel), []term{tracked, originalTuple(UDP, maskedPort{base.vxlanPort(), 0xffff})}, drop)
	for _, s := range base.services() {
		b.add(at(egressService),
			[]term{tracked, originalTuple(s.Protocol, maskedPort{s.Port, 0xffff}), originalDestination(host(s.Addr))}, allow)
	}
	b.add(at(egressService), []term{related, origin.is(originHost)}, allow)
	for _, network := range distinct(base.Deny) {
		b.add(at(egressDeny), []term{tracked, originalDestination(network)}, deny(ReasonDenyNetwork)...)
	}
}

// originalDestination matches the destination of the connection's first
// packet, whichever direction this one travels.
func originalDestination(p netip.Prefix) term {
	return term{at: atCTDst, needs: atIP, field: word("ct_nw_dst=" + prefixText(p))}
}
