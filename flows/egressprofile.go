package flows

import (
	"slices"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Table egress: the part of one set of egress rules, its profile.

// Priorities in table egress, below those of egress.go. Each rule has one of
// its own, so that the rules of a set may overlap as they like: OpenFlow holds
// a match once per priority, and does not say what overlapping conjunctions of
// one priority do. The switch reads them like a chain whose first match wins;
// those that log come first, else a rule that does not log could hide them.
const (
	egressFirstRule = 5000 // down to 905
	egressRelated   = 900  // its match excludes those of rules
)

// What a set can have at most. Containers repeat their set in what an agent
// reports, and a switch and its cell's agent hold all its flows.
const (
	MaxEgressRules = 4096
	MaxEgressFlows = 16384
	MaxEgressText  = 128 << 10 // bytes of its canonical text
)

// EgressFragment compiles what a set of rules allows. It depends on nothing
// else, so containers with equal sets share it, on every cell. Every flow
// matches the connection's original tuple, so that one judges both directions,
// and loses them both when it goes. Without rules, or with a text that is not
// canonical, the fragment has no flows and allows nothing.
func EgressFragment(set EgressRules) Fragment {
	var b builder
	rules, number := set.Rules(), set.Profile()
	if len(rules) > 0 {
		b.egressErrors(number)
	}
	priority := uint16(egressFirstRule)
	for _, logging := range []bool{true, false} {
		for i, rule := range rules {
			if rule.Log == logging {
				b.egressRule(number, i+1, priority, rule)
				priority--
			}
		}
	}
	return b.fragment(EgressKey(set))
}

// egressErrors lets a container send ICMP errors about connections that it has
// out of the overlay: such a packet has no original tuple in the switch.
func (b *builder) egressErrors(p EgressProfile) {
	b.add(stage{TableEgress, egressRelated, EgressCookie(p, 0)},
		[]term{related, origin.is(originContainer), profile.is(uint32(p))}, gotoTable(TableOutput))
}

// egressRule allows what one rule of a profile does: a flow for each pair of a
// prefix and a masked port, or where those would be many, a conjunction. That is
// at most 62 flows for a range of addresses, 30 for one of ports, 93 for both.
func (b *builder) egressRule(p EgressProfile, place int, priority uint16, r EgressRule) {
	at := stage{TableEgress, priority, EgressCookie(p, place)}
	own := []term{tracked, profile.is(uint32(p))}
	match := func(more ...term) []term { return slices.Concat(own, more) }
	allow := []ovs.Action{gotoTable(TableOutput)}
	if r.Log {
		allow = slices.Insert(allow, 0, logged.set(1))
	}
	to, details := r.destinations(), r.details()
	if !conjunctionPays(len(to), len(details)) {
		for _, address := range to {
			for _, detail := range details {
				b.add(at, match(slices.Concat(address, detail)...), allow...)
			}
		}
		return
	}
	// Every flow has the profile, so ids need differ only within it.
	for _, address := range to {
		b.add(at, match(address...), ovs.Conjunction(place, 1, 2))
	}
	for _, detail := range details {
		b.add(at, match(detail...), ovs.Conjunction(place, 2, 2))
	}
	b.add(at, match(conjunctionHolds(place)), allow...)
}

// conjunctionPays reports whether a flow per address and per detail, and one
// for both, are fewer than one per pair; never for a handful, which are easier
// to read as pairs and are looked up once.
func conjunctionPays(addresses, details int) bool {
	return addresses*details > max(8, addresses+details+1)
}

// cost is how many flows the rule compiles to.
func (r EgressRule) cost() int {
	addresses, details := len(r.destinations()), len(r.details())
	if conjunctionPays(addresses, details) {
		return addresses + details + 1
	}
	return addresses * details
}

// destinations returns what matches the rule's addresses, each alternative as
// terms: OVS has no match on /0, so all addresses are no term.
func (r EgressRule) destinations() (alternatives [][]term) {
	for prefix := range prefixes(r.First, r.Last) {
		if prefix.Bits() == 0 {
			return [][]term{nil}
		}
		alternatives = append(alternatives, []term{originalDestination(prefix)})
	}
	return alternatives
}

// details returns what matches the rule's protocol and ports, or ICMP type and
// code, each alternative as terms.
func (r EgressRule) details() (alternatives [][]term) {
	first := firstPacket{protocol: r.Protocol}
	exactly := func(n int16) maskedPort {
		if n < 0 {
			return maskedPort{}
		}
		return maskedPort{uint16(n), 0xffff}
	}
	switch {
	case r.Protocol == AnyProtocol:
		return [][]term{nil}
	case r.Protocol == ICMP:
		first.source, first.destination = exactly(r.ICMPType), exactly(r.ICMPCode)
	case r.Ports != PortRange{}:
		for ports := range r.Ports.masked() {
			first.destination = ports
			alternatives = append(alternatives, []term{first.term()})
		}
		return alternatives
	}
	return [][]term{{first.term()}}
}
