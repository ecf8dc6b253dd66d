package ovsdb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// Kinds of refusals (RFC 7047 section 3.1 and 5.2).
const (
	timedOut            = "timed out"                       // what a wait waits for did not come
	constraintViolation = "constraint violation"            // a value, or a second row of one name
	stillReferred       = "referential integrity violation" // a row that others refer to cannot go
)

// AddPort adds a container's port, with all that it carries, to a bridge of
// the cell's, in one transaction. It does not wait for ovs-vswitchd: WaitReady
// does. After an error of the connection the port may be there: DeletePort
// takes it back. After ErrNoBridge, ErrForeignBridge and ErrPortExists nothing
// is.
func (c *Conn) AddPort(ctx context.Context, bridge, cell string, p Port) error {
	if p.Name == "" || p.Container == "" {
		return fmt.Errorf("port %q of container %q: neither may be empty", p.Name, p.Container)
	}
	_, err := c.transact(ctx, noted(fmt.Sprintf("add port %s of container %s", p.Name, p.Container), p.ops(bridge, cell)...)...)
	switch {
	case refusedAs(err, timedOut):
		return c.notOurs(ctx, bridge, cell)
	case refusedAs(err, constraintViolation) && strings.Contains(err.Error(), `index on column "name"`):
		return fmt.Errorf("%w: port %q (ovs-vsctl list interface %s)", ErrPortExists, p.Name, p.Name)
	case err != nil:
		return fmt.Errorf("add port %s: %w", p.Name, err)
	}
	return nil
}

// ops add the port, unless the bridge is not the cell's: then none of them is
// done, so that nothing is left in tables without garbage collection.
func (p Port) ops(bridge, cell string) []rfc7047.Operation {
	at := []rfc7047.Condition{row.Named(bridge), row.Tagged(map[string]string{KeyOwner: cell})}
	iface := rfc7047.Row{"name": p.Name, "external_ids": row.StringMap(p.externalIDs())}
	if p.OFPortRequest != 0 {
		iface["ofport_request"] = p.OFPortRequest
	}
	p.Limits.police(iface)
	port := rfc7047.Row{
		"name": p.Name, "interfaces": row.UUIDSet(row.NewInterface),
		// After a reboot the veth is gone; OVS's start script removes ports so marked.
		"other_config": row.StringMap(map[string]string{"transient": "true"}),
		"external_ids": row.StringMap(map[string]string{KeyOwner: Owner}),
	}
	shaping := p.Limits.shape(port, p.Name)
	return append([]rfc7047.Operation{
		{Op: rfc7047.OperationWait, Timeout: new(0), Table: row.BridgeTable, Where: at,
			Columns: []string{"name"}, Until: "==", Rows: []rfc7047.Row{{"name": bridge}}},
		{Op: rfc7047.OperationMutate, Table: row.BridgeTable, Where: at, Mutations: []rfc7047.Mutation{row.AddTo("ports", row.NewPort)}},
		row.Insert(row.InterfaceTable, row.NewInterface, iface),
		row.Insert(row.PortTable, row.NewPort, port),
	}, shaping...)
}

// notOurs says why a bridge that is not the cell's is not.
func (c *Conn) notOurs(ctx context.Context, bridge, cell string) error {
	s, err := c.Status(ctx, bridge)
	switch {
	case err != nil:
		return err
	case !s.Bridge:
		return fmt.Errorf("%w: bridge %q: is weft-agent running, and is this the bridge that it is configured for?", ErrNoBridge, bridge)
	}
	return fmt.Errorf("%w: bridge %q has external_ids:%s=%q, not %q", ErrForeignBridge, bridge, KeyOwner, s.Owner, cell)
}

// DeletePort removes a port of ours from the bridge, with the rows that limited
// it. Deleting an absent port, or one of an absent bridge, is not an error; a
// port that is not ours is refused with ErrForeignPort.
func (c *Conn) DeletePort(ctx context.Context, bridge, name string) error {
	return c.deletePort(ctx, bridge, name, func(map[string]string) bool { return true })
}

// DeletePortOf is DeletePort for one interface of a container. A port of that
// name that says that it is another's stays, and is ErrOthersPort.
func (c *Conn) DeletePortOf(ctx context.Context, bridge, name, container, ifName string) error {
	return c.deletePort(ctx, bridge, name, func(ids map[string]string) bool {
		return (ids[KeyContainer] == "" || ids[KeyContainer] == container) && (ids[KeyIfName] == "" || ids[KeyIfName] == ifName)
	})
}

// deletePort takes the port away if mine is true of its interface's external_ids.
func (c *Conn) deletePort(ctx context.Context, bridge, name string, mine func(ids map[string]string) bool) error {
	its := []rfc7047.Condition{row.Tagged(map[string]string{KeyOwner: Owner, KeyPort: name})}
	results, err := c.transact(ctx,
		row.Select(row.BridgeTable, named(bridge), "_uuid", "ports"),
		row.Select(row.PortTable, named(name), "_uuid", "external_ids"),
		row.Select(row.QoSTable, its, "_uuid"),
		row.Select(row.QueueTable, its, "_uuid"),
		row.Select(row.InterfaceTable, named(name), "external_ids"))
	if err != nil {
		return fmt.Errorf("delete port %s: %w", name, err)
	}
	var taking, clearing []rfc7047.Operation
	for _, port := range results[1].Rows {
		for _, b := range results[0].Rows {
			if !slices.Contains(uuids(b["ports"]), uuid(port)) {
				continue // on somebody else's bridge
			}
			if pairs(port["external_ids"])[KeyOwner] != Owner {
				return fmt.Errorf("%w: port %q on bridge %q has no external_ids:%s=%s", ErrForeignPort, name, bridge, KeyOwner, Owner)
			}
			for _, i := range results[4].Rows { // one at most has the name
				if ids := pairs(i["external_ids"]); !mine(ids) {
					return fmt.Errorf("%w: port %q is %q of container %q", ErrOthersPort, name, ids[KeyIfName], ids[KeyContainer])
				}
			}
			taking = append(taking,
				// The server looks at references before it collects the Port row.
				row.Update(row.PortTable, uuid(port), rfc7047.Row{"qos": row.NoUUIDs()}),
				// Port and Interface rows go when nothing refers to them.
				row.Mutate(row.BridgeTable, uuid(b), row.RemoveFrom("ports", uuid(port))))
		}
	}
	for i, table := range []string{row.QoSTable, row.QueueTable} {
		for _, r := range results[2+i].Rows {
			clearing = append(clearing, row.Delete(table, uuid(r)))
		}
	}
	return c.delete(ctx, name, taking, clearing)
}

// delete takes the port, and what limited it unless somebody has come to use
// that, too.
func (c *Conn) delete(ctx context.Context, name string, taking, clearing []rfc7047.Operation) error {
	if len(taking)+len(clearing) == 0 {
		return nil
	}
	note := "delete port " + name
	_, err := c.transact(ctx, noted(note, append(slices.Clone(taking), clearing...)...)...)
	if refusedAs(err, stillReferred) {
		if len(taking) == 0 {
			return nil
		}
		_, err = c.transact(ctx, noted(note, taking...)...)
	}
	if err != nil {
		return fmt.Errorf("delete port %s: %w", name, err)
	}
	return nil
}
