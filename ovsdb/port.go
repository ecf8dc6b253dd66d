package ovsdb

import (
	"context"
	"fmt"
	"slices"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// AddPort adds a container's port, with all that it carries, in one
// transaction, and returns the OpenFlow port number that ovs-vswitchd gave it.
// After an error (ovs-vswitchd cannot use the device, ctx ended before it
// answered) the port may be there: DeletePort takes it back. Errors:
// ErrNoBridge, ErrForeignBridge, ErrPortExists.
func (c *Client) AddPort(ctx context.Context, bridge string, p Port) (int, error) {
	if p.Name == "" || p.Container == "" {
		return 0, fmt.Errorf("port %q of container %q: neither may be empty", p.Name, p.Container)
	}
	v, err := c.view()
	if err != nil {
		return 0, err
	}
	b, err := v.ours(bridge)
	if err != nil {
		return 0, err
	}
	if v.port(p.Name) != nil {
		return 0, fmt.Errorf("%w: port %q (ovs-vsctl list interface %s)", ErrPortExists, p.Name, p.Name)
	}
	results, err := c.transact(ctx, fmt.Sprintf("add port %s of container %s", p.Name, p.Container), portOps(b, p)...)
	if err != nil {
		return 0, err
	}
	if results[0].Count != 1 {
		return 0, fmt.Errorf("%w: bridge %q was deleted meanwhile", ErrNoBridge, bridge)
	}
	ofport, err := c.waitOFPort(ctx, p.Name)
	if err != nil {
		return 0, fmt.Errorf("port %q on bridge %q: %w", p.Name, bridge, err)
	}
	return ofport, nil
}

func portOps(b *bridgeRow, p Port) []rfc7047.Operation {
	iface := rfc7047.Row{"name": p.Name, "external_ids": stringMap(p.externalIDs())}
	if p.OFPortRequest != 0 {
		iface["ofport_request"] = p.OFPortRequest
	}
	port := rfc7047.Row{
		"name": p.Name, "interfaces": uuidSet(newInterface),
		// After a reboot the veth is gone; OVS's start script removes ports so marked.
		"other_config": stringMap(map[string]string{"transient": "true"}),
		"external_ids": stringMap(map[string]string{KeyOwner: Owner}),
	}
	p.Limits.police(iface)
	return append([]rfc7047.Operation{
		mutate(bridgeTable, b.UUID, addTo("ports", newPort)),
		insert(interfaceTable, newInterface, iface),
		insert(portTable, newPort, port),
	}, p.Limits.shape(port, p.Name)...)
}

// waitOFPort returns the port's number, or what ovs-vswitchd says is wrong.
func (c *Client) waitOFPort(ctx context.Context, name string) (int, error) {
	number := 0
	err := c.wait(ctx, func(v view) (bool, error) {
		row := v.iface(name)
		if row == nil {
			return false, nil // the copy is a moment behind
		}
		if text := deref(row.Error); text != "" {
			return false, fmt.Errorf("ovs-vswitchd: %s", text)
		}
		number = deref(row.OFPort)
		if number < 0 {
			return false, fmt.Errorf("ovs-vswitchd could not open the device (ofport %d)", number)
		}
		return number > 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return 0, fmt.Errorf("no ofport: is ovs-vswitchd running? %w", err)
	}
	return number, err
}

// PinOFPort requests for the port the number that it has, so that it keeps it
// when ovs-vswitchd restarts: flows that were restored match it. Pinning again
// writes nothing.
func (c *Client) PinOFPort(ctx context.Context, name string, ofport int) error {
	row, err := c.containerRow(name)
	if err != nil {
		return err
	}
	if deref(row.OFPortRequest) == ofport {
		return nil
	}
	_, err = c.transact(ctx, fmt.Sprintf("pin ofport %d of %s", ofport, name),
		update(interfaceTable, row.UUID, rfc7047.Row{"ofport_request": ofport}))
	return err
}

// DeletePort removes a port of ours from the bridge. Deleting an absent port,
// or one of an absent bridge, is not an error; a port that is not ours is
// refused with ErrForeignPort. Rows that limited it, or another port that
// somebody else deleted, go with it.
func (c *Client) DeletePort(ctx context.Context, bridge, name string) error {
	c.sweep(ctx)
	v, err := c.view()
	if err != nil {
		return err
	}
	b, port := v.bridge(bridge), v.port(name)
	if b == nil || port == nil || !slices.Contains(b.Ports, port.UUID) {
		return nil
	}
	if port.ExternalIDs[KeyOwner] != Owner {
		return fmt.Errorf("%w: port %q on bridge %q has no external_ids:%s=%s", ErrForeignPort, name, bridge, KeyOwner, Owner)
	}
	// Port and Interface rows go when nothing refers to them.
	if _, err = c.transact(ctx, "delete port "+name,
		append(v.unshape(port), mutate(bridgeTable, b.UUID, removeFrom("ports", port.UUID)))...); err != nil {
		return err
	}
	return c.wait(ctx, func(v view) (bool, error) {
		now := v.port(name)
		return now == nil || now.UUID != port.UUID, nil
	})
}

// containerRow finds the interface of a container's port.
func (c *Client) containerRow(name string) (*interfaceRow, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	row := v.iface(name)
	if row == nil || !isContainer(row) {
		return nil, fmt.Errorf("%w: %q", ErrNoPort, name)
	}
	return row, nil
}
