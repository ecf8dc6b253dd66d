package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A sighting is one packet as it reaches the bridge, with what the connection
// tracker knows of it.
type sighting struct {
	kind string // what the generator meant it to be; the model does not look

	// By which port it came.
	container OFPort // a container's, or the zero value
	tunnel    *outer // another cell's
	host      bool   // the host's
	answer    bool   // the deny port

	marked  bool // by the host's own rules
	answers bool // a container, as these rules see it
	tagged  bool // with a VLAN
	ether   [2]MAC
	src     netip.Addr
	dst     netip.Addr
	tuple   transport
	flags   uint8 // of TCP

	state connection
}

// outer is the header of a packet from the tunnel.
type outer struct {
	vtep    netip.Addr
	vni     VNI
	group   GroupID
	applied bool
}

// transport is the protocol and the ports; of ICMP, type and code.
type transport struct {
	protocol Protocol
	src, dst uint16
}

// connection is what the tracker says.
type connection struct {
	invalid, related, backward, fresh bool

	judge   uint32  // who judged it here: nobody, policy, egress, the host
	opener  GroupID // at that time
	serving GroupID // the server's, at that time
	server  netip.Addr
	tuple   transport // of its first packet
}

const (
	remembered = "remembered" // without saying by whom
	turned     = "turned"
)

// meaning says what should become of a packet, in the plainest way we can: no
// tables, no registers, no priorities. A drop names the table that must count
// it, which is part of the promise.
func meaning(cell CellState, s sighting) string {
	if s.tagged {
		return "drop in classify"
	}
	local := func(ip netip.Addr) (Endpoint, bool) {
		i := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.IP == ip })
		if i < 0 {
			return Endpoint{}, false
		}
		return cell.Local[i], true
	}
	switch {
	case s.host:
		return fromTheHost(cell, s, local)
	case s.answer:
		return fromTheDenyPort(cell, s, local)
	case s.tunnel != nil:
		i := slices.IndexFunc(cell.Remote, func(p Peer) bool { return p.VTEP == s.tunnel.vtep })
		if i < 0 || !cell.Remote[i].Lease.Contains(s.src) || s.tunnel.vni != cell.VNI {
			return "drop in classify"
		}
		to, ok := local(s.dst)
		switch {
		case s.state.invalid:
			return "drop in state"
		case !ok:
			return "drop in destination"
		}
		return fromAnotherCell(cell, s, to)
	}
	i := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.OFPort == s.container })
	if i < 0 {
		return "drop in classify"
	}
	from := cell.Local[i]
	if s.src != from.IP || s.ether[0] != from.mac() {
		return "drop in portsec"
	}
	if s.state.invalid {
		return "drop in state"
	}
	if to, ok := local(s.dst); ok {
		return between(cell, s, from, to)
	}
	if to, ok := whichCell(cell, s.dst); ok {
		return toAnotherCell(cell, s, from, to)
	}
	if nowhere(cell, s.dst) {
		return "drop in destination"
	}
	return toTheOutside(cell, s, from)
}

func whichCell(cell CellState, ip netip.Addr) (Peer, bool) {
	i := slices.IndexFunc(cell.Remote, func(p Peer) bool { return p.Lease.Contains(ip) })
	if i < 0 {
		return Peer{}, false
	}
	return cell.Remote[i], true
}

// nowhere is what is neither a container's nor outside.
func nowhere(cell CellState, ip netip.Addr) bool {
	return cell.Lease.Contains(ip) || ip.As4()[0] >= 224 || inOverlay(cell, ip)
}

func inOverlay(cell CellState, ip netip.Addr) bool {
	return slices.ContainsFunc(cell.Overlay, func(o netip.Prefix) bool { return o.Contains(ip) })
}

