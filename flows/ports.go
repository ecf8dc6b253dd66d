package flows

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
)

// maskedPort is what OpenFlow can match: all ports p with p&mask == value.
type maskedPort struct{ value, mask uint16 }

// segment is a range of ports that one set of policies covers.
type segment struct {
	ports    PortRange
	policies []PolicyID // ascending, each once
	log      bool       // one of them says so
}

// segments splits the rules of one source, destination and protocol into
// disjoint ranges, in ascending order: OpenFlow holds a match once, but any
// number of policies may cover a port.
func segments(rules []Rule) []segment {
	if len(rules) == 1 {
		return []segment{{rules[0].Ports, []PolicyID{rules[0].Policy}, rules[0].Log}}
	}
	edges := make([]uint32, 0, 2*len(rules)) // uint32: the edge after 65535
	for _, r := range rules {
		edges = append(edges, uint32(r.Ports.First), uint32(r.Ports.Last)+1)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var out []segment
	for i := range len(edges) - 1 {
		ports := PortRange{uint16(edges[i]), uint16(edges[i+1] - 1)}
		s := segment{ports: ports}
		for _, r := range rules {
			if r.Ports.First <= ports.First && ports.Last <= r.Ports.Last {
				s.policies, s.log = append(s.policies, r.Policy), s.log || r.Log
			}
		}
		if len(s.policies) > 0 {
			slices.Sort(s.policies)
			s.policies = slices.Compact(s.policies)
			out = append(out, s)
		}
	}
	return out
}

// masked yields the fewest masked matches that cover exactly the range: each
// the largest aligned block that starts at the first port left. At most 30.
func (r PortRange) masked() iter.Seq[maskedPort] {
	return func(yield func(maskedPort) bool) {
		first, last := uint32(r.First), uint32(r.Last)
		for first <= last {
			size := uint32(1) << 16
			if first > 0 {
				size = 1 << bits.TrailingZeros32(first)
			}
			for first+size-1 > last {
				size /= 2
			}
			if !yield(maskedPort{uint16(first), uint16(-size)}) {
				return
			}
			first += size
		}
	}
}

// runs yields the longest runs of sorted rules that are the same.
func runs(sorted []Rule, same func(a, b Rule) bool) iter.Seq[[]Rule] {
	return func(yield func([]Rule) bool) {
		for start := 0; start < len(sorted); {
			end := start + 1
			for end < len(sorted) && same(sorted[start], sorted[end]) {
				end++
			}
			if !yield(sorted[start:end]) {
				return
			}
			start = end
		}
	}
}

func sameGroups(a, b Rule) bool { return a.From == b.From && a.To == b.To }

func sameProtocol(a, b Rule) bool { return sameGroups(a, b) && a.Protocol == b.Protocol }

// compareRules orders by destination, source, protocol, ports and policy.
func compareRules(a, b Rule) int {
	return cmp.Or(
		cmp.Compare(a.To, b.To),
		cmp.Compare(a.From, b.From),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Ports.First, b.Ports.First),
		cmp.Compare(a.Ports.Last, b.Ports.Last),
		cmp.Compare(a.Policy, b.Policy),
	)
}
