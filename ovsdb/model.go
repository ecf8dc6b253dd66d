package ovsdb

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// Keys of external_ids. Those of a container's Interface are written by the
// plugin in the transaction that adds the port, but for KeyReady, KeyStarted,
// KeyError and KeyPasses, which are the agent's.
const (
	KeyOwner     = "weft-owner"     // Bridge: the cell; Port and Interface: Owner
	KeyContainer = "weft-container" // the runtime's container id
	KeyIfName    = "weft-ifname"    // the interface's name inside the container
	KeyNetwork   = "weft-network"   // name of the network configuration that attached it
	KeyApp       = "weft-app"       // identity key; absent: isolated
	KeyIP        = "weft-ip"        // IPv4, from the cell's lease
	KeyMAC       = "weft-mac"       // of the container's end
	KeyNetNS     = "weft-netns"     // path of the network namespace
	KeyBoot      = "weft-boot"      // the kernel's boot id: another one means that the veth is gone
	KeyEgress    = "weft-egress"    // where it may open connections out of the overlay (flows.EgressRules); absent: nowhere
	KeySpace     = "weft-space"     // the platform's space that it is in, for dynamic security groups; absent: none
	KeyWorkload  = "weft-workload"  // "app", "task" or "staging", as the platform says
	KeyPorts     = "weft-ports"     // its ports that are open on the cell's address (FormatMappings)
	KeyPort      = "weft-port"      // of the Queue and QoS that shape it: the port's name
	KeyReady     = "weft-ready"     // "true" once the switch holds the endpoint's flows
	KeyStarted   = "weft-started"   // "true" once it was ready; stays, whatever comes
	KeyError     = "weft-error"     // why it does not, for people
	KeyPasses    = "weft-passes"    // "true" beside KeyError if that may be over by itself; absent: it will not
)

// Owner is the value of KeyOwner on the ports and interfaces that are ours.
const Owner = "weft"

// Port is a container's port on the bridge: the host end of its veth and, in
// external_ids, whose it is.
type Port struct {
	Name      string     // of the host end, and of the Port and Interface rows
	Container string     // the runtime's container id, never empty
	IfName    string     // inside the container
	Network   string     // name of the network configuration; "" if it was attached before that was kept
	App       string     // "" for a container without identity
	IP        netip.Addr // not valid when the row holds something else
	MAC       string
	NetNS     string
	BootID    string
	Egress    string // rules in the text of flows.EgressRules, which is for others to judge
	Space     string
	Workload  string
	Mappings  []PortMapping // nil, too, when the row holds something else: see Unread
	Limits    Limits

	Unread        string // what of external_ids could not be read and why, "" if nothing
	OFPort        int    // 0 while ovs-vswitchd has not assigned one, -1 if it could not
	OFPortRequest int    // 0 if not pinned
	Ready         bool   // the agent has seen its flows in the switch
	Started       bool   // it was Ready, or is
	Error         string // the agent's reason why it is not ready
	Passes        bool   // and that may be over by itself
	IfaceError    string // ovs-vswitchd's, e.g. that there is no such device; or that it is gone
}

// externalIDs is what the plugin writes; empty values are left out.
func (p Port) externalIDs() map[string]string {
	ids := map[string]string{KeyOwner: Owner, KeyContainer: p.Container}
	ip := ""
	if p.IP.IsValid() {
		ip = p.IP.String()
	}
	for key, value := range map[string]string{
		KeyIfName: p.IfName, KeyNetwork: p.Network, KeyApp: p.App, KeyIP: ip, KeyMAC: p.MAC, KeyNetNS: p.NetNS, KeyBoot: p.BootID,
		KeyEgress: p.Egress, KeySpace: p.Space, KeyWorkload: p.Workload, KeyPorts: FormatMappings(p.Mappings),
	} {
		if value != "" {
			ids[key] = value
		}
	}
	return ids
}

// yes is the value of a key that is set or not.
var yes = strconv.FormatBool(true)

// PortOf is the inverse, for rows that may hold anything.
func PortOf(i *row.Interface, limits Limits) Port {
	ids := i.ExternalIDs
	ip, _ := netip.ParseAddr(ids[KeyIP]) // anything else: not valid, which callers see
	mappings, err := ParseMappings(ids[KeyPorts])
	unread := ""
	if err != nil {
		unread = fmt.Sprintf("external_ids:%s: %v", KeyPorts, err)
	}
	return Port{
		Name: i.Name, Container: ids[KeyContainer], IfName: ids[KeyIfName], Network: ids[KeyNetwork], App: ids[KeyApp],
		IP: ip, MAC: ids[KeyMAC], NetNS: ids[KeyNetNS], BootID: ids[KeyBoot],
		Egress: ids[KeyEgress], Space: ids[KeySpace], Workload: ids[KeyWorkload], Mappings: mappings, Unread: unread, Limits: limits,
		OFPort: row.Deref(i.OFPort), OFPortRequest: row.Deref(i.OFPortRequest),
		Ready: ids[KeyReady] == yes, Started: ids[KeyReady] == yes || ids[KeyStarted] == yes, Error: ids[KeyError], Passes: ids[KeyPasses] == yes,
		IfaceError: cmp.Or(row.Deref(i.Error), lost(i)),
	}
}

// lost says that the interface's device is gone, or "". ovs-vswitchd keeps number
// and port of one that vanishes, and calls it no error until it is told to look.
// Only devices of OVS's own, which it has no reason to call down, have no index.
func lost(i *row.Interface) string {
	if i.IfIndex != nil && *i.IfIndex == 0 && row.Deref(i.AdminState) == "down" {
		return "its network device is gone"
	}
	return ""
}

// IsContainer tells a container's interface of ours from everything else.
func IsContainer(i *row.Interface) bool {
	return i.ExternalIDs[KeyOwner] == Owner && i.ExternalIDs[KeyContainer] != ""
}

// BootID returns the kernel's boot id, for Port.BootID. It changes with every
// boot of the machine.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// DatapathUserspace is the datapath_type of OVS's own datapath, which handles
// packets in ovs-vswitchd. Its VXLAN carries no group id.
const DatapathUserspace = "netdev"

// Status is what the database tells about the switch.
type Status struct {
	Connected       bool   // to ovsdb-server; if not, nothing below is set
	Bridge          bool   // the bridge exists
	Owner           string // the cell that owns it, "" if it is foreign
	DatapathType    string // "" or "system" for the kernel's, or DatapathUserspace
	DatapathID      string // 16 hex digits, "" until ovs-vswitchd has made the bridge
	CurCfg, NextCfg int    // ovs-vswitchd has caught up when they are equal

	// FlowRestoreWait: ovs-vswitchd handles no packet that its caches do not
	// know until somebody removes other_config:flow-restore-wait.
	FlowRestoreWait bool
}