// allowed asks the policies.
func allowed(cell CellState, from, to GroupID, s transport) bool {
	return from != 0 && to != 0 && slices.ContainsFunc(cell.Allow, func(r Rule) bool {
		return r.From == from && r.To == to && r.Protocol == s.protocol && r.Ports.First <= s.dst && s.dst <= r.Ports.Last
	})
}

// between reports whether policy has let these two, in these parts, connect.
func (c connection) between(opener, server GroupID) bool {
	return c.judge == judgedPolicy && c.opener == opener && c.serving == server
}

func denied(why Reason, from, to GroupID) string {
	return fmt.Sprintf("denied by %v, %d to %d", why, from, to)
}

// between two containers of this cell.
func between(cell CellState, s sighting, from, to Endpoint) string {
	port := fmt.Sprintf("port %d", to.OFPort)
	if to.OFPort == from.OFPort {
		port = "nobody" // OVS never outputs to the port that a packet came by
	}
	switch {
	case s.state.backward && s.state.judge == judgedPolicy:
		return answersHere(cell, s, from.Group, port)
	case s.state.backward && s.state.judge == judgedHost:
		return impossible // the host has no address of a container
	}
	return opens(cell, s, from.Group, to, port, from.Log || to.Log)
}

// opens judges a packet to a container here by its sender's group, unless it
// answers something.
func opens(cell CellState, s sighting, from GroupID, to Endpoint, port string, log bool) string {
	if s.state.backward {
		// Looks like an answer, but nobody allowed the question: judged by
		// itself, and if it is allowed, it is the question from now on. An
		// error about a question that nobody asked is nothing.
		switch {
		case s.state.related:
			return "drop in deny"
		case allowed(cell, from, to.Group, s.tuple):
			return fmt.Sprintf("%s as policy %d to %d, %s", turned, from, to.Group, port)
		}
		return deniedToOpen(s, from, to.Group)
	}
	switch ok := allowed(cell, from, to.Group, s.tuple); {
	case s.state.related && s.state.between(from, to.Group):
		return port
	case s.state.related:
		return "drop in deny"
	case ok && log && s.state.fresh:
		return fmt.Sprintf("accepted by policy, %d to %d, %s as policy %d to %d, %s", from, to.Group, remembered, from, to.Group, port)
	case ok:
		return fmt.Sprintf("%s as policy %d to %d, %s", remembered, from, to.Group, port)
	}
	return deniedToOpen(s, from, to.Group)
}

// deniedToOpen: what a tunnel brings without identity is forged, and nobody
// answers it.
func deniedToOpen(s sighting, from, to GroupID) string {
	if from == 0 && s.tunnel != nil {
		return "drop in deny"
	}
	return denied(ReasonPolicy, from, to)
}

// answersHere: an answer to what this cell judged is judged again, as its
// opener's, towards the group that answers now.
func answersHere(cell CellState, s sighting, server GroupID, where string) string {
	switch {
	case s.state.related && s.state.between(s.state.opener, server):
		return where
	case s.state.related:
		return "drop in deny"
	case allowed(cell, s.state.opener, server, s.state.tuple):
		return where
	}
	return denied(ReasonPolicy, server, s.state.opener) + " backward"
}

func fromAnotherCell(cell CellState, s sighting, to Endpoint) string {
	port := fmt.Sprintf("port %d", to.OFPort)
	if s.state.backward && s.state.judge == judgedNot && s.tunnel.applied {
		return port // that cell judged it
	}
	return opens(cell, s, s.tunnel.group, to, port, to.Log)
}

func toAnotherCell(cell CellState, s sighting, from Endpoint, to Peer) string {
	where := fmt.Sprintf("cell %v as group %d", to.VTEP, from.Group)
	switch {
	case s.state.backward && s.state.judge == judgedPolicy:
		return answersHere(cell, s, from.Group, where+" applied")
	case s.state.backward && s.state.judge == judgedHost:
		return impossible
	case from.Group == 0 && s.state.related:
		return "drop in deny"
	case from.Group == 0:
		return denied(ReasonPolicy, 0, 0)
	case s.state.backward:
		return turned + ", " + where
	}
	return remembered + ", " + where
}

