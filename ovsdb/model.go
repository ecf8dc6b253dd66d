package ovsdb

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// Keys of external_ids. Those of a container's Interface are written by the
// plugin in the transaction that adds the port, but for KeyReady and KeyError,
// which are the agent's.
const (
	KeyOwner     = "weft-owner"     // Bridge: the cell; Port and Interface: Owner
	KeyContainer = "weft-container" // the runtime's container id
	KeyIfName    = "weft-ifname"    // the interface's name inside the container
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
	KeyError     = "weft-error"     // why it never will, for people
)

// Owner is the value of KeyOwner on the ports and interfaces that are ours.
const Owner = "weft"

// Bridge is a bridge as the agent wants it.
type Bridge struct {
	Name     string
	Cell     string           // whose it is; a bridge of the same name with another owner is refused
	Datapath string           // datapath_type: "" for the kernel's, "netdev" for the userspace one
	Tables   map[uint8]string // names of the OpenFlow tables, as `ovs-ofctl --names` will print them
	HWAddr   string           // MAC of the bridge's own port; "" leaves it to OVS
}

// Tunnel is the one flow-based VXLAN-GBP port of a bridge: the remote address
// and the VNI come from the flows.
type Tunnel struct {
	Name    string
	OFPort  int        // its OpenFlow port number, 1 to 65279; another one is refused
	UDPPort uint16     // destination port of VXLAN
	LocalIP netip.Addr // the cell's own VTEP; the zero Addr leaves the choice to routing
}

// Port is a container's port on the bridge: the host end of its veth and, in
// external_ids, whose it is.
type Port struct {
	Name      string     // of the host end, and of the Port and Interface rows
	Container string     // the runtime's container id, never empty
	IfName    string     // inside the container
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
	Error         string // the agent's reason why it is not ready
	IfaceError    string // ovs-vswitchd's, e.g. that there is no such device
}

// externalIDs is what the plugin writes; empty values are left out.
func (p Port) externalIDs() map[string]string {
	ids := map[string]string{KeyOwner: Owner, KeyContainer: p.Container}
	ip := ""
	if p.IP.IsValid() {
		ip = p.IP.String()
	}
	for key, value := range map[string]string{
		KeyIfName: p.IfName, KeyApp: p.App, KeyIP: ip, KeyMAC: p.MAC, KeyNetNS: p.NetNS, KeyBoot: p.BootID,
		KeyEgress: p.Egress, KeySpace: p.Space, KeyWorkload: p.Workload, KeyPorts: FormatMappings(p.Mappings),
	} {
		if value != "" {
			ids[key] = value
		}
	}
	return ids
}

// portOf is the inverse, for a row that may hold anything.
func portOf(row *interfaceRow) Port {
	ids := row.ExternalIDs
	ip, _ := netip.ParseAddr(ids[KeyIP]) // anything else: not valid, which callers see
	mappings, err := ParseMappings(ids[KeyPorts])
	unread := ""
	if err != nil {
		unread = fmt.Sprintf("external_ids:%s: %v", KeyPorts, err)
	}
	return Port{
		Name: row.Name, Container: ids[KeyContainer], IfName: ids[KeyIfName], App: ids[KeyApp],
		IP: ip, MAC: ids[KeyMAC], NetNS: ids[KeyNetNS], BootID: ids[KeyBoot],
		Egress: ids[KeyEgress], Space: ids[KeySpace], Workload: ids[KeyWorkload], Mappings: mappings, Unread: unread,
		OFPort: deref(row.OFPort), OFPortRequest: deref(row.OFPortRequest),
		Ready: ids[KeyReady] == strconv.FormatBool(true), Error: ids[KeyError], IfaceError: deref(row.Error),
	}
}

