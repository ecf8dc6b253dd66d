package controller

import (
	"fmt"

	"github.com/weft-sdn/weft/flows"
)

// profile is a set of egress rules that endpoints have somewhere, compiled
// once for all cells.
type profile struct {
	fragment *flows.Fragment
	cells    int // that have it, never 0
}

// egressUse is a set of egress rules on one cell.
type egressUse struct {
	rules     flows.EgressRules
	endpoints int // never 0
}

// mayEgress says why the cell cannot have an endpoint with these rules: a set
// is known to the switch by 32 bits of its hash, and another set may have the
// same ones. An endpoint under another's rules would be worse than none.
func (c *cell) mayEgress(rules flows.EgressRules) (reason string) {
	number := rules.Profile()
	if use, taken := c.egress[number]; taken && use.rules != rules {
		return fmt.Sprintf("egress rules: their profile %s is that of other rules on this cell (%.80q): add a rule that changes nothing, such as one that another covers, to get another number", number, use.rules)
	}
	return ""
}

// useEgress counts one more endpoint with these rules on a cell.
func (s *State) useEgress(c *cell, rules flows.EgressRules) {
	number := rules.Profile()
	if number == 0 {
		return
	}
	use := c.egress[number]
	use.rules, use.endpoints = rules, use.endpoints+1
	c.egress[number] = use
	if use.endpoints > 1 {
		return
	}
	shared := s.profiles[rules]
	if shared == nil {
		shared = &profile{fragment: new(flows.EgressFragment(rules))}
		s.profiles[rules] = shared
	}
	shared.cells++
	s.set(c, shared.fragment)
}

// leaveEgress is the inverse.
func (s *State) leaveEgress(c *cell, rules flows.EgressRules) {
	number := rules.Profile()
	if number == 0 {
		return
	}
	use := c.egress[number]
	if use.endpoints--; use.endpoints > 0 {
		c.egress[number] = use
		return
	}
	delete(c.egress, number)
	shared := s.profiles[rules]
	s.put(c, shared.fragment.Key, nil)
	if shared.cells--; shared.cells == 0 {
		delete(s.profiles, rules)
	}
}
