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
	receiver := destination.group(to)
	for pair := range runs(sorted, sameGroups) {
		b.policies(receiver, pair)
	}
	return b.fragment(PolicyKey(to))
}

// policies allows one pair of groups what its rules allow. The port is that of
// the connection's first packet, so one flow judges both directions.
func (b *builder) policies(to term, pair []Rule) {
	from, allow := source.group(pair[0].From), gotoTable(TableOutput)
	for rules := range runs(pair, sameProtocol) {
		for _, s := range segments(rules) {
			at := stage{TablePolicy, policyAllow, cookieOf(s.policies)}
			for ports := range s.ports.masked() {
				match := []term{tracked, originalTuple(rules[0].Protocol, ports), from, to}
				if s.log {
					b.add(at, match, logged.set(1), allow)
				} else {
					b.add(at, match, allow)
				}
			}
		}
	}
}