// BootID returns the kernel's boot id, for Port.BootID. It changes with every
// boot of the machine.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// Rows of the database, as far as we read or write them. libovsdb maps an
// optional column to a pointer and a set to a slice.
type (
	rootRow struct {
		UUID    string   `ovsdb:"_uuid"`
		Bridges []string `ovsdb:"bridges"`
		CurCfg  int      `ovsdb:"cur_cfg"`
		NextCfg int      `ovsdb:"next_cfg"`
	}
	bridgeRow struct {
		UUID         string            `ovsdb:"_uuid"`
		Name         string            `ovsdb:"name"`
		Ports        []string          `ovsdb:"ports"`
		FailMode     *string           `ovsdb:"fail_mode"`
		Protocols    []string          `ovsdb:"protocols"`
		DatapathType string            `ovsdb:"datapath_type"`
		DatapathID   *string           `ovsdb:"datapath_id"`
		FlowTables   map[int]string    `ovsdb:"flow_tables"`
		OtherConfig  map[string]string `ovsdb:"other_config"`
		ExternalIDs  map[string]string `ovsdb:"external_ids"`
	}
	flowTableRow struct {
		UUID string  `ovsdb:"_uuid"`
		Name *string `ovsdb:"name"`
	}
	portRow struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		Interfaces  []string          `ovsdb:"interfaces"`
		QoS         *string           `ovsdb:"qos"`
		OtherConfig map[string]string `ovsdb:"other_config"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
	interfaceRow struct {
		UUID          string            `ovsdb:"_uuid"`
		Name          string            `ovsdb:"name"`
		Type          string            `ovsdb:"type"`
		Options       map[string]string `ovsdb:"options"`
		OFPort        *int              `ovsdb:"ofport"`
		OFPortRequest *int              `ovsdb:"ofport_request"`
		PolicingRate  int               `ovsdb:"ingress_policing_rate"`
		PolicingBurst int               `ovsdb:"ingress_policing_burst"`
		Error         *string           `ovsdb:"error"`
		ExternalIDs   map[string]string `ovsdb:"external_ids"`
	}
	qosRow struct {
		UUID        string            `ovsdb:"_uuid"`
		Type        string            `ovsdb:"type"`
		Queues      map[int]string    `ovsdb:"queues"`
		OtherConfig map[string]string `ovsdb:"other_config"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
	queueRow struct {
		UUID        string            `ovsdb:"_uuid"`
		OtherConfig map[string]string `ovsdb:"other_config"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
)

const (
	rootTable      = "Open_vSwitch"
	bridgeTable    = "Bridge"
	flowTableTable = "Flow_Table"
	portTable      = "Port"
	interfaceTable = "Interface"
	qosTable       = "QoS"
	queueTable     = "Queue"
)

func databaseModel() (model.ClientDBModel, error) {
	return model.NewClientDBModel("Open_vSwitch", map[string]model.Model{
		rootTable: &rootRow{}, bridgeTable: &bridgeRow{}, flowTableTable: &flowTableRow{},
		portTable: &portRow{}, interfaceTable: &interfaceRow{}, qosTable: &qosRow{}, queueTable: &queueRow{},
	})
}

// watched lists the columns that are copied here. Naming them keeps the
// counters, which ovs-vswitchd writes every five seconds, off the connection,
// and newer columns, at which libovsdb's cache stops, out of it.
func watched() []client.MonitorOption {
	root, bridge, table, port, iface := &rootRow{}, &bridgeRow{}, &flowTableRow{}, &portRow{}, &interfaceRow{}
	qos, queue := &qosRow{}, &queueRow{}
	return []client.MonitorOption{
		client.WithTable(root, &root.Bridges, &root.CurCfg, &root.NextCfg),
		client.WithTable(bridge, &bridge.Name, &bridge.Ports, &bridge.FailMode, &bridge.Protocols,
			&bridge.DatapathType, &bridge.DatapathID, &bridge.FlowTables, &bridge.OtherConfig, &bridge.ExternalIDs),
		client.WithTable(table, &table.Name),
		client.WithTable(port, &port.Name, &port.Interfaces, &port.QoS, &port.OtherConfig, &port.ExternalIDs),
		client.WithTable(iface, &iface.Name, &iface.Type, &iface.Options, &iface.OFPort, &iface.OFPortRequest,
			&iface.PolicingRate, &iface.PolicingBurst, &iface.Error, &iface.ExternalIDs),
		client.WithTable(qos, &qos.Type, &qos.Queues, &qos.OtherConfig, &qos.ExternalIDs),
		client.WithTable(queue, &queue.OtherConfig, &queue.ExternalIDs),
	}
}

// deref gives an unset optional column its zero value.
func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
