package api

import (
	"time"

	"github.com/weft-sdn/weft/flows"
)

// Wire types of the internal API, between agents and controller, and of the
// native listings. testdata/*.json pins each message.

// Version is the path prefix of the internal and native API.
const Version = "/weft/v1"

// Endpoint is one container's interface as an agent reports it. The agent
// reads it from the switch's database; it never trusts its memory.
type Endpoint struct {
	Container string `json:"container"`      // the runtime's container id
	App       string `json:"app"`            // identity key; "" for none
	IP        string `json:"ip"`             // IPv4, inside the cell's lease
	MAC       string `json:"mac,omitempty"`  // absent: ee:ee: and the four bytes of the address
	OFPort    uint16 `json:"ofport"`         // on the cell's bridge
	Cell      string `json:"cell,omitempty"` // in listings only
	Group     uint16 `json:"group"`          // in listings only: the app's group id, 0 for none

	// Egress is where the container may open connections out of the overlay,
	// such as "tcp 10.0.0.1-10.0.0.9 443; icmp 192.0.2.1 8/0". Absent: nowhere.
	Egress string `json:"egress,omitempty"`
	Log    bool   `json:"log,omitempty"` // in listings only: its accepted connections are logged

	// Space and Workload say which dynamic security groups it has: those of the
	// space, for containers that run ("app", "task" or absent) or stage
	// ("staging"); a container of any other workload has none. Without a space,
	// or without a controller that knows such groups, Egress holds.
	Space    string `json:"space,omitempty"`
	Workload string `json:"workload,omitempty"`
}

// LeaseRequest asks for the cell's overlay subnet. Asking again gives the same
// lease, for as long as the cell has it.
type LeaseRequest struct {
	VTEP string `json:"vtep"` // IPv4 underlay address of the cell's tunnel end

	// Subnet is the lease that the cell has on its disk and wants to keep, CIDR.
	// Absent: none. A controller that knows of another lease of the cell ignores
	// it, unless Containers run in it.
	Subnet     string `json:"subnet,omitempty"`
	Containers int    `json:"containers,omitempty"` // that run in Subnet; from 0
	SingleIP   bool   `json:"single_ip,omitempty"`  // one address (a /32) is wanted, for a cell that runs no containers
}

// Lease is what a cell must know of the overlay before it configures its bridge.
type Lease struct {
	Cell      string   `json:"cell"`
	Subnet    string   `json:"subnet"`     // CIDR; a /32 if the cell asked for a single address
	Network   []string `json:"network"`    // CIDRs of the whole overlay
	VNI       uint32   `json:"vni"`        // 24 bits
	VXLANPort uint16   `json:"vxlan_port"` // UDP

	// ExpirySeconds is how long the cell may use the lease after it last heard
	// of the controller, in seconds: later another cell may have it. Absent or 0:
	// for ever, from a controller whose leases do not expire.
	ExpirySeconds int `json:"expiry_s,omitempty"`
}

// Hello opens an agent's stream: its complete truth, so that the first
// snapshot already accounts for every container that runs.
type Hello struct {
	VTEP      string     `json:"vtep"`
	Endpoints []Endpoint `json:"endpoints"` // all of them

	// Services of the cell's host that its containers may use without an
	// egress rule. Absent: none.
	Services []Service `json:"services,omitempty"`

	// Patches: the agent understands Message.Patch. Absent, from one of an older
	// release: it is sent whole fragments.
	Patches bool `json:"patches,omitempty"`

	// Holds is the hash of the whole table that the agent has, from an earlier
	// stream or from its disk; absent: none. If it is that of now, the snapshot is
	// the same one (Message.Same) instead of a long one.
	Holds string `json:"holds,omitempty"`
}

// Service is a port of a cell's host that its containers may use: DNS, say.
type Service struct {
	Protocol string `json:"protocol"` // "tcp" or "udp"
	Address  string `json:"address"`  // IPv4
	Port     uint16 `json:"port"`     // from 1
}

// Message is one line (NDJSON) of an agent's stream. The first of a stream is
// a snapshot; pings keep idle connections alive and carry nothing else.
type Message struct {
	Type     string     `json:"type"`             // "snapshot", "delta", "ping"
	Stream   string     `json:"stream,omitempty"` // snapshot: the stream's id, to be given in reports and acks
	Seq      uint64     `json:"seq,omitempty"`    // 1, 2, 3 … within the stream
	Revision uint64     `json:"revision"`         // of the controller's change log that this table reflects
	Hash     string     `json:"hash,omitempty"`   // flows.Hash of the whole table after this message, hex
	Set      []Fragment `json:"set,omitempty"`    // snapshot: all fragments; delta: those that are new or changed
	Same     bool       `json:"same,omitempty"`   // snapshot: the table is the one that Hello.Holds names; Set is absent
	Patch    []Patch    `json:"patch,omitempty"`  // delta: fragments of which some flows changed
	Remove   []string   `json:"remove,omitempty"` // delta: keys of fragments that are gone

	// Refused, when present, is the complete list of the cell's endpoints that
	// get no flows: the agent marks their interfaces as failed.
	Refused *[]Refusal `json:"refused,omitempty"`

	// Draining says whether the cell is to start no more containers. Absent: as
	// before; in a snapshot: it may. An agent that acknowledges a message with
	// true starts none from then on, and when its last one has ended the
	// controller ends the cell's lease.
	Draining *bool `json:"draining,omitempty"`
}

