package controller

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// CellState is what flows.Compile needs to make the cell's table from scratch.
// False if the cell has no lease in force.
func (s *State) CellState(id flows.CellID) (flows.CellState, bool) {
	c := s.cells[id]
	if c == nil {
		return flows.CellState{}, false
	}
	view := s.own(c)
	for _, ep := range c.endpoints {
		view.Local = append(view.Local, ep.Endpoint)
	}
	for other, oc := range s.cells {
		if other != id && !oc.returning {
			view.Remote = append(view.Remote, oc.peer)
		}
	}
	seen := map[flows.GroupID]bool{}
	for _, ep := range c.endpoints {
		if !seen[ep.Group] {
			seen[ep.Group] = true
			view.Allow = append(view.Allow, s.rulesToward(ep.Group)...)
		}
	}
	return view, true
}

// own is the part of a cell's state that its base fragment depends on.
func (s *State) own(c *cell) flows.CellState {
	return flows.CellState{
		Cell: c.peer.Cell, VNI: s.overlay.VNI, Lease: c.peer.Lease, Overlay: s.overlay.Networks,
		VXLANPort: s.overlay.VXLANPort, Deny: s.overlay.Deny, Services: c.services,
	}
}

// Fragments lists the fragments of the cell's table by key, nil if the cell
// has no lease in force. They are shared with other cells: never change them.
func (s *State) Fragments(id flows.CellID) []*flows.Fragment {
	c := s.cells[id]
	if c == nil {
		return nil
	}
	list := make([]*flows.Fragment, 0, len(c.fragments)+len(s.cells))
	for _, f := range c.fragments {
		list = append(list, f)
	}
	for other, oc := range s.cells {
		if other != id && !oc.returning {
			list = append(list, oc.asPeer)
		}
	}
	slices.SortFunc(list, func(a, b *flows.Fragment) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// Hash is flows.TableHash of the cell's fragments.
func (s *State) Hash(id flows.CellID) flows.Hash {
	c := s.cells[id]
	if c == nil {
		return flows.Hash{}
	}
	if c.returning { // nobody's peer yet
		return s.peers.Xor(c.hash)
	}
	return s.peers.Xor(c.asPeer.Hash).Xor(c.hash)
}

// Revision is that of the last change that Step was given.
func (s *State) Revision() api.Revision { return s.revision }

// Peer returns the cell's lease. False if it has none in force.
func (s *State) Peer(id flows.CellID) (flows.Peer, bool) {
	c := s.cells[id]
	if c == nil {
		return flows.Peer{}, false
	}
	return c.peer, true
}

// Nameless lists the apps that have endpoints but no group id yet.
func (s *State) Nameless() []flows.AppID { return slices.Sorted(maps.Keys(s.nameless)) }

// lastTouched is the last revision that changed what may reach these apps.
func (s *State) lastTouched(apps []flows.AppID, floor api.Revision) api.Revision {
	last := floor
	for _, app := range apps {
		if group, has := s.groups[app]; has {
			last = max(last, s.touched[group])
		}
	}
	return last
}

// hosting lists the cells that have an endpoint of one of these apps.
func (s *State) hosting(apps []flows.AppID) []flows.CellID {
	cells := map[flows.CellID]bool{}
	for _, app := range apps {
		for id := range s.hosts[app] {
			cells[id] = true
		}
	}
	return slices.Collect(maps.Keys(cells))
}
