package controller

import (
	"net/netip"
	"time"

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
	At       time.Time // when it was written; grows with Revision
	By       string    // who wanted it
	Events   []Event   // of the kinds down to Marks
}

// GroupAssigned gives an app its group id, until it is freed; or gives it back.
type GroupAssigned struct {
	App   flows.AppID
	Group flows.GroupID
	Type  string // "app", or of another identity, whose id is never freed; "" is "app"
}

// GroupFreed puts a group id that nothing uses into quarantine.
type GroupFreed struct {
	Group    flows.GroupID
	Revision api.Revision // of the change that freed it
	At       time.Time    // when that was written
}

// GroupReleased ends the quarantine of a group id, which may be given again.
type GroupReleased struct{ Group flows.GroupID }

// PolicyAdded allows what Rule says. From and To are the names behind Rule's
// group ids.
type PolicyAdded struct {
	From, To flows.AppID
	Rule     flows.Rule
	api.About
	api.Origin
}

// PolicyDescribed gives a policy a new description. It changes no table.
type PolicyDescribed struct {
	ID flows.PolicyID
	api.About
}

// PolicyRemoved takes a policy back. An unknown one changes nothing. Was tells
// who follows the log what it was; State does not need it.
type PolicyRemoved struct {
	ID  flows.PolicyID
	Was api.Policy
}

// LeaseGranted makes a cell a part of the overlay, or moves its tunnel end.
type LeaseGranted struct {
	Peer flows.Peer

	// Returning: containers may run on the cell under a table of long ago, which
	// knows group ids as what they were then. Its own table is made, and no other
	// cell sends to it or accepts from it before CellReturned.
	Returning bool
}

// CellReturned says that the switch of a returning cell holds a table of now.
type CellReturned struct{ Cell flows.CellID }

// LeaseExpired takes a cell out of every table. It keeps its subnet until
// somebody else needs that.
type LeaseExpired struct{ Cell flows.CellID }

// LeaseReleased ends a cell's lease, in force or expired. A cell that was to be
// drained has been.
type LeaseReleased struct{ Cell flows.CellID }

// DrainBegun says that a cell is to start no more containers.
type DrainBegun struct{ Cell flows.CellID }

// DrainEnded takes that back, also of a cell that has been drained.
type DrainEnded struct{ Cell flows.CellID }

// LoggingSet says anew whose accepted connections are logged.
type LoggingSet struct{ Logging api.Logging }

// SecurityGroupSet adds a security group or replaces the one of its GUID.
type SecurityGroupSet struct{ Group api.SecurityGroup }

// SecurityGroupRemoved removes one. An unknown GUID changes nothing.
type SecurityGroupRemoved struct{ GUID string }

// Marks say when what the database holds changed last. A snapshot ends with
// them; who follows the log counts on from there (State.count).
type Marks struct {
	Policies              api.Revision // that last changed any policy, or its description
	PoliciesChanged       int64        // when that was: see Later
	SecurityGroupsChanged int64
}

// Later returns the number of a change that was written at, after one with the
// number previous: nanoseconds since 1970, or a little more, since numbers grow
// whatever the clock does.
func Later(previous int64, at time.Time) int64 { return max(previous+1, at.UnixNano()) }

// SecurityGroupsRead says that the security groups are those of Cloud
// Controller now, even if there are none: from here on they hold.
type SecurityGroupsRead struct{}

// EndpointsReplaced is an agent's complete truth (its hello): every endpoint
// of the cell that it does not name is gone, and so is every service.
type EndpointsReplaced struct {
	Cell      flows.CellID
	Endpoints []api.Endpoint
	Services  []flows.Service
}

// EndpointsChanged is what changed on a cell since. Down is applied before Up,
// so that an address can go from one container to the next in one report.
type EndpointsChanged struct {
	Cell flows.CellID
	Up   []api.Endpoint // new or changed
	Down []string       // container ids
}

func (Change) event()        {}
func (GroupAssigned) event() {}
func (PolicyAdded) event()   {}
func (PolicyRemoved) event() {}
func (LeaseGranted) event()  {}
func (GroupFreed) event()    {}
func (GroupReleased) event() {}
func (LoggingSet) event()    {}

func (PolicyDescribed) event()      {}
func (SecurityGroupSet) event()     {}
func (SecurityGroupRemoved) event() {}
func (Marks) event()                {}

func (CellReturned) event()  {}
func (LeaseExpired) event()  {}
func (LeaseReleased) event() {}
func (DrainBegun) event()    {}
func (DrainEnded) event()    {}

func (EndpointsReplaced) event()  {}
func (EndpointsChanged) event()   {}
func (SecurityGroupsRead) event() {}

// Overlay is what is the same for every cell, from the configuration.
type Overlay struct {
	Networks     []netip.Prefix // IPv4, disjoint
	SubnetPrefix int            // length of a cell's lease in bits
	VNI          flows.VNI      // 1 to 2^24-1
	VXLANPort    uint16         // UDP
	Deny         []netip.Prefix // IPv4 networks that no egress rule opens

	// SecurityGroups: endpoints with a space have the egress rules of its
	// dynamic security groups, instead of their own.
	SecurityGroups bool

	Quarantine  time.Duration // of freed group ids when no switch knows them, from 0
	LeaseExpiry time.Duration // of a lease that is not renewed; 0: never
}

// Dirty is what an event changed in one cell's table.
type Dirty struct {
	Cell     flows.CellID
	Set      map[flows.FragmentKey]*swap
	Refused  bool // the cell's refused endpoints changed
	Draining bool // whether the cell is to be drained changed
}
