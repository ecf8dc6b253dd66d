package controller

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// State is everything that the fleet's flow tables depend on, with the
// fragments already compiled. It changes by Step alone, and one goroutine owns
// it. A fragment is a pure function of one object, so the order in which
// events came leaves no trace: CellState compiled from scratch is the same
// table, which a property test holds.
type State struct {
	overlay  Overlay
	revision api.Revision // of the last Change
	groups   map[flows.AppID]flows.GroupID
	apps     map[flows.GroupID]flows.AppID
	freed    map[flows.GroupID]quarantine
	policies map[flows.PolicyID]PolicyAdded
	naming   map[flows.GroupID]map[flows.PolicyID]struct{}   // policies that name a group, never none
	toward   map[flows.GroupID]map[flows.PolicyID]flows.Rule // policies by destination
	touched  map[flows.GroupID]api.Revision                  // last change of the policies toward a group
	cells    map[flows.CellID]*cell                          // whose lease is in force
	expired  map[flows.CellID]flows.Peer                     // whose lease was
	draining map[flows.CellID]struct{}                       // that are to start no more containers
	drained  map[flows.CellID]struct{}                       // that were, and have no lease now
	left     api.Revision                                    // of the last change that took a cell out of the others' tables
	hosts    map[flows.AppID]map[flows.CellID]int            // endpoints per app and cell, never 0
	nameless map[flows.AppID]struct{}                        // with endpoints but no group id
	judges   map[flows.GroupID]*flows.Fragment               // compiled once for all cells that host the group
	profiles map[flows.EgressRules]*profile                  // egress rules that endpoints have
	logging  api.Logging
	logged   map[flows.AppID]struct{} // logging.Apps
	peers    flows.Hash               // XOR of all cells' peer fragments, but for those of returning ones
	types    map[flows.GroupID]string // of the identities that are no apps
	security securityGroups
	marks    Marks
	listed   []api.Policy       // all policies by id; nil: to be made
	records  []api.PolicyRecord // the same with what describes them

	// What the event being applied has touched so far.
	dirty map[flows.CellID]*Dirty
	stale map[flows.GroupID]struct{} // policy fragments to compile again
	swaps map[[2]*flows.Fragment]*swap
}

// cell is one cell's part of State.
type cell struct {
	peer      flows.Peer
	asPeer    *flows.Fragment                       // what every other cell has of this one, unless it is returning
	returning bool                                  // see LeaseGranted
	services  []flows.Service                       // of the host
	fragments map[flows.FragmentKey]*flows.Fragment // base, endpoints, policies, egress; not the peers
	hash      flows.Hash                            // XOR of fragments
	endpoints map[string]endpoint                   // by container id
	addresses map[netip.Addr]string                 // container id by address
	ports     map[flows.OFPort]string               // container id by ofport
	egress    map[flows.EgressProfile]egressUse
	refused   map[string]refusal // by container id
}

// NewState returns the state of an empty overlay.
func NewState(overlay Overlay) *State {
	return &State{
		overlay:  overlay,
		groups:   map[flows.AppID]flows.GroupID{},
		apps:     map[flows.GroupID]flows.AppID{},
		freed:    map[flows.GroupID]quarantine{},
		policies: map[flows.PolicyID]PolicyAdded{},
		naming:   map[flows.GroupID]map[flows.PolicyID]struct{}{},
		toward:   map[flows.GroupID]map[flows.PolicyID]flows.Rule{},
		touched:  map[flows.GroupID]api.Revision{},
		cells:    map[flows.CellID]*cell{},
		expired:  map[flows.CellID]flows.Peer{},
		draining: map[flows.CellID]struct{}{},
		drained:  map[flows.CellID]struct{}{},
		hosts:    map[flows.AppID]map[flows.CellID]int{},
		nameless: map[flows.AppID]struct{}{},
		judges:   map[flows.GroupID]*flows.Fragment{},
		profiles: map[flows.EgressRules]*profile{},
		types:    map[flows.GroupID]string{},
		security: newSecurityGroups(),
		dirty:    map[flows.CellID]*Dirty{},
		stale:    map[flows.GroupID]struct{}{},
		swaps:    map[[2]*flows.Fragment]*swap{},
	}
}

// Step applies one event and returns what it changed in which cells' tables,
// by cell. It reads no clock, no disk and no network: same events, same State.
// Events about the endpoints of a cell without a lease change nothing.
func (s *State) Step(ev Event) []Dirty {
	s.security.faults = nil
	s.apply(ev)
	s.regroup()
	for group := range s.stale {
		s.compile(group)
	}
	clear(s.stale)
	clear(s.swaps)
	changed := make([]Dirty, 0, len(s.dirty))
	for _, d := range s.dirty {
		changed = append(changed, *d)
	}
	clear(s.dirty)
	slices.SortFunc(changed, func(a, b Dirty) int { return strings.Compare(string(a.Cell), string(b.Cell)) })
	return changed
}

