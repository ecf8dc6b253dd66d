package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// Bridge is a bridge as the agent wants it.
type Bridge struct {
	Name     string
	Cell     string           // whose it is; a bridge of the same name with another owner is refused
	Datapath string           // datapath_type: "" for the kernel's, "netdev" for the userspace one
	Tables   map[uint8]string // names of the OpenFlow tables, as `ovs-ofctl --names` will print them
	HWAddr   string           // MAC of the bridge's own port; "" leaves it to OVS
}

// protocols are the OpenFlow versions that the bridge speaks: all of them, so
// that any tool that an operator reaches for is answered.
var protocols = []string{"OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"}

// secure: without flows the bridge forwards nothing. The default floods.
const secure = "secure"

// hwaddr is the key of other_config that fixes the MAC of the bridge's own
// port, which OVS otherwise takes from a port of the bridge.
const hwaddr = "hwaddr"

// EnsureBridge makes the bridge exist as described and returns when
// ovs-vswitchd has made it. If it is so already nothing is written. A bridge of
// that name whose owner is not b.Cell is left alone: ovsdb.ErrForeignBridge.
func (c *Client) EnsureBridge(ctx context.Context, b Bridge) error {
	if b.Name == "" || b.Cell == "" {
		return fmt.Errorf("bridge %q of cell %q: neither may be empty", b.Name, b.Cell)
	}
	v, err := c.view()
	if err != nil {
		return err
	}
	root, have := v.root(), v.bridge(b.Name)
	if root == nil {
		return fmt.Errorf("table Open_vSwitch is empty: initialise it with ovs-vsctl init")
	}
	if have != nil && have.ExternalIDs[ovsdb.KeyOwner] != b.Cell {
		return fmt.Errorf("%w: bridge %q has external_ids:%s=%q, not %q: choose another bridge name, or hand the bridge over with `ovs-vsctl set bridge %s external_ids:%s=%s`",
			ovsdb.ErrForeignBridge, b.Name, ovsdb.KeyOwner, have.ExternalIDs[ovsdb.KeyOwner], b.Cell, b.Name, ovsdb.KeyOwner, b.Cell)
	}
	if have != nil && v.equal(have, b) {
		return nil
	}
	return c.settle(ctx, "bridge "+b.Name, root, bridgeOps(root, have, b))
}

// equal tells whether the row is the bridge that we want.
func (v view) equal(have *row.Bridge, want Bridge) bool {
	tables, named := rows[row.FlowTable](v, row.FlowTableTable), map[uint8]string{}
	for number, uuid := range have.FlowTables {
		if table := tables[uuid]; table != nil {
			named[uint8(number)] = row.Deref(table.Name)
		}
	}
	return row.Deref(have.FailMode) == secure && have.DatapathType == want.Datapath && maps.Equal(named, want.Tables) &&
		slices.Equal(slices.Sorted(slices.Values(have.Protocols)), protocols) &&
		(want.HWAddr == "" || have.OtherConfig[hwaddr] == want.HWAddr)
}

func bridgeOps(root *row.Root, have *row.Bridge, b Bridge) []rfc7047.Operation {
	tables, ops := rfc7047.OvsMap{GoMap: map[any]any{}}, []rfc7047.Operation{}
	for _, number := range slices.Sorted(maps.Keys(b.Tables)) {
		name := fmt.Sprintf("weft_table_%d", number)
		ops = append(ops, row.Insert(row.FlowTableTable, name, rfc7047.Row{"name": b.Tables[number]}))
		tables.GoMap[int(number)] = rfc7047.UUID{GoUUID: name}
	}
	bridge := rfc7047.Row{
		"fail_mode": secure, "protocols": row.StringSet(protocols), "datapath_type": b.Datapath, "flow_tables": tables,
	}
	config := map[string]string{}
	if have != nil {
		maps.Copy(config, have.OtherConfig) // other keys are the operator's
	}
	if b.HWAddr != "" {
		config[hwaddr] = b.HWAddr
		bridge["other_config"] = row.StringMap(config)
	}
	if have != nil {
		return append(ops, row.Update(row.BridgeTable, have.UUID, bridge))
	}
	bridge["name"], bridge["external_ids"] = b.Name, row.StringMap(map[string]string{ovsdb.KeyOwner: b.Cell})
	bridge["ports"] = row.UUIDSet(row.NewPort)
	return append(ops,
		row.Insert(row.InterfaceTable, row.NewInterface, rfc7047.Row{"name": b.Name, "type": "internal"}),
		row.Insert(row.PortTable, row.NewPort, rfc7047.Row{"name": b.Name, "interfaces": row.UUIDSet(row.NewInterface)}),
		row.Insert(row.BridgeTable, row.NewBridge, bridge),
		row.Mutate(row.RootTable, root.UUID, row.AddTo("bridges", row.NewBridge)))
}

// settle commits and waits for ovs-vswitchd.
func (c *Client) settle(ctx context.Context, comment string, root *row.Root, ops []rfc7047.Operation) error {
	results, err := c.transact(ctx, comment, append(ops, row.BumpNextCfg(root.UUID)...)...)
	if err != nil {
		return err
	}
	selected := results[len(ops)+1].Rows
	if len(selected) != 1 {
		return fmt.Errorf("%s: table Open_vSwitch has %d rows with the uuid of its only row", comment, len(selected))
	}
	want, isNumber := selected[0]["next_cfg"].(float64) // JSON has no integers
	if !isNumber {
		return fmt.Errorf("%s: next_cfg is %v, not a number", comment, selected[0]["next_cfg"])
	}
	err = c.wait(ctx, func(v view) (bool, error) {
		root := v.root()
		return root != nil && root.CurCfg >= int(want), nil
	})
	if err != nil {
		return fmt.Errorf("%s: written, but not applied by ovs-vswitchd: is it running? %w", comment, err)
	}
	return nil
}

// DeleteBridge removes the bridge and all its ports, with the rows that limited
// them. Deleting an absent one is not an error; one that cell does not own is
// refused with ovsdb.ErrForeignBridge.
func (c *Client) DeleteBridge(ctx context.Context, name, cell string) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	b, root := v.bridge(name), v.root()
	if b == nil || root == nil {
		return nil
	}
	if owner := b.ExternalIDs[ovsdb.KeyOwner]; owner != cell {
		return fmt.Errorf("%w: bridge %q has external_ids:%s=%q, not %q", ovsdb.ErrForeignBridge, name, ovsdb.KeyOwner, owner, cell)
	}
	// Its rows go when nothing refers to them.
	if err := c.settle(ctx, "delete bridge "+name, root, []rfc7047.Operation{row.Mutate(row.RootTable, root.UUID, row.RemoveFrom("bridges", b.UUID))}); err != nil {
		return err
	}
	return c.Sweep(ctx) // those of limits do not
}
