package controller

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// A cell's lease, and with it the cell's place in the tables of all others:
//
//	                  LeaseGranted
//	none, expired  ------------------------------------------> in force
//	none, expired  -----------> returning  ------------------> in force
//	                 Returning               CellReturned
//
//	in force, returning  ------------------> expired
//	                        LeaseExpired
//	in force, returning, expired  ---------> none
//	                        LeaseReleased
//
// Other cells send to a cell and accept from it while its lease is in force.
// Beside that a cell may be draining, which changes no table.

// applyLease applies an event about a cell's lease.
func (s *State) applyLease(ev Event) {
	switch ev := ev.(type) {
	case LeaseGranted:
		s.grant(ev)
	case CellReturned:
		if c := s.cells[ev.Cell]; c != nil && c.returning {
			c.returning = false
			s.announce(c)
		}
	case LeaseExpired:
		if c := s.cells[ev.Cell]; c != nil {
			s.expired[ev.Cell] = c.peer
			s.part(c)
		}
	case LeaseReleased:
		delete(s.expired, ev.Cell)
		if c := s.cells[ev.Cell]; c != nil {
			s.part(c)
		}
		if _, is := s.draining[ev.Cell]; is {
			delete(s.draining, ev.Cell)
			s.drained[ev.Cell] = struct{}{}
		}
	case DrainBegun:
		delete(s.drained, ev.Cell)
		s.draining[ev.Cell] = struct{}{}
		s.tellDraining(ev.Cell)
	case DrainEnded:
		delete(s.draining, ev.Cell)
		delete(s.drained, ev.Cell)
		s.tellDraining(ev.Cell)
	}
}

func (s *State) tellDraining(id flows.CellID) {
	if s.cells[id] != nil {
		s.mark(id).Draining = true
	}
}

// grant adds a cell, or moves its tunnel end. Every other cell learns of it,
// unless it is returning.
func (s *State) grant(ev LeaseGranted) {
	id := ev.Peer.Cell
	delete(s.expired, id)
	delete(s.drained, id)
	c := s.cells[id]
	switch {
	case c == nil:
		c = newCell()
		s.cells[id] = c
	case c.peer == ev.Peer && c.returning == ev.Returning:
		return
	default:
		s.withdraw(c)
	}
	c.peer, c.asPeer, c.returning = ev.Peer, new(flows.PeerFragment(s.overlay.VNI, ev.Peer)), ev.Returning
	s.set(c, new(flows.BaseFragment(s.own(c).Base())))
	if !c.returning {
		s.announce(c)
	}
}

func newCell() *cell {
	return &cell{
		fragments: map[flows.FragmentKey]*flows.Fragment{},
		endpoints: map[string]endpoint{},
		addresses: map[netip.Addr]string{},
		ports:     map[flows.OFPort]string{},
		egress:    map[flows.EgressProfile]egressUse{},
		refused:   map[string]refusal{},
	}
}

// announce gives every other cell the fragment of a cell.
func (s *State) announce(c *cell) {
	s.peers = s.peers.Xor(c.asPeer.Hash)
	s.tellOthers(c, c.asPeer)
}

// withdraw is the inverse. Of a returning cell nobody has it.
func (s *State) withdraw(c *cell) {
	if c.returning {
		return
	}
	s.peers = s.peers.Xor(c.asPeer.Hash)
	s.tellOthers(c, nil)
}

func (s *State) tellOthers(c *cell, f *flows.Fragment) {
	for id := range s.cells {
		if id != c.peer.Cell {
			s.mark(id).swap(c.asPeer.Key, s.swap(nil, f))
		}
	}
}

// part takes a cell out of every table, its own included, with its endpoints.
func (s *State) part(c *cell) {
	for container := range c.endpoints {
		s.endpointDown(c, container)
	}
	if !c.returning {
		s.withdraw(c)
		s.left = s.revision
	}
	delete(s.cells, c.peer.Cell)
	delete(s.dirty, c.peer.Cell)
}

// Cells lists the cells that have a lease, in force or expired, and those that
// have been drained, by id, without what only their streams know.
func (s *State) Cells() []api.Cell {
	list := make([]api.Cell, 0, len(s.cells)+len(s.expired)+len(s.drained))
	for _, c := range s.cells {
		list = append(list, s.cellOnWire(c))
	}
	for _, peer := range s.expired {
		list = append(list, expiredOnWire(peer))
	}
	for id := range s.drained {
		list = append(list, api.Cell{Cell: string(id), State: api.CellDrained})
	}
	slices.SortFunc(list, func(a, b api.Cell) int { return cmp.Compare(a.Cell, b.Cell) })
	return list
}

func (s *State) cellOnWire(c *cell) api.Cell {
	listed := peerOnWire(c.peer)
	listed.Endpoints = len(c.endpoints)
	if c.returning {
		listed.State = api.CellReturning
	}
	if s.Draining(c.peer.Cell) {
		listed.State = api.CellDraining
	}
	return listed
}

func expiredOnWire(peer flows.Peer) api.Cell {
	listed := peerOnWire(peer)
	listed.State = api.CellExpired
	return listed
}

func peerOnWire(peer flows.Peer) api.Cell {
	return api.Cell{
		Cell: string(peer.Cell), VTEP: peer.VTEP.String(), Subnet: peer.Lease.String(), SingleIP: peer.Lease.IsSingleIP(),
	}
}

// Standing is the lease in force that is just what the cell asks for; the zero
// Peer if there is none.
func (s *State) Standing(want GrantLease) flows.Peer {
	c := s.cells[want.Cell]
	if c == nil || c.returning || c.peer.VTEP != want.VTEP || c.peer.Lease.IsSingleIP() != want.SingleIP {
		return flows.Peer{}
	}
	stays := want.Containers == 0 || want.Subnet == c.peer.Lease
	inside := slices.ContainsFunc(s.overlay.Networks, func(n netip.Prefix) bool { return n.Bits() <= c.peer.Lease.Bits() && n.Contains(c.peer.Lease.Addr()) })
	if !stays || !inside {
		return flows.Peer{}
	}
	return c.peer
}

// Draining reports whether the cell is to start no more containers.
func (s *State) Draining(id flows.CellID) bool {
	_, is := s.draining[id]
	return is
}

// Empty reports whether the cell's agent has reported no container, be it
// served or refused.
func (s *State) Empty(id flows.CellID) bool {
	c := s.cells[id]
	return c != nil && len(c.endpoints)+len(c.refused) == 0
}