func (s *State) apply(ev Event) {
	switch ev := ev.(type) {
	case Change:
		s.revision = ev.Revision
		s.count(ev)
		for _, each := range ev.Events {
			s.apply(each)
		}
	case GroupAssigned:
		s.assign(ev)
	case GroupFreed:
		s.free(ev)
	case GroupReleased:
		s.release(ev.Group)
	case PolicyAdded:
		s.allow(ev)
	case PolicyDescribed:
		if p, known := s.policies[ev.ID]; known {
			p.About = ev.About
			s.policies[ev.ID] = p
		}
	case PolicyRemoved:
		s.revoke(ev.ID)
	case LeaseGranted, CellReturned, LeaseExpired, LeaseReleased, DrainBegun, DrainEnded:
		s.applyLease(ev)
	case LoggingSet:
		s.setLogging(ev.Logging)
	case SecurityGroupSet:
		s.security.set(ev.Group)
	case SecurityGroupRemoved:
		s.security.remove(ev.GUID)
	case SecurityGroupsRead:
		s.security.learn()
	case Marks:
		s.marks = ev
	case EndpointsReplaced:
		if c := s.cells[ev.Cell]; c != nil {
			s.serve(c, ev.Services)
			s.replaceEndpoints(c, ev.Endpoints)
		}
	case EndpointsChanged:
		if c := s.cells[ev.Cell]; c != nil {
			s.changeEndpoints(c, ev.Up, ev.Down)
		}
	default:
		panic(fmt.Sprintf("controller: unknown event %T", ev))
	}
}

// count moves the marks along with a change of the log.
func (s *State) count(change Change) {
	policies, security := false, false
	for _, ev := range change.Events {
		switch ev.(type) {
		case PolicyAdded, PolicyDescribed, PolicyRemoved:
			policies = true
		case SecurityGroupSet, SecurityGroupRemoved:
			security = true
		}
	}
	if policies {
		s.listed, s.records = nil, nil
		s.marks.Policies = change.Revision
		s.marks.PoliciesChanged = Later(s.marks.PoliciesChanged, change.At)
	}
	if security {
		s.marks.SecurityGroupsChanged = Later(s.marks.SecurityGroupsChanged, change.At)
	}
}

func (s *State) allow(p PolicyAdded) {
	if _, known := s.policies[p.Rule.Policy]; known {
		return // ids are never given twice
	}
	s.policies[p.Rule.Policy] = p
	s.name(p.Rule)
	rules := s.toward[p.Rule.To]
	if rules == nil {
		rules = map[flows.PolicyID]flows.Rule{}
		s.toward[p.Rule.To] = rules
	}
	rules[p.Rule.Policy] = p.Rule
	s.touch(p.Rule.To)
}

func (s *State) revoke(id flows.PolicyID) {
	p, known := s.policies[id]
	if !known {
		return
	}
	delete(s.policies, id)
	s.unname(p.Rule)
	delete(s.toward[p.Rule.To], id)
	if len(s.toward[p.Rule.To]) == 0 {
		delete(s.toward, p.Rule.To)
	}
	s.touch(p.Rule.To)
}

func (s *State) touch(group flows.GroupID) {
	s.touched[group] = s.revision
	s.stale[group] = struct{}{}
}

// serve notes which services the cell's host has for its containers.
func (s *State) serve(c *cell, services []flows.Service) {
	if !slices.Equal(c.services, services) {
		c.services = services
		s.set(c, new(flows.BaseFragment(s.own(c).Base())))
	}
}

// compile makes a group's policy fragment again and gives it to every cell
// that hosts the group's app. A group nobody hosts or nobody may reach has none.
func (s *State) compile(group flows.GroupID) {
	hosts := s.hostsOf(group)
	if len(hosts) == 0 {
		delete(s.judges, group)
		return
	}
	var fragment *flows.Fragment
	if rules := s.rulesToward(group); len(rules) > 0 {
		fragment = new(flows.PolicyFragment(group, rules))
		s.judges[group] = fragment
	} else {
		delete(s.judges, group)
	}
	for id := range hosts {
		s.put(s.cells[id], flows.PolicyKey(group), fragment)
	}
}

// set gives a cell a fragment in place of the one with the same key.
func (s *State) set(c *cell, f *flows.Fragment) { s.put(c, f.Key, f) }

// put is set, or with nil takes the fragment away. What is equal stays.
func (s *State) put(c *cell, key flows.FragmentKey, f *flows.Fragment) {
	had := c.fragments[key]
	switch {
	case had == nil && f == nil, had != nil && f != nil && had.Hash == f.Hash:
		return
	case f == nil:
		delete(c.fragments, key)
	default:
		c.fragments[key] = f
		c.hash = c.hash.Xor(f.Hash)
	}
	if had != nil {
		c.hash = c.hash.Xor(had.Hash)
	}
	s.mark(c.peer.Cell).swap(key, s.swap(had, f))
}

// swap is the one of this event that puts a fragment in place of another.
func (s *State) swap(from, to *flows.Fragment) *swap {
	ends := [2]*flows.Fragment{from, to}
	if s.swaps[ends] == nil {
		s.swaps[ends] = newSwap(from, to)
	}
	return s.swaps[ends]
}

// swap notes what became of a fragment, after what the event did to it before.
func (d *Dirty) swap(key flows.FragmentKey, with *swap) { d.Set[key] = d.Set[key].then(with) }

// mark returns the cell's entry in what this event changed.
func (s *State) mark(id flows.CellID) *Dirty {
	d := s.dirty[id]
	if d == nil {
		d = &Dirty{Cell: id, Set: map[flows.FragmentKey]*swap{}}
		s.dirty[id] = d
	}
	return d
}
