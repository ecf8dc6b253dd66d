package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Dynamic security groups: what Cloud Controller says of where a container may
// connect outside of the overlay, instead of the rules that it was started with.

// lifecycle says which security groups a container's workload has.
type lifecycle uint8

const (
	running lifecycle = iota + 1
	staging
	neither // a workload that nobody knows: it has none
)

// lifecycleOf reads a workload as the platform says it.
func lifecycleOf(workload string) lifecycle {
	switch workload {
	case "", "app", "task":
		return running
	case "staging":
		return staging
	}
	return neither
}

// audience is all containers that have the same security groups. Without a
// space it is everybody of the lifecycle.
type audience struct {
	space string
	of    lifecycle
}

// securityGroups is what State knows of them. The zero audience is nobody's.
type securityGroups struct {
	known     bool // somebody has asked Cloud Controller: until then containers keep their own rules
	groups    map[string]securityGroup
	bound     map[audience]map[string]struct{} // GUIDs by whom they are for, never none
	audiences map[audience]*audienceRules      // that endpoints are in
	stale     map[audience]struct{}            // whose rules may have changed
	changed   bool                             // something has, in this Step
	faults    []error                          // of the last Step
}

type securityGroup struct {
	api.SecurityGroup
	rules []flows.EgressRule
}

// audienceRules is what an audience's groups allow together.
type audienceRules struct {
	rules flows.EgressRules
	cells map[flows.CellID]int // endpoints, never 0
}

func newSecurityGroups() securityGroups {
	return securityGroups{
		groups:    map[string]securityGroup{},
		bound:     map[audience]map[string]struct{}{},
		audiences: map[audience]*audienceRules{},
		stale:     map[audience]struct{}{},
	}
}

// audiencesOf are those whom a group is bound to.
func audiencesOf(g api.SecurityGroup) []audience {
	var list []audience
	for _, bound := range []struct {
		of     lifecycle
		all    bool
		spaces []string
	}{{running, g.RunningDefault, g.RunningSpaces}, {staging, g.StagingDefault, g.StagingSpaces}} {
		if bound.all {
			list = append(list, audience{of: bound.of})
		}
		for _, space := range bound.spaces {
			if space != "" { // that would be everybody
				list = append(list, audience{space, bound.of})
			}
		}
	}
	return list
}

// set adds a group or replaces the one of its GUID.
func (s *securityGroups) set(g api.SecurityGroup) {
	s.remove(g.GUID)
	rules, faults := parseSecurityRules(g.Rules)
	for _, fault := range faults {
		s.faults = append(s.faults, fmt.Errorf("security group %s (%.80q): %w", g.GUID, g.Name, fault))
	}
	s.groups[g.GUID], s.changed = securityGroup{g, rules}, true
	for _, a := range audiencesOf(g) {
		if s.bound[a] == nil {
			s.bound[a] = map[string]struct{}{}
		}
		s.bound[a][g.GUID] = struct{}{}
		s.outdate(a)
	}
}

// remove removes a group. An unknown one changes nothing.
func (s *securityGroups) remove(guid string) {
	s.learn()
	g, is := s.groups[guid]
	if !is {
		return
	}
	delete(s.groups, guid)
	s.changed = true
	for _, a := range audiencesOf(g.SecurityGroup) {
		if delete(s.bound[a], guid); len(s.bound[a]) == 0 {
			delete(s.bound, a)
		}
		s.outdate(a)
	}
}

// learn notes that what we have is what Cloud Controller has: that it may be
// nothing at all does not mean that nobody asked.
func (s *securityGroups) learn() {
	if s.known {
		return
	}
	s.known, s.changed = true, true
	for a := range s.audiences {
		s.stale[a] = struct{}{}
	}
}

// outdate has the rules of an audience compiled again, if somebody is in it.
func (s *securityGroups) outdate(changed audience) {
	if changed.space != "" {
		if s.audiences[changed] != nil {
			s.stale[changed] = struct{}{}
		}
		return
	}
	for a := range s.audiences {
		if a.of == changed.of {
			s.stale[a] = struct{}{}
		}
	}
}

// guids lists the groups of an audience.
func (s *securityGroups) guids(a audience) []string {
	all := maps.Clone(s.bound[audience{of: a.of}])
	if all == nil {
		all = map[string]struct{}{}
	}
	maps.Copy(all, s.bound[a])
	return slices.Sorted(maps.Keys(all))
}

// compile returns what groups allow together. What is more than a switch can
// hold allows nothing: which part of it somebody could do without, nobody can
// say here.
func (s *securityGroups) compile(a audience, guids []string) flows.EgressRules {
	var rules []flows.EgressRule
	for _, guid := range guids {
		rules = append(rules, s.groups[guid].rules...)
	}
	set, err := flows.NewEgressRules(rules)
	if err != nil {
		s.faults = append(s.faults, fmt.Errorf("the security groups of space %.80q, and of any with the same ones, allow nothing: %w", a.space, err))
	}
	return set
}

