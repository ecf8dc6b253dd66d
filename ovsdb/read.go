package ovsdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// Status tells what the database says of the bridge and its switch.
func (c *Conn) Status(ctx context.Context, bridge string) (Status, error) {
	results, err := c.transact(ctx,
		row.Select(row.RootTable, nil, "cur_cfg", "next_cfg", "other_config"),
		row.Select(row.BridgeTable, named(bridge), "external_ids", "datapath_type", "datapath_id"))
	if err != nil {
		return Status{}, err
	}
	s := Status{Connected: true}
	for _, root := range results[0].Rows {
		s.CurCfg, s.NextCfg = row.Deref(number(root["cur_cfg"])), row.Deref(number(root["next_cfg"]))
		s.FlowRestoreWait = pairs(root["other_config"])[row.FlowRestoreWait] == "true"
	}
	for _, b := range results[1].Rows {
		s.Bridge, s.Owner = true, pairs(b["external_ids"])[KeyOwner]
		s.DatapathType, s.DatapathID = text(b["datapath_type"]), text(b["datapath_id"])
	}
	return s, nil
}

func named(name string) []rfc7047.Condition { return []rfc7047.Condition{row.Named(name)} }

// ours are the conditions that a row carries our owner key.
func ours(more ...rfc7047.Condition) []rfc7047.Condition {
	return append(more, row.Tagged(map[string]string{KeyOwner: Owner}))
}

// Port returns a container's port on the bridge. ErrNoPort if there is none of
// that name, ErrNoBridge.
func (c *Conn) Port(ctx context.Context, bridge, name string) (Port, error) {
	found, err := c.ports(ctx, bridge, row.Named(name))
	if err != nil {
		return Port{}, err
	}
	if len(found) != 1 {
		return Port{}, fmt.Errorf("%w: port %q is not on bridge %q", ErrNoPort, name, bridge)
	}
	return found[0], nil
}

// Ports lists the container ports on the bridge that are ours, sorted by name.
// ErrNoBridge.
func (c *Conn) Ports(ctx context.Context, bridge string) ([]Port, error) {
	return c.ports(ctx, bridge)
}

// ports reads those that meet the conditions, as of one moment.
func (c *Conn) ports(ctx context.Context, bridge string, which ...rfc7047.Condition) ([]Port, error) {
	results, err := c.transact(ctx,
		row.Select(row.BridgeTable, named(bridge), "ports"),
		row.Select(row.PortTable, ours(which...), "_uuid", "interfaces", "qos"),
		row.Select(row.InterfaceTable, ours(which...), "_uuid", "name", "ofport", "ofport_request", "ifindex", "admin_state",
			"ingress_policing_rate", "ingress_policing_burst", "error", "external_ids"),
		row.Select(row.QoSTable, ours(), "_uuid", "type", "queues", "other_config"),
		row.Select(row.QueueTable, ours(), "_uuid", "other_config"))
	if err != nil {
		return nil, err
	}
	if len(results[0].Rows) == 0 {
		return nil, fmt.Errorf("%w: bridge %q", ErrNoBridge, bridge)
	}
	onBridge := map[string]bool{}
	for _, uuid := range uuids(results[0].Rows[0]["ports"]) {
		onBridge[uuid] = true
	}
	interfaces, qos, queues := byUUID(results[2].Rows), byUUID(results[3].Rows), byUUID(results[4].Rows)
	var out []Port
	for _, port := range results[1].Rows {
		ends := uuids(port["interfaces"])
		if !onBridge[uuid(port)] || len(ends) != 1 {
			continue
		}
		if end, there := interfaces[ends[0]]; there {
			if i := interfaceOf(end); IsContainer(i) {
				out = append(out, PortOf(i, limitsOf(i, uuids(port["qos"]), qos, queues)))
			}
		}
	}
	slices.SortFunc(out, func(a, b Port) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func limitsOf(i *row.Interface, refers []string, qos, queues map[string]rfc7047.Row) Limits {
	if len(refers) != 1 || qos[refers[0]] == nil {
		return LimitsOf(i, nil, nil)
	}
	shaper := qos[refers[0]]
	var queue *row.Queue
	if all, isMap := shaper["queues"].(rfc7047.OvsMap); isMap {
		for n, refers := range all.GoMap {
			if q := queues[uuidOf(refers)]; q != nil && fmt.Sprint(n) == "0" {
				queue = &row.Queue{OtherConfig: pairs(q["other_config"])}
			}
		}
	}
	return LimitsOf(i, &row.QoS{Type: text(shaper["type"]), OtherConfig: pairs(shaper["other_config"])}, queue)
}

func interfaceOf(r rfc7047.Row) *row.Interface {
	problem, admin := text(r["error"]), text(r["admin_state"])
	return &row.Interface{
		Name: text(r["name"]), OFPort: number(r["ofport"]), OFPortRequest: number(r["ofport_request"]),
		IfIndex: number(r["ifindex"]), AdminState: &admin,
		PolicingRate: row.Deref(number(r["ingress_policing_rate"])), PolicingBurst: row.Deref(number(r["ingress_policing_burst"])),
		Error: &problem, ExternalIDs: pairs(r["external_ids"]),
	}
}

// Columns as the server sends them (RFC 7047 section 5.1). An optional column
// that is not set is an empty set, and a set of one may come without its shell;
// what is of another type than the schema's is as if it were not there.

func text(column any) string {
	s, _ := column.(string)
	return s
}

func number(column any) *int {
	if f, isNumber := column.(float64); isNumber { // JSON has no integers
		return new(int(f))
	}
	return nil
}

func pairs(column any) map[string]string {
	m, _ := column.(rfc7047.OvsMap)
	out := make(map[string]string, len(m.GoMap))
	for key, value := range m.GoMap {
		out[text(key)] = text(value)
	}
	return out
}

func uuids(column any) []string {
	set, isSet := column.(rfc7047.OvsSet)
	if !isSet {
		set.GoSet = []any{column}
	}
	var out []string
	for _, each := range set.GoSet {
		if u := uuidOf(each); u != "" {
			out = append(out, u)
		}
	}
	return out
}

func uuidOf(value any) string {
	u, _ := value.(rfc7047.UUID)
	return u.GoUUID
}

func uuid(r rfc7047.Row) string { return uuidOf(r["_uuid"]) }

func byUUID(rows []rfc7047.Row) map[string]rfc7047.Row {
	out := make(map[string]rfc7047.Row, len(rows))
	for _, r := range rows {
		out[uuid(r)] = r
	}
	return out
}
