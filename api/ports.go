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

// PolicySpec is a policy as it is asked for, with what describes it.
type PolicySpec struct {
	Policy
	About
}

// About describes a policy to people. It opens and closes nothing.
type About struct {
	Name        string
	Description string
	Set         string            // the policy set that it belongs to; "" for none
	Labels      map[string]string // nil for none; never changed once it is here
}

// Origin says who added a policy, and when.
type Origin struct {
	Creator string
	Created time.Time
}

// PolicyRecord is all that is known of a policy.
type PolicyRecord struct {
	Policy
	About
	Origin
}

// Order is who wants a write, and under which conditions.
type Order struct {
	By string // the caller, for the change log and the audit trail

	// MaxPerSource bounds the policies of each app that a policy of the request
	// has as its source, after the write. One that exists does not count twice. 0: no bound. What
	// exceeds it is Quota.
	MaxPerSource int

	// IfRevision, unless nil, is the revision of the policies (PoliciesRevision)
	// that the caller has seen. If they have changed since, the write is
	// refused: Outdated.
	IfRevision *Revision
}

// Revision is a position in the controller's change log, from 1.
type Revision uint64

// Policies is what the external handlers need of the controller. Its errors
// are of the kinds in errors.go.
type Policies interface {
	// Policies lists the policies that filter selects in the order of their
	// ids: all that were acknowledged before, on whichever replica. It fails if
	// the database does not answer. Nobody may change the list: it is shared.
	Policies(ctx context.Context, filter Filter) ([]Policy, error)
	// AddPolicies adds all of them or none, and returns when they are durable.
	// One that exists already changes nothing.
	AddPolicies(ctx context.Context, policies []Policy, order Order) (Revision, error)
	// RemovePolicies is the inverse. One that does not exist is not an error.
	RemovePolicies(ctx context.Context, policies []Policy, order Order) (Revision, error)
	// CleanUp removes the policies that name an app which access says is gone,
	// and returns them. Nil access: every app exists.
	CleanUp(ctx context.Context, access Access, by string) ([]Policy, error)
	// Groups lists the group ids in use or in quarantine, in ascending order.
	Groups(ctx context.Context) ([]Group, error)
	// WaitApplied returns when every connected cell that revision affects has
	// acknowledged it, or the cells that had not when ctx ended. With
	// disconnected it waits for the affected cells that are not connected too.
	WaitApplied(ctx context.Context, revision Revision, disconnected bool) (pending []flows.CellID)
}

// Changes of policies, as one transaction.
type PolicyChanges struct {
	Add    []PolicySpec // those that exist keep their Origin and get the About
	Remove []Policy
}

// PolicySets is what the native API needs to write policies with all that
// describes them.
type PolicySets interface {
	// Records lists all policies in the order of their ids, and the revision
	// that last changed any of them: all that was acknowledged before, on
	// whichever replica. Nobody may change the list: it is shared.
	Records(ctx context.Context) ([]PolicyRecord, Revision, error)
	// ChangePolicies makes all changes or none.
	ChangePolicies(ctx context.Context, changes PolicyChanges, order Order) (Revision, error)
}

// PolicyWatch is what the native API needs to tell of changes as they come.
type PolicyWatch interface {
	// PolicyChanges waits for changes of policies after a revision, and returns
	// them, oldest first, with the revision up to which it has looked, also
	// when ctx ends. Gone: the revision is too old, or newer than the newest.
	PolicyChanges(ctx context.Context, after Revision) ([]AuditEntry, Revision, error)
}

// Auditor reads the change log back.
type Auditor interface {
	// Audit lists changes that people and programs asked for, newest first.
	Audit(ctx context.Context, query AuditQuery) ([]AuditEntry, error)
}

// Access knows the apps of a platform, and who may do what with them. Without
// one, only administrators may do anything, and every app exists.
type Access interface {
	// MayWrite returns nil if the caller may write policies between all of the
	// apps, Forbidden if not or if one of them does not exist, another error if nobody could be asked.
	MayWrite(ctx context.Context, caller Caller, apps []flows.AppID) error
	// Visible returns those of the apps that the caller may see.
	Visible(ctx context.Context, caller Caller, apps []flows.AppID) (map[flows.AppID]bool, error)
	// Gone returns those of the apps that do not exist.
	Gone(ctx context.Context, apps []flows.AppID) ([]flows.AppID, error)
}

// Identities is what the internal API of Cloud Foundry needs beside policies.
type Identities interface {
	// AssignTag gives an identity that is no app's a group id that it keeps for
	// good, or an app's one that it may lose again. Conflict: the id has
	// another type.
	AssignTag(ctx context.Context, id flows.AppID, kind string, by string) (Group, error)
	// GroupsOf returns the group ids of those of the identities that have one.
	GroupsOf(ctx context.Context, ids []flows.AppID) (map[flows.AppID]flows.GroupID, error)
	// PoliciesChanged returns a number that grows with each change of policies,
	// in nanoseconds since 1970 or a little more.
	PoliciesChanged(ctx context.Context) (int64, error)
	// SecurityGroups lists all of them in the order of their ids, and a number
	// that grows with each change of them.
	SecurityGroups(ctx context.Context) ([]SecurityGroup, int64, error)
	// SetSecurityGroups makes these all that there are. Their ids are ignored: a
	// known GUID keeps its own.
	SetSecurityGroups(ctx context.Context, groups []SecurityGroup, by string) error
}

// SecurityGroup is an application security group of Cloud Controller.
type SecurityGroup struct {
	ID             uint64 // ours, from 1, in the order in which they were first seen
	GUID, Name     string
	Rules          string // JSON, as Cloud Controller has them
	StagingDefault bool   // for all containers that stage
	RunningDefault bool   // for all other containers
	StagingSpaces  []string
	RunningSpaces  []string
}

// Fleet is what the native API needs of the controller.
type Fleet interface {
	// Cells lists the cells that have a lease, in force or expired, and those
	// that have been drained, by id.
	Cells(ctx context.Context) ([]Cell, error)
	Endpoints(ctx context.Context) ([]Endpoint, error)
	// EndpointsOf lists the endpoints of each of the apps, by cell and container id.
	EndpointsOf(ctx context.Context, apps []flows.AppID) (map[flows.AppID][]Endpoint, error)
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
	// Lease gives the cell its overlay subnet, the same one each time. Conflict:
	// another cell has its VTEP, it is connected from another, it was drained, or
	// its containers run where its lease is not. Exhausted: no subnet is left.
	Lease(ctx context.Context, cell flows.CellID, want LeaseRequest) (Lease, error)
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