// endpoint is an endpoint with what its agent said of where it may connect.
// Its Egress is what holds.
type endpoint struct {
	flows.Endpoint
	own             flows.EgressRules // what it was started with
	space, workload string            // "" for none
}

// audience returns whose security groups the endpoint has; the zero one for an
// endpoint that keeps its own rules whatever they say.
func (s *State) audience(ep endpoint) audience {
	if !s.overlay.SecurityGroups || ep.space == "" {
		return audience{}
	}
	return audience{ep.space, lifecycleOf(ep.workload)}
}

// join counts one more endpoint of its audience, and returns its egress rules.
func (s *State) join(c *cell, ep endpoint) flows.EgressRules {
	a := s.audience(ep)
	if a == (audience{}) {
		return ep.own
	}
	of := s.security.audiences[a]
	if of == nil {
		of = &audienceRules{rules: s.security.compile(a, s.security.guids(a)), cells: map[flows.CellID]int{}}
		s.security.audiences[a] = of
	}
	of.cells[c.peer.Cell]++
	return s.egressOf(ep)
}

// leave is the inverse of join.
func (s *State) leave(c *cell, ep endpoint) {
	a := s.audience(ep)
	of := s.security.audiences[a]
	if of == nil {
		return
	}
	if of.cells[c.peer.Cell]--; of.cells[c.peer.Cell] > 0 {
		return
	}
	if delete(of.cells, c.peer.Cell); len(of.cells) == 0 {
		delete(s.security.audiences, a)
		delete(s.security.stale, a)
	}
}

// egressOf returns the rules that an endpoint is to have.
func (s *State) egressOf(ep endpoint) flows.EgressRules {
	if of := s.security.audiences[s.audience(ep)]; of != nil && s.security.known {
		return of.rules
	}
	return ep.own
}

// regroup gives the endpoints of stale audiences their new rules, and looks
// again at those that were refused: they are in no audience.
func (s *State) regroup() {
	if !s.security.changed {
		return
	}
	s.security.changed = false
	compiled := map[string]flows.EgressRules{} // most spaces have the same few groups
	cells := map[flows.CellID]struct{}{}
	for a := range s.security.stale {
		of := s.security.audiences[a]
		guids := s.security.guids(a)
		key := fmt.Sprintf("%q", guids)
		if _, done := compiled[key]; !done {
			compiled[key] = s.security.compile(a, guids)
		}
		of.rules = compiled[key]
		for cell := range of.cells {
			cells[cell] = struct{}{}
		}
	}
	for id := range cells {
		s.regroupCell(s.cells[id])
	}
	clear(s.security.stale)
	for _, c := range s.cells {
		if len(c.refused) > 0 {
			s.changeEndpoints(c, nil, nil)
		}
	}
}

// regroupCell gives a cell's endpoints of stale audiences their new rules. All
// leave their old sets before any takes a new one: two sets with one number
// may change places.
func (s *State) regroupCell(c *cell) {
	var moving []endpoint
	for id, ep := range c.endpoints {
		if _, stale := s.security.stale[s.audience(ep)]; stale && s.egressOf(ep) != ep.Egress {
			s.leaveEgress(c, ep.Egress)
			ep.Egress = ""
			c.endpoints[id] = ep
			moving = append(moving, ep)
		}
	}
	slices.SortFunc(moving, func(a, b endpoint) int { return cmp.Compare(a.Container, b.Container) })
	for _, ep := range moving {
		rules := s.egressOf(ep)
		if reason := c.mayEgress(rules); reason != "" {
			c.refused[ep.Container] = refusal{endpoint: ep.reported(), reason: reason}
			s.mark(c.peer.Cell).Refused = true
			s.endpointDown(c, ep.Container)
			continue
		}
		ep.Egress = rules
		c.endpoints[ep.Container] = ep
		s.set(c, new(flows.EndpointFragment(ep.Endpoint)))
		s.useEgress(c, rules)
	}
}

// reported is the endpoint as its agent says it.
func (ep endpoint) reported() api.Endpoint {
	wire := api.Endpoint{
		Container: ep.Container, App: string(ep.App), IP: ep.IP.String(), OFPort: uint16(ep.OFPort),
		Egress: string(ep.own), Space: ep.space, Workload: ep.workload,
	}
	if ep.MAC != (flows.MAC{}) {
		wire.MAC = ep.MAC.String()
	}
	return wire
}

// SecurityGroups lists all of them in the order of their ids.
func (s *State) SecurityGroups() []api.SecurityGroup {
	list := make([]api.SecurityGroup, 0, len(s.security.groups))
	for _, g := range s.security.groups {
		list = append(list, g.SecurityGroup)
	}
	slices.SortFunc(list, func(a, b api.SecurityGroup) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Faults lists what the last Step could not use of security groups.
func (s *State) Faults() []error { return s.security.faults }
