package api

import "time"

// Wire types of the native API that admins and their programs use. Listings
// are in wire.go.

// PolicyRequest is a policy with what describes it, as it is asked for.
type PolicyRequest struct {
	Source      string            `json:"source"`      // app id
	Destination string            `json:"destination"` // app id
	Protocol    string            `json:"protocol"`    // "tcp" or "udp"
	Ports       Ports             `json:"ports"`
	Name        string            `json:"name,omitempty"`        // up to 255 bytes
	Description string            `json:"description,omitempty"` // up to 1024 bytes
	Labels      map[string]string `json:"labels,omitempty"`      // up to 32, each key up to 63 bytes and value up to 255
}

// PolicyDetail is a policy with all that is known of it.
type PolicyDetail struct {
	PolicyRequest
	ID      uint64     `json:"id"`
	Set     string     `json:"set,omitempty"`     // the policy set it belongs to
	Creator string     `json:"creator,omitempty"` // "" for policies older than the record of it
	Created *time.Time `json:"created,omitempty"`
	Cookie  string     `json:"cookie"` // of the flows that it alone causes, as ovs-ofctl prints it

	// Cookies are those of all its flows: policies of the same two apps share
	// those of ports that several of them cover. In listings only.
	Cookies []string `json:"cookies,omitempty"`
}

// PolicyDetailsList is the answer of GET /weft/v1/policies.
type PolicyDetailsList struct {
	Policies []PolicyDetail `json:"policies"`
	Revision uint64         `json:"revision"`       // that last changed any policy; also the ETag
	Next     string         `json:"next,omitempty"` // give it as ?after= for the next page; "" at the end
}

// PoliciesRequest is the body of POST /weft/v1/policies.
type PoliciesRequest struct {
	Policies []PolicyRequest `json:"policies"` // at least one
}

// PolicyPatch is the body of PATCH /weft/v1/policies/ID. What is absent stays.
type PolicyPatch struct {
	Name        *string            `json:"name,omitempty"`
	Description *string            `json:"description,omitempty"`
	Labels      *map[string]string `json:"labels,omitempty"` // all of them
}

// PoliciesChange is the answer to a write of single policies.
type PoliciesChange struct {
	Revision uint64         `json:"revision"`          // that last changed any policy, this write included; also the ETag
	Policies []PolicyDetail `json:"policies"`          // those of the request, as they are now; of DELETE, as it was
	Pending  []string       `json:"pending,omitempty"` // cells that had not confirmed at the timeout
}

// SetInfo is a policy set in a listing.
type SetInfo struct {
	Name     string `json:"name"`
	Policies int    `json:"policies"`
}

// SetsList is the answer of GET /weft/v1/sets.
type SetsList struct {
	Sets     []SetInfo `json:"sets"`
	Revision uint64    `json:"revision"` // that last changed any policy; also the ETag
}

// PolicySet is the body of PUT /weft/v1/sets/NAME: the policies that the set is
// to have.
type PolicySet struct {
	Policies []PolicyRequest `json:"policies"`
}

// PolicySetChange is the answer: what was done, or would be.
type PolicySetChange struct {
	Revision  uint64          `json:"revision,omitempty"` // of the change log; 0 if nothing was written
	Added     []PolicyRequest `json:"added"`
	Updated   []PolicyRequest `json:"updated"` // their description only
	Removed   []PolicyRequest `json:"removed"` // with ?prune=true only
	Unchanged int             `json:"unchanged"`
	Pending   []string        `json:"pending,omitempty"` // cells that had not confirmed at the timeout
}

// Reacher is an app that may connect to an app.
type Reacher struct {
	App       string         `json:"app"`
	Policies  []PolicyDetail `json:"policies"`
	Endpoints []Endpoint     `json:"endpoints"` // of that app, now
}

// ReachersList is the answer of GET /weft/v1/apps/APP/reachers.
type ReachersList struct {
	App       string     `json:"app"`
	Endpoints []Endpoint `json:"endpoints"` // of the app itself, now
	Reachers  []Reacher  `json:"reachers"`
}

// AuditQuery selects entries of the audit log.
type AuditQuery struct {
	App    string   // that name this app
	By     string   // by this caller
	Before Revision // older than this one; 0: from the newest
	Limit  int      // at most so many, from 1
}

// AuditEntry is one change that somebody asked for.
type AuditEntry struct {
	Revision uint64         `json:"revision"`
	At       time.Time      `json:"at"`
	By       string         `json:"by"`
	Added    []PolicyDetail `json:"added,omitempty"`
	Removed  []PolicyDetail `json:"removed,omitempty"`
	Updated  []PolicyDetail `json:"updated,omitempty"`
	Logging  *Logging       `json:"logging,omitempty"` // set to this
	Other    string         `json:"other,omitempty"`   // what else it did, for people: a lease, group ids, security groups
}

// AuditList is the answer of GET /weft/v1/audit, newest first.
type AuditList struct {
	Entries []AuditEntry `json:"entries"`
	Next    string       `json:"next,omitempty"` // give it as ?before=
}

// Problem is the body of the native API's errors (RFC 9457).
type Problem struct {
	Type     string `json:"type"`               // "about:blank"
	Title    string `json:"title"`              // of the status
	Status   int    `json:"status"`             //
	Detail   string `json:"detail"`             // names the field and its value
	Instance string `json:"instance,omitempty"` // the request's id
	Kind     string `json:"kind"`               // such as "invalid"
}
