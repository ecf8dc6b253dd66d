package ovsdb

import (
	"context"
	"fmt"
	"slices"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// Internal is a port of a bridge whose other end is a network device of the
// host.
type Internal struct {
	Name   string
	OFPort int // its OpenFlow port number, 1 to 65279; another one is refused
}

// EnsureInternal makes the internal port exist on the bridge as described and
// returns when ovs-vswitchd has given it p.OFPort. If it is so already nothing
// is written. Another number, or an error of ovs-vswitchd, is an error.
func (c *Client) EnsureInternal(ctx context.Context, bridge string, p Internal) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	b, err := v.ours(bridge)
	if err != nil {
		return err
	}
	port, iface := v.port(p.Name), v.iface(p.Name)
	switch {
	case port == nil:
		err = c.addInternal(ctx, b, p)
	case !slices.Contains(b.Ports, port.UUID) || iface == nil || iface.ExternalIDs[KeyOwner] != Owner:
		return fmt.Errorf("%w: internal port %q on bridge %q", ErrForeignPort, p.Name, bridge)
	case iface.Type != internal || deref(iface.OFPortRequest) != p.OFPort:
		err = c.settle(ctx, "internal port "+p.Name, v.root(), []rfc7047.Operation{update(interfaceTable, iface.UUID, p.row())})
	}
	if err != nil {
		return err
	}
	got, err := c.waitOFPort(ctx, p.Name)
	if err != nil {
		return fmt.Errorf("internal port %q: %w", p.Name, err)
	}
	if got != p.OFPort {
		return fmt.Errorf("internal port %q has ofport %d, not %d: does another port of bridge %q hold it? (ovs-ofctl show %s)", p.Name, got, p.OFPort, bridge, bridge)
	}
	return nil
}

// internal is the type of a port that is a network device of the host.
const internal = "internal"

// row holds the columns that may change during the port's life.
func (p Internal) row() rfc7047.Row {
	return rfc7047.Row{"type": internal, "ofport_request": p.OFPort}
}

func (c *Client) addInternal(ctx context.Context, b *bridgeRow, p Internal) error {
	owner := stringMap(map[string]string{KeyOwner: Owner})
	iface := p.row()
	iface["name"], iface["external_ids"] = p.Name, owner
	_, err := c.transact(ctx, "internal port "+p.Name,
		insert(interfaceTable, newInterface, iface),
		insert(portTable, newPort, rfc7047.Row{"name": p.Name, "interfaces": uuidSet(newInterface), "external_ids": owner}),
		mutate(bridgeTable, b.UUID, addTo("ports", newPort)))
	return err
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
