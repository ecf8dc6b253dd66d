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
// ovs-vswitchd has given it its number. If it is so already nothing is written;
// one that ovs-vswitchd could not make is tried again. Another number, or an
// error of ovs-vswitchd, is an error.
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
	case !slices.Contains(b.Ports, port.UUID) || iface == nil || iface.ExternalIDs[ovsdb.KeyOwner] != ovsdb.Owner:
		return fmt.Errorf("%w: %s %q on bridge %q", ovsdb.ErrForeignPort, p.what, p.name, bridge)
	case iface.Type != p.kind || !maps.Equal(iface.Options, p.options) || row.Deref(iface.OFPortRequest) != p.ofport:
		err = c.settle(ctx, p.what+" "+p.name, v.root(), []rfc7047.Operation{row.Update(row.InterfaceTable, iface.UUID, p.columns())})
	case row.Deref(iface.OFPort) < 0 || row.Deref(iface.Error) != "":
		// ovs-vswitchd tries again only when it is told to look: it does not
		// see that what was in the way is gone.
		err = c.settle(ctx, "try "+p.what+" "+p.name+" again", v.root(), nil)
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

// columns are those that may change during the port's life.
func (p fixedPort) columns() rfc7047.Row {
	return rfc7047.Row{"type": p.kind, "options": row.StringMap(p.options), "ofport_request": p.ofport}
}

func (c *Client) addFixed(ctx context.Context, b *row.Bridge, p fixedPort) error {
	owner := row.StringMap(map[string]string{ovsdb.KeyOwner: ovsdb.Owner})
	iface := p.columns()
	iface["name"], iface["external_ids"] = p.name, owner
	_, err := c.transact(ctx, p.what+" "+p.name,
		row.Insert(row.InterfaceTable, row.NewInterface, iface),
		row.Insert(row.PortTable, row.NewPort, rfc7047.Row{"name": p.name, "interfaces": row.UUIDSet(row.NewInterface), "external_ids": owner}),
		row.Mutate(row.BridgeTable, b.UUID, row.AddTo("ports", row.NewPort)))
	return err
}

// waitOFPort returns the port's number, or what ovs-vswitchd says is wrong.
func (c *Client) waitOFPort(ctx context.Context, name string) (int, error) {
	number := 0
	err := c.wait(ctx, func(v view) (bool, error) {
		i := v.iface(name)
		if i == nil {
			return false, nil // the copy is a moment behind
		}
		if text := row.Deref(i.Error); text != "" {
			return false, fmt.Errorf("ovs-vswitchd: %s", text)
		}
		number = row.Deref(i.OFPort)
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
