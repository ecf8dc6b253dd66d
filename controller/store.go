package controller

import (
	"context"
	"net/netip"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Store is the database: policies, groups, leases, and the log of what changed
// them. Package gormstore implements it. Errors carry a kind of package api.
type Store interface {
	// Load reads everything, consistent at one revision.
	Load(ctx context.Context) (Snapshot, error)
	// Changes reads what the log has after a revision, in its order.
	Changes(ctx context.Context, after api.Revision) ([]Change, error)
	// Write does all that the command says or nothing, and returns when it is
	// durable and in the log. Zero: nothing had to change, and nothing was logged.
	Write(ctx context.Context, cmd Command) (api.Revision, error)
	// Renewals lists when each lease that has not expired was renewed last.
	Renewals(ctx context.Context) ([]Renewal, error)
	// Audit lists changes, newest first.
	Audit(ctx context.Context, query api.AuditQuery) ([]api.AuditEntry, error)
	// Healthy reports whether the database answers.
	Healthy(ctx context.Context) error
	// Shared reports whether other processes write to the database, too: the
	// log grows without a word of this process.
	Shared() bool
}

// Snapshot is the database at one revision.
type Snapshot struct {
	Change
	Faults []error // rows that make no sense: skipped, for an operator to repair
}

// Command is one write.
type Command interface{ command() }

// AddPolicies adds those that do not exist yet, with group ids for the apps
// that have none. Ids in it are ignored.
type AddPolicies struct {
	Policies []api.Policy
	Order    api.Order
}

// RemovePolicies removes those that exist.
type RemovePolicies struct {
	Policies []api.Policy
	Order    api.Order
}

// AssignGroups gives group ids to the apps that have none. When they run out,
// the first apps still get one, and all those that have one in quarantine get
// that back; the error names the first app that got none.
type AssignGroups struct{ Apps []flows.AppID }

// GrantLease gives a cell its overlay subnet, or brings back the one that it
// has, and renews it. Conflict: the cell was drained, the VTEP is another
// cell's, its containers run where its lease is not, or it is connected to
// another replica from another VTEP.
type GrantLease struct {
	Cell flows.CellID
	VTEP netip.Addr // IPv4

	Subnet     netip.Prefix // that the cell had and wants to keep; zero: none
	Containers int          // that run in Subnet, from 0
	SingleIP   bool         // one address is wanted

	Replica string        // that the cell asks, and that has no stream from another VTEP of it
	Quiet   time.Duration // after its last renewal, who was connected to another replica is not; 0: there is none
}

// RenewLeases notes that these cells are connected to a replica. It is not
// logged: nothing changes. A lease that has expired is not renewed.
type RenewLeases struct {
	Cells   []flows.CellID
	Replica string
}

// LeaveCells notes that these cells are connected to a replica no more. It is
// not logged either.
type LeaveCells struct {
	Cells   []flows.CellID
	Replica string
}

// Renewal is when a lease was renewed last.
type Renewal struct {
	Cell flows.CellID
	At   time.Time // whole milliseconds, by the clock of who renewed it
}

// ExpireLeases ends those leases that have not been renewed since. A cell that was
// to be drained has been.
type ExpireLeases struct{ Leases []Renewal }

// ConfirmReturns says that the switches of these returning cells hold a table
// of now.
type ConfirmReturns struct{ Cells []flows.CellID }

// ReleaseDrained ends the leases of those of the cells that are still to be
// drained.
type ReleaseDrained struct{ Cells []flows.CellID }

// DrainCell says that a cell is to start no more containers, and to lose its
// lease when the last one has ended. With a lease that has expired it is drained at
// once. NotFound: there is no such cell.
type DrainCell struct {
	Cell flows.CellID
	By   string
}

// UndrainCell takes that back, also of a cell that has been drained. NotFound:
// there is no such cell.
type UndrainCell struct {
	Cell flows.CellID
	By   string
}

// RemoveCell ends the lease of a cell and forgets it. NotFound: there is no such
// cell. Conflict: its lease was renewed within the last Quiet, or by a clock
// that was ahead of this one, and not at Silent; or it is drained and its agent
// asks for one.
type RemoveCell struct {
	Cell   flows.CellID
	By     string
	Quiet  time.Duration // 0: whenever it was renewed
	Silent time.Time     // a renewal that stayed the last one for Quiet, by no clock of the database; zero: none
}

// FreeGroups puts those group ids into quarantine that no policy names.
type FreeGroups struct{ Groups []flows.GroupID }

// Freed is one stay of a group id in quarantine, by the change that began it.
type Freed struct {
	Group    flows.GroupID
	Revision api.Revision
}

// ReleaseGroups lets group ids be given again. One that its app took back
// meanwhile stays the app's, even if it was freed again since.
type ReleaseGroups struct{ Groups []Freed }

// ChangePolicies adds and removes as one write. A policy to be added that
// exists gets the new description.
type ChangePolicies struct {
	api.PolicyChanges
	Order api.Order
}

// AssignTag gives an identity a group id. One whose type is not "app" is never freed.
type AssignTag struct {
	ID   flows.AppID
	Type string
	By   string
}

// SetSecurityGroups makes these all that there are.
type SetSecurityGroups struct {
	Groups []api.SecurityGroup
	By     string
}

// SetLogging says whose accepted connections are logged.
type SetLogging struct {
	Logging api.Logging
	By      string
}

func (AddPolicies) command()    {}
func (RemovePolicies) command() {}
func (AssignGroups) command()   {}
func (GrantLease) command()     {}
func (RenewLeases) command()    {}
func (LeaveCells) command()     {}
func (ExpireLeases) command()   {}
func (ConfirmReturns) command() {}
func (ReleaseDrained) command() {}
func (DrainCell) command()      {}
func (UndrainCell) command()    {}
func (RemoveCell) command()     {}
func (FreeGroups) command()     {}
func (ReleaseGroups) command()  {}
func (SetLogging) command()     {}

func (ChangePolicies) command()    {}
func (AssignTag) command()         {}
func (SetSecurityGroups) command() {}
