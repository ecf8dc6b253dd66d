// Package row holds the rows of the Open_vSwitch database as far as we read or
// write them (ovs-vswitchd.conf.db(5)), and operations on them as values. It
// does no I/O.
package row

// Rows. An optional column is a pointer and a set a slice, as libovsdb maps
// them.
type (
	// Root is the only row of Open_vSwitch.
	Root struct {
		UUID        string            `ovsdb:"_uuid"`
		Bridges     []string          `ovsdb:"bridges"`
		CurCfg      int               `ovsdb:"cur_cfg"`
		NextCfg     int               `ovsdb:"next_cfg"`
		OtherConfig map[string]string `ovsdb:"other_config"`
	}
	// Bridge is a row of Bridge.
	Bridge struct {
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
	// FlowTable is a row of Flow_Table.
	FlowTable struct {
		UUID string  `ovsdb:"_uuid"`
		Name *string `ovsdb:"name"`
	}
	// Port is a row of Port.
	Port struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		Interfaces  []string          `ovsdb:"interfaces"`
		QoS         *string           `ovsdb:"qos"`
		OtherConfig map[string]string `ovsdb:"other_config"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
	// Interface is a row of Interface.
	Interface struct {
		UUID          string            `ovsdb:"_uuid"`
		Name          string            `ovsdb:"name"`
		Type          string            `ovsdb:"type"`
		Options       map[string]string `ovsdb:"options"`
		OFPort        *int              `ovsdb:"ofport"`
		OFPortRequest *int              `ovsdb:"ofport_request"`
		IfIndex       *int              `ovsdb:"ifindex"`     // of its network device, 0 if it has none
		AdminState    *string           `ovsdb:"admin_state"` // of the device: "up" or "down"
		PolicingRate  int               `ovsdb:"ingress_policing_rate"`
		PolicingBurst int               `ovsdb:"ingress_policing_burst"`
		Error         *string           `ovsdb:"error"`
		ExternalIDs   map[string]string `ovsdb:"external_ids"`
	}
	// QoS is a row of QoS.
	QoS struct {
		UUID        string            `ovsdb:"_uuid"`
		Type        string            `ovsdb:"type"`
		Queues      map[int]string    `ovsdb:"queues"`
		OtherConfig map[string]string `ovsdb:"other_config"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
	// Queue is a row of Queue.
	Queue struct {
		UUID        string            `ovsdb:"_uuid"`
		OtherConfig map[string]string `ovsdb:"other_config"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
)

// The tables.
const (
	RootTable      = "Open_vSwitch"
	BridgeTable    = "Bridge"
	FlowTableTable = "Flow_Table"
	PortTable      = "Port"
	InterfaceTable = "Interface"
	QoSTable       = "QoS"
	QueueTable     = "Queue"
)

// FlowRestoreWait is the key of Open_vSwitch's other_config with which
// ovs-vswitchd waits for somebody to load flows.
const FlowRestoreWait = "flow-restore-wait"

// Deref gives an unset optional column its zero value.
func Deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
