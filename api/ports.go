package api

import (
	"context"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// Policy is one policy between two apps, as the external API speaks of it.
type Policy struct {
	ID       flows.PolicyID // 0 in requests
	From, To flows.AppID
	Protocol flows.Protocol
	Ports    flows.PortRange
}

// Revision is a position in the controller's change log, from 1.
type Revision uint64

// Policies is what the external handlers need of the controller. Its errors
// are of the kinds in errors.go.
type Policies interface {
	// Policies lists all policies in the order of their ids.
	Policies(ctx context.Context) ([]Policy, error)
	// AddPolicies adds all of them or none, and returns when they are durable.
	// One that exists already changes nothing; by names the caller, for the log.
	AddPolicies(ctx context.Context, policies []Policy, by string) (Revision, error)
	// RemovePolicies is the inverse. One that does not exist is not an error.
	RemovePolicies(ctx context.Context, policies []Policy, by string) (Revision, error)
	// Groups lists the group ids in use or in quarantine, in ascending order.
	Groups(ctx context.Context) ([]Group, error)
	// WaitApplied returns when every connected cell that revision affects has
	// acknowledged it, or the cells that had not when ctx ended. With
	// disconnected it waits for the affected cells that are not connected too.
	WaitApplied(ctx context.Context, revision Revision, disconnected bool) (pending []flows.CellID)
}

// Fleet is what the native API needs of the controller.
type Fleet interface {
	Cells(ctx context.Context) ([]Cell, error)
	Endpoints(ctx context.Context) ([]Endpoint, error)
	// Explain resolves the cookie of a dumped flow. NotFound if nothing has it.
	Explain(ctx context.Context, cookie flows.Cookie) (Explanation, error)
	// Logging returns whose accepted connections are logged.
	Logging(ctx context.Context) (Logging, error)
	// SetLogging says it anew, and returns when it is durable. Apps that nobody
	// knows are accepted; by names the caller, for the log.
	SetLogging(ctx context.Context, logging Logging, by string) (Revision, error)
	// Healthy reports whether the database answers.
	Healthy(ctx context.Context) error
}

// Agents is what the internal handlers need of the controller. The cell is the
// common name of the agent's certificate, never what the request claims.
type Agents interface {
	// Lease gives the cell its overlay subnet, the same one each time.
	Lease(ctx context.Context, cell flows.CellID, vtep LeaseRequest) (Lease, error)
	// Open starts the cell's stream; an older stream of the cell ends.
	Open(ctx context.Context, cell flows.CellID, hello Hello) (Stream, error)
	// Report changes the endpoints of an open stream. Gone if it has ended.
	Report(ctx context.Context, cell flows.CellID, report EndpointsReport) error
	// Acknowledge records what the cell's switch holds. Gone if the stream has ended.
	Acknowledge(ctx context.Context, cell flows.CellID, applied Applied) error
}

// Names is what agents need to say whose a group id is.
type Names interface {
	// GroupNames lists those of the group ids that are in use or in
	// quarantine, in ascending order.
	GroupNames(ctx context.Context, ids []flows.GroupID) ([]Group, error)
}

// Stream is the controller's end of one agent's stream.
type Stream interface {
	// Next blocks for the next message; Gone when a newer stream replaced this
	// one. A slow reader never blocks the controller: what it missed is merged.
	Next(ctx context.Context) (Message, error)
	Close()
}

// DefaultWait bounds ?wait=applied when the request gives no timeout.
const DefaultWait = 30 * time.Second
