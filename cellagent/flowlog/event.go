package flowlog

import (
	"net/netip"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// Directions of an Event.
const (
	Ingress = "ingress" // judged by policy, on the cell of the receiver
	Egress  = "egress"  // on its way out of the overlay
)

// Verdicts of an Event.
const (
	Denied   = "denied"   // and answered with a refusal, within limits
	Accepted = "accepted" // the first packet of a connection
	Limited  = "limited"  // one connection too many out of the overlay
)

// Event is one line of the log. Addresses and ports are those of the packet.
// A group without an app's name is one that the controller did not know, or
// could not be asked for in time.
type Event struct {
	Time      time.Time `json:"time"`
	Cell      string    `json:"cell"`
	Direction string    `json:"direction"`
	Verdict   string    `json:"verdict"`
	Reason    string    `json:"reason"`            // policy, egress, deny_networks or outbound_connections
	Table     string    `json:"table,omitempty"`   // of the bridge, that decided; none if the host did
	Reply     bool      `json:"reply,omitempty"`   // the packet travels against its connection: a server's
	DryRun    bool      `json:"dry_run,omitempty"` // limited in name only

	Protocol        string     `json:"protocol"` // tcp, udp, icmp or a number
	SourceIP        netip.Addr `json:"source_ip"`
	SourcePort      uint16     `json:"source_port,omitempty"` // absent in later fragments
	DestinationIP   netip.Addr `json:"destination_ip"`
	DestinationPort uint16     `json:"destination_port,omitempty"`
	ICMPType        *uint8     `json:"icmp_type,omitempty"`
	ICMPCode        *uint8     `json:"icmp_code,omitempty"`

	SourceApp            flows.AppID   `json:"source_app"`
	SourceGroup          flows.GroupID `json:"source_group"`
	SourceContainer      string        `json:"source_container,omitempty"` // if it runs here
	DestinationApp       flows.AppID   `json:"destination_app"`
	DestinationGroup     flows.GroupID `json:"destination_group"`
	DestinationContainer string        `json:"destination_container,omitempty"`

	Policy     flows.PolicyID `json:"policy,omitempty"`     // the one that accepted it
	Cookie     string         `json:"cookie,omitempty"`     // if several did: `weft explain` lists them
	Suppressed uint64         `json:"suppressed,omitempty"` // of this sender since its last event, because of the limit

	number flows.Protocol // of Protocol
}

// Local is a container of this cell.
type Local struct {
	Container string
	App       flows.AppID
	Group     flows.GroupID // 0 while it has none
}