func toTheOutside(cell CellState, s sighting, from Endpoint) string {
	switch {
	case s.state.backward && s.state.judge == judgedHost:
		return "as a reply, host"
	case s.state.backward:
		return impossible // whoever is outside comes by the host
	case s.state.related && from.Egress != "":
		return "host"
	case s.state.related:
		return "drop in deny"
	}
	switch verdict, log := leaves(cell, from, s.dst, s.tuple); {
	case verdict != "":
		return verdict
	case (log || from.Log) && s.state.fresh:
		return fmt.Sprintf("accepted by egress, %d to 0, %s as egress, host", from.Group, remembered)
	}
	return remembered + " as egress, host"
}

// leaves asks whether a container may open a connection out of the overlay:
// "" if it may, and whether a rule says that it is to be logged.
func leaves(cell CellState, from Endpoint, to netip.Addr, first transport) (verdict string, log bool) {
	vxlan := cell.VXLANPort
	if vxlan == 0 {
		vxlan = DefaultVXLANPort
	}
	if first.protocol == UDP && first.dst == vxlan {
		return "drop in egress", false
	}
	if slices.Contains(cell.Services, Service{first.protocol, to, first.dst}) {
		return "", false
	}
	if slices.ContainsFunc(cell.Deny, func(n netip.Prefix) bool { return n.Contains(to) }) {
		return denied(ReasonDenyNetwork, from.Group, 0), false
	}
	p := asks{protocol: first.protocol, to: to, port: first.dst, icmp: [2]uint8{uint8(first.src), uint8(first.dst)}}
	rules := from.Egress.Rules()
	i := ruleFor(rules, p)
	if i == 0 {
		return denied(ReasonEgress, from.Group, 0), false
	}
	return "", rules[i-1].Log
}

// fromTheHost: connections that it opens, and answers from outside.
func fromTheHost(cell CellState, s sighting, local func(netip.Addr) (Endpoint, bool)) string {
	if inOverlay(cell, s.src) || !s.marked {
		return "drop in classify"
	}
	answers := s.state.backward && s.state.judge == judgedEgress
	if s.state.invalid || s.state.backward && !answers {
		return "drop in state"
	}
	if s.answers && !s.state.backward && !s.state.related {
		return "drop in state" // what we do not remember was not asked, or by somebody who is gone
	}
	to, ok := local(s.dst)
	port := fmt.Sprintf("port %d", to.OFPort)
	switch {
	case !ok:
		return "drop in destination"
	case s.state.related:
		return port
	case !answers:
		return remembered + " as host, " + port
	}
	// Judged again, as its question was; nobody is told.
	verdict, _ := leaves(cell, to, s.state.server, s.state.tuple)
	switch {
	case verdict == "":
		return port
	case strings.HasPrefix(verdict, "denied"):
		return "drop in deny"
	}
	return verdict
}

// fromTheDenyPort: answers to denied packets, and nothing else. They are from
// the group in the source MAC.
func fromTheDenyPort(cell CellState, s sighting, local func(netip.Addr) (Endpoint, bool)) string {
	const rst = 4
	isAnswer := s.tuple.protocol == TCP && s.flags&rst != 0 ||
		s.tuple.protocol == ICMP && s.tuple.src == 3 && s.tuple.dst == 3
	if !isAnswer {
		return "drop in classify"
	}
	group := GroupID(s.ether[0][4])<<8 | GroupID(s.ether[0][5])
	if to, ok := local(s.dst); ok {
		return fmt.Sprintf("port %d", to.OFPort)
	}
	if to, ok := whichCell(cell, s.dst); ok {
		return fmt.Sprintf("cell %v as group %d applied", to.VTEP, group)
	}
	if nowhere(cell, s.dst) {
		return "drop in destination"
	}
	return impossible // answers go to containers
}
