package controller

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// drawGrant gives a cell its lease, at either of two VTEPs, as a new or a
// returning one; now and then the same write has ended the one before.
func drawGrant(t *rapid.T, revision api.Revision, cell int) Event {
	granted := LeaseGranted{Peer: peer(cell), Returning: rapid.IntRange(0, 3).Draw(t, "returning") == 0}
	if rapid.IntRange(0, 3).Draw(t, "moves") == 0 {
		granted.Peer.VTEP = netip.AddrFrom4([4]byte{192, 0, 3, byte(cell + 1)})
	}
	events := []Event{granted}
	if rapid.IntRange(0, 3).Draw(t, "again") == 0 { // as a cell that gets a lease of another kind
		events = []Event{LeaseReleased{granted.Peer.Cell}, granted}
	}
	return Change{Revision: revision, Events: events}
}

// drawEnd ends a cell's lease, or its return, in one of the ways that there are;
// or begins or ends a drain.
func drawEnd(t *rapid.T, revision api.Revision, cell int) Event {
	id := peer(cell).Cell
	return Change{Revision: revision, Events: rapid.SampledFrom([][]Event{
		{LeaseExpired{id}}, {LeaseReleased{id}}, {LeaseReleased{id}, DrainEnded{id}}, {CellReturned{id}}, {CellReturned{id}}, {DrainBegun{id}}, {DrainBegun{id}}, {DrainEnded{id}},
	}).Draw(t, "end")}
}

// partedBy lists the cells whose lease an event ends.
func partedBy(ev Event) (cells []flows.CellID) {
	change, is := ev.(Change)
	if !is {
		return nil
	}
	for _, ev := range change.Events {
		switch ev := ev.(type) {
		case LeaseExpired:
			cells = append(cells, ev.Cell)
		case LeaseReleased:
			cells = append(cells, ev.Cell)
		}
	}
	return cells
}

// checkLeases: a cell is in one state, and who is returning or gone is in
// nobody's table. It returns how many are returning.
func checkLeases(rt *rapid.T, s *State) (hidden int) {
	for id := range s.expired {
		if s.cells[id] != nil {
			rt.Fatalf("the lease of cell %s is in force, and has expired", id)
		}
	}
	for id := range s.drained {
		_, expired := s.expired[id]
		_, draining := s.draining[id]
		if expired || draining || s.cells[id] != nil {
			rt.Fatalf("cell %s has been drained, and has a lease or is to be", id)
		}
	}
	for id := range s.cells {
		has := map[flows.FragmentKey]bool{}
		for _, f := range s.Fragments(id) {
			has[f.Key] = true
		}
		for other := range someCells {
			oc := s.cells[peer(other).Cell]
			want := oc != nil && !oc.returning && oc.peer.Cell != id
			if has[flows.PeerKey(peer(other).Cell)] != want {
				rt.Fatalf("cell %s has cell-%d in its table: %v, want %v", id, other, !want, want)
			}
		}
		if s.cells[id].returning {
			hidden++
		}
	}
	return hidden
}

// retoldLeases are the events that lead to the same leases the shortest way, in
// random order.
func retoldLeases(s *State) []Event {
	var cells [][]Event
	for _, c := range s.cells {
		cells = append(cells, []Event{LeaseGranted{Peer: c.peer, Returning: c.returning}})
	}
	for id, peer := range s.expired {
		cells = append(cells, []Event{LeaseGranted{Peer: peer}, LeaseExpired{id}})
	}
	rand.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	var events []Event
	for _, some := range cells {
		events = append(events, some...)
	}
	for id := range s.draining {
		events = append(events, DrainBegun{id})
	}
	for id := range s.drained {
		events = append(events, DrainBegun{id}, LeaseReleased{id})
	}
	return events
}

// TestStanding: a lease is read from the state only where it is in force and
// just what the cell asks for.
func TestStanding(t *testing.T) {
	s := NewState(testOverlay())
	s.Step(Change{Revision: 1, Events: []Event{LeaseGranted{Peer: peer(0)}, LeaseGranted{Peer: peer(1), Returning: true}, LeaseGranted{Peer: peer(2)}}})
	s.Step(Change{Revision: 2, Events: []Event{LeaseExpired{Cell: peer(2).Cell}}})
	asks := GrantLease{Cell: peer(0).Cell, VTEP: peer(0).VTEP, Subnet: peer(0).Lease, Containers: 3}
	if got := s.Standing(asks); got != peer(0) {
		t.Errorf("got %+v", got)
	}
	for what, change := range map[string]func(*GrantLease){
		"is returning":             func(g *GrantLease) { g.Cell, g.VTEP, g.Containers = peer(1).Cell, peer(1).VTEP, 0 },
		"has expired":              func(g *GrantLease) { g.Cell, g.VTEP, g.Containers = peer(2).Cell, peer(2).VTEP, 0 },
		"moves":                    func(g *GrantLease) { g.VTEP = peer(5).VTEP },
		"wants one address":        func(g *GrantLease) { g.SingleIP = true },
		"has containers elsewhere": func(g *GrantLease) { g.Subnet = peer(5).Lease },
		"is nobody":                func(g *GrantLease) { g.Cell = "cell-9" },
	} {
		other := asks
		if change(&other); s.Standing(other) != (flows.Peer{}) {
			t.Errorf("a cell that %s has a lease that stands", what)
		}
	}
	outside := NewState(Overlay{Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, SubnetPrefix: 24, VNI: 1})
	outside.Step(Change{Revision: 1, Events: []Event{LeaseGranted{Peer: peer(0)}}})
	if outside.Standing(asks) != (flows.Peer{}) {
		t.Error("a lease out of the configured networks stands")
	}
}
