package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"
)

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
// that name whose owner is not b.Cell is left alone: ErrForeignBridge.
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
	if have != nil && have.ExternalIDs[KeyOwner] != b.Cell {
		return fmt.Errorf("%w: bridge %q has external_ids:%s=%q, not %q: choose another bridge name, or hand the bridge over with `ovs-vsctl set bridge %s external_ids:%s=%s`",
			ErrForeignBridge, b.Name, KeyOwner, have.ExternalIDs[KeyOwner], b.Cell, b.Name, KeyOwner, b.Cell)
	}
	if have != nil && v.equal(have, b) {
		return nil
	}
	return c.settle(ctx, "bridge "+b.Name, root, bridgeOps(root, have, b))
}

// equal tells whether the row is the bridge that we want.
func (v view) equal(have *bridgeRow, want Bridge) bool {
	tables, named := rows[flowTableRow](v, flowTableTable), map[uint8]string{}
	for number, uuid := range have.FlowTables {
		if row := tables[uuid]; row != nil {
			named[uint8(number)] = deref(row.Name)
		}
	}
	return deref(have.FailMode) == secure && have.DatapathType == want.Datapath && maps.Equal(named, want.Tables) &&
		slices.Equal(slices.Sorted(slices.Values(have.Protocols)), protocols) &&
		(want.HWAddr == "" || have.OtherConfig[hwaddr] == want.HWAddr)
}

func bridgeOps(root *rootRow, have *bridgeRow, b Bridge) []rfc7047.Operation {
	tables, ops := rfc7047.OvsMap{GoMap: map[any]any{}}, []rfc7047.Operation{}
	for _, number := range slices.Sorted(maps.Keys(b.Tables)) {
		name := fmt.Sprintf("weft_table_%d", number)
		ops = append(ops, insert(flowTableTable, name, rfc7047.Row{"name": b.Tables[number]}))
		tables.GoMap[int(number)] = rfc7047.UUID{GoUUID: name}
	}
	row := rfc7047.Row{
		"fail_mode": secure, "protocols": stringSet(protocols), "datapath_type": b.Datapath, "flow_tables": tables,
	}
	config := map[string]string{}
	if have != nil {
		maps.Copy(config, have.OtherConfig) // other keys are the operator's
	}
	if b.HWAddr != "" {
		config[hwaddr] = b.HWAddr
		row["other_config"] = stringMap(config)
	}
	if have != nil {
		return append(ops, update(bridgeTable, have.UUID, row))
	}
	row["name"], row["external_ids"] = b.Name, stringMap(map[string]string{KeyOwner: b.Cell})
	row["ports"] = uuidSet(newPort)
	return append(ops,
		insert(interfaceTable, newInterface, rfc7047.Row{"name": b.Name, "type": "internal"}),
		insert(portTable, newPort, rfc7047.Row{"name": b.Name, "interfaces": uuidSet(newInterface)}),
		insert(bridgeTable, newBridge, row),
		mutate(rootTable, root.UUID, addTo("bridges", newBridge)))
}

// settle commits and waits for ovs-vswitchd.
func (c *Client) settle(ctx context.Context, comment string, root *rootRow, ops []rfc7047.Operation) error {
	results, err := c.transact(ctx, comment, append(ops, bumpNextCfg(root.UUID)...)...)
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
// refused with ErrForeignBridge.
func (c *Client) DeleteBridge(ctx context.Context, name, cell string) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	b, root := v.bridge(name), v.root()
	if b == nil || root == nil {
		return nil
	}
	if owner := b.ExternalIDs[KeyOwner]; owner != cell {
		return fmt.Errorf("%w: bridge %q has external_ids:%s=%q, not %q", ErrForeignBridge, name, KeyOwner, owner, cell)
	}
	// Its rows go when nothing refers to them.
	if err := c.settle(ctx, "delete bridge "+name, root, []rfc7047.Operation{mutate(rootTable, root.UUID, removeFrom("bridges", b.UUID))}); err != nil {
		return err
	}
	c.sweep(ctx) // those of limits do not
	return nil
}
