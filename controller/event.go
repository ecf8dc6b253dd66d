package controller

import (
	"net/netip"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Event is a fact that moves State. Those of a Change are durable; those about
// endpoints are an agent's word, and gone with this process.
type Event interface{ event() }

// Change is one entry of the change log: what one write did. It is applied as
// a whole, so no cell sees half of a request.
type Change struct {
	Revision api.Revision
	Events   []Event // GroupAssigned, PolicyAdded, PolicyRemoved, LeaseGranted
}

// GroupAssigned gives an app its group id, for good.
type GroupAssigned struct {
	App   flows.AppID
	Group flows.GroupID
}

// PolicyAdded allows what Rule says. From and To are the names behind Rule's
// group ids.
type PolicyAdded struct {
	From, To flows.AppID
	Rule     flows.Rule
}

// PolicyRemoved takes a policy back. An unknown one changes nothing.
type PolicyRemoved struct{ ID flows.PolicyID }

// LeaseGranted makes a cell a part of the overlay, or moves its tunnel end.
type LeaseGranted struct{ Peer flows.Peer }

// EndpointsReplaced is an agent's complete truth (its hello): every endpoint
// of the cell that it does not name is gone.
type EndpointsReplaced struct {
	Cell      flows.CellID
	Endpoints []api.Endpoint
}

// EndpointsChanged is what changed on a cell since. Down is applied before Up,
// so that an address can go from one container to the next in one report.
type EndpointsChanged struct {
	Cell flows.CellID
	Up   []api.Endpoint // new or changed
	Down []string       // container ids
}

func (Change) event()            {}
func (GroupAssigned) event()     {}
func (PolicyAdded) event()       {}
func (PolicyRemoved) event()     {}
func (LeaseGranted) event()      {}
func (EndpointsReplaced) event() {}
func (EndpointsChanged) event()  {}

// Overlay is what is the same for every cell, from the configuration.
type Overlay struct {
	Networks     []netip.Prefix // IPv4, disjoint
	SubnetPrefix int            // length of a cell's lease in bits
	VNI          flows.VNI      // 1 to 2^24-1
	VXLANPort    uint16         // UDP
}

// Dirty is what an event changed in one cell's table.
type Dirty struct {
	Cell    flows.CellID
	Set     map[flows.FragmentKey]*flows.Fragment // new or changed; nil: gone
	Refused bool                                  // the cell's refused endpoints changed
}
