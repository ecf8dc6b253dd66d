package flows

import "slices"

// Table policy: may the source group talk to the destination group?

const policyAllow = 100 // disjoint matches, so one priority is enough

// PolicyFragment compiles all rules towards the group to; others it ignores.
// It depends on nothing else, so it is the same on every cell with such an
// endpoint. Group 0 has no identity: rules of it compile to nothing. Without
// rules the fragment has no flows.
func PolicyFragment(to GroupID, rules []Rule) Fragment {
	sorted := make([]Rule, 0, len(rules))
	for _, r := range rules {
		if r.To == to && r.To != 0 && r.From != 0 {
			sorted = append(sorted, r)
		}
	}
	slices.SortFunc(sorted, compareRules)
	b := builder{flows: make([]Flow, 0, len(sorted))}
	for pair := range pairs(sorted) {
		b.policy(pair)
	}
	return b.fragment(PolicyKey(to))
}

// policy allows one pair of groups on the ports of its rules, which are of one
// protocol. The port is that of the connection's first packet, so the flow
// judges both directions.
func (b *builder) policy(pair []Rule) {
	from, to := source.group(pair[0].From), destination.group(pair[0].To)
	for _, s := range segments(pair) {
		at := stage{TablePolicy, policyAllow, s.cookie()}
		for ports := range s.ports.masked() {
			b.add(at, []term{tracked, originalTuple(pair[0].Protocol, ports), from, to},
				gotoTable(TableOutput))
		}
	}
}
