package mirror

import (
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

func databaseModel() (model.ClientDBModel, error) {
	return model.NewClientDBModel("Open_vSwitch", map[string]model.Model{
		row.RootTable: &row.Root{}, row.BridgeTable: &row.Bridge{}, row.FlowTableTable: &row.FlowTable{},
		row.PortTable: &row.Port{}, row.InterfaceTable: &row.Interface{}, row.QoSTable: &row.QoS{}, row.QueueTable: &row.Queue{},
	})
}

// watched lists the columns that are copied here. Naming them keeps the
// counters, which ovs-vswitchd writes every five seconds, off the connection,
// and newer columns, at which libovsdb's cache stops, out of it.
func watched() []client.MonitorOption {
	root, bridge, table, port, iface := &row.Root{}, &row.Bridge{}, &row.FlowTable{}, &row.Port{}, &row.Interface{}
	qos, queue := &row.QoS{}, &row.Queue{}
	return []client.MonitorOption{
		client.WithTable(root, &root.Bridges, &root.CurCfg, &root.NextCfg, &root.OtherConfig),
		client.WithTable(bridge, &bridge.Name, &bridge.Ports, &bridge.FailMode, &bridge.Protocols,
			&bridge.DatapathType, &bridge.DatapathID, &bridge.FlowTables, &bridge.OtherConfig, &bridge.ExternalIDs),
		client.WithTable(table, &table.Name),
		client.WithTable(port, &port.Name, &port.Interfaces, &port.QoS, &port.OtherConfig, &port.ExternalIDs),
		client.WithTable(iface, &iface.Name, &iface.Type, &iface.Options, &iface.OFPort, &iface.OFPortRequest, &iface.IfIndex, &iface.AdminState,
			&iface.PolicingRate, &iface.PolicingBurst, &iface.Error, &iface.ExternalIDs),
		client.WithTable(qos, &qos.Type, &qos.Queues, &qos.OtherConfig, &qos.ExternalIDs),
		client.WithTable(queue, &queue.OtherConfig, &queue.ExternalIDs),
	}
}
