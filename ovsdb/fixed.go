package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// fixedPort is a port of our own with a pinned OpenFlow number, which flows
// mention: the tunnel, or one whose other end is a device of the host.
type fixedPort struct {
	what    string // for people: "tunnel port"
	name    string
	kind    string // the interface's type (ovs-vswitchd.conf.db(5))
	ofport  int
	options map[string]string
}

// ensureFixed makes the port exist on the bridge as described and returns when
// ovs-vswitchd has given it its number. If it is so already nothing is written.
// Another number, or an error of ovs-vswitchd, is an error.
func (c *Client) ensureFixed(ctx context.Context, bridge string, p fixedPort) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	b, err := v.ours(bridge)
	if err != nil {
		return err
	}
	port, iface := v.port(p.name), v.iface(p.name)
	switch {
	case port == nil:
		err = c.addFixed(ctx, b, p)
	case !slices.Contains(b.Ports, port.UUID) || iface == nil || iface.ExternalIDs[KeyOwner] != Owner:
		return fmt.Errorf("%w: %s %q on bridge %q", ErrForeignPort, p.what, p.name, bridge)
	case iface.Type != p.kind || !maps.Equal(iface.Options, p.options) || deref(iface.OFPortRequest) != p.ofport:
		err = c.settle(ctx, p.what+" "+p.name, v.root(), []rfc7047.Operation{update(interfaceTable, iface.UUID, p.row())})
	}
	if err != nil {
		return err
	}
	got, err := c.waitOFPort(ctx, p.name)
	if err != nil {
		return fmt.Errorf("%s %q: %w", p.what, p.name, err)
	}
	if got != p.ofport {
		return fmt.Errorf("%s %q has ofport %d, not %d: does another port of bridge %q hold it? (ovs-ofctl show %s)", p.what, p.name, got, p.ofport, bridge, bridge)
	}
	return nil
}

// row holds the columns that may change during the port's life.
func (p fixedPort) row() rfc7047.Row {
	return rfc7047.Row{"type": p.kind, "options": stringMap(p.options), "ofport_request": p.ofport}
}

func (c *Client) addFixed(ctx context.Context, b *bridgeRow, p fixedPort) error {
	owner := stringMap(map[string]string{KeyOwner: Owner})
	iface := p.row()
	iface["name"], iface["external_ids"] = p.name, owner
	_, err := c.transact(ctx, p.what+" "+p.name,
		insert(interfaceTable, newInterface, iface),
		insert(portTable, newPort, rfc7047.Row{"name": p.name, "interfaces": uuidSet(newInterface), "external_ids": owner}),
		mutate(bridgeTable, b.UUID, addTo("ports", newPort)))
	return err
}