// Refusal is an endpoint that was reported and cannot be, and why. The others
// of the same report are not affected.
type Refusal struct {
	Container string `json:"container"`
	Reason    string `json:"reason"` // for people; names the field and its value
}

// Values of Message.Type.
const (
	TypeSnapshot = "snapshot"
	TypeDelta    = "delta"
	TypePing     = "ping"
)

// Fragment is a part of a cell's flow table that one object caused.
type Fragment struct {
	Key   string      `json:"key"`   // "base", "endpoint/<container>", "cell/<cell>", "policy/<group>", "egress/<profile>"
	Hash  string      `json:"hash"`  // hex
	Flows flows.Table `json:"flows"` // as canonical flow text
}

// Patch is what became of a fragment that the agent has: a message costs what
// changed, also for an app that a thousand others may reach. Flows are in
// canonical text, in the order of a table.
type Patch struct {
	Key    string      `json:"key"`
	Hash   string      `json:"hash"`             // of the whole fragment after it, hex
	Add    flows.Table `json:"add,omitempty"`    // new, or in place of the one with the same table, priority and match
	Remove flows.Table `json:"remove,omitempty"` // gone
}

// EndpointsReport tells what changed since the Hello of the same stream.
type EndpointsReport struct {
	Stream string     `json:"stream"`
	Up     []Endpoint `json:"up,omitempty"`   // new or changed
	Down   []string   `json:"down,omitempty"` // container ids
}

// Applied acknowledges that the switch itself answered that it holds the table
// up to and including message Seq. With Error it says that it could not.
type Applied struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"seq"`
	Error  string `json:"error,omitempty"`
}

// Cell is a cell in listings.
type Cell struct {
	Cell      string `json:"cell"`
	VTEP      string `json:"vtep"`   // "" for a drained cell
	Subnet    string `json:"subnet"` // "" for a drained cell
	Connected bool   `json:"connected"`
	Applied   uint64 `json:"applied"` // highest change-log revision that its switch is known to hold
	Endpoints int    `json:"endpoints"`
	Error     string `json:"error,omitempty"` // what its agent last could not apply

	// Behind: it is connected, and its switch has yet to confirm some change of
	// its table, be it of a container. For a moment that is every busy cell.
	Behind bool `json:"behind,omitempty"`

	// State is absent while the lease is in force and nothing else is to be said;
	// "draining": it is to start no more containers; "drained": it has no lease,
	// and gets none; "expired": no other cell sends to it or accepts from it;
	// "returning": the same, until its switch has confirmed a table of now.
	State    string `json:"state,omitempty"`
	SingleIP bool   `json:"single_ip,omitempty"` // its lease is one address: it runs no containers
}

// Values of Cell.State.
const (
	CellDraining  = "draining"
	CellDrained   = "drained"
	CellExpired   = "expired"
	CellReturning = "returning"
)

// Group is an app's identity in listings.
type Group struct {
	Group    uint16 `json:"group"`    // tun_gbp_id
	Tag      string `json:"tag"`      // the same in Cloud Foundry's spelling: upper-case hex, 4 digits
	App      string `json:"app"`      // identity key
	Type     string `json:"type"`     // "app"
	Policies int    `json:"policies"` // that name it

	// State is "quarantined" for an id that its app no longer uses and that
	// nobody else may have yet. Until is then when it can be released at the
	// earliest: cells that lag hold it up.
	State string     `json:"state,omitempty"`
	Until *time.Time `json:"until,omitempty"`
}

// GroupQuarantined is the value of Group.State for freed ids.
const GroupQuarantined = "quarantined"

// Logging says whose accepted connections the cells log.
type Logging struct {
	Accepted bool     `json:"accepted"` // everybody's
	Apps     []string `json:"apps"`     // those of these apps, as source or destination; sorted
}

// PolicyInfo is a policy as an explanation names it: the external API's policy
// with its number and cookie.
type PolicyInfo struct {
	ID          uint64      `json:"id"`
	Source      Source      `json:"source"`
	Destination Destination `json:"destination"`
	Cookie      string      `json:"cookie"` // of the flows that it alone causes, as ovs-ofctl prints it
}

// Explanation resolves a cookie of a dumped flow.
type Explanation struct {
	Cookie   string       `json:"cookie"`
	Kind     string       `json:"kind"` // "base", "endpoint", "cell", "policy", "policies", "egress"
	Text     string       `json:"text"` // one sentence for people
	File     string       `json:"file"` // the source file that compiles such flows
	Policies []PolicyInfo `json:"policies,omitempty"`
	Endpoint *Endpoint    `json:"endpoint,omitempty"`
	Cell     *Cell        `json:"cell,omitempty"`

	// Of egress flows: the rule, as the field egress of endpoints has it, and who has it.
	Rule      string     `json:"rule,omitempty"`
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

// CellsList is the answer of GET /weft/v1/cells.
type CellsList struct {
	Cells []Cell `json:"cells"`
}

// EndpointsList is the answer of GET /weft/v1/endpoints.
type EndpointsList struct {
	Endpoints []Endpoint `json:"endpoints"`
}

// GroupsList is the answer of GET /weft/v1/groups, of both listeners.
type GroupsList struct {
	Groups []Group `json:"groups"`
}
