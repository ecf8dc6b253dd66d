package ovsdb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// options are those of a flow-based VXLAN port with the group policy extension
// (ovs-vswitchd.conf.db(5), "Tunnel Options").
func (t Tunnel) options() map[string]string {
	o := map[string]string{
		"remote_ip": "flow", "key": "flow", "exts": "gbp", "dst_port": strconv.Itoa(int(t.UDPPort)),
	}
	if t.LocalIP.IsValid() {
		o["local_ip"] = t.LocalIP.String()
	}
	return o
}

// EnsureTunnel makes the tunnel port exist on the bridge as described and
// returns when ovs-vswitchd has given it t.OFPort. If it is so already nothing
// is written. Another number, or an error of ovs-vswitchd, is an error.
func (c *Client) EnsureTunnel(ctx context.Context, bridge string, t Tunnel) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	b, err := v.ours(bridge)
	if err != nil {
		return err
	}
	port, iface := v.port(t.Name), v.iface(t.Name)
	switch {
	case port == nil:
		err = c.addTunnel(ctx, b, t)
	case !slices.Contains(b.Ports, port.UUID) || iface == nil || iface.ExternalIDs[KeyOwner] != Owner:
		return fmt.Errorf("%w: tunnel port %q on bridge %q", ErrForeignPort, t.Name, bridge)
	case iface.Type != "vxlan" || !maps.Equal(iface.Options, t.options()) || deref(iface.OFPortRequest) != t.OFPort:
		err = c.settle(ctx, "tunnel "+t.Name, v.root(), []rfc7047.Operation{update(interfaceTable, iface.UUID, t.row())})
	}
	if err != nil {
		return err
	}
	got, err := c.waitOFPort(ctx, t.Name)
	if err != nil {
		return fmt.Errorf("tunnel port %q: %w", t.Name, err)
	}
	if got != t.OFPort {
		return fmt.Errorf("tunnel port %q has ofport %d, not %d: does another port of bridge %q hold it? (ovs-ofctl show %s)", t.Name, got, t.OFPort, bridge, bridge)
	}
	return nil
}

// row holds the columns that may change during the tunnel's life.
func (t Tunnel) row() rfc7047.Row {
	return rfc7047.Row{"type": "vxlan", "options": stringMap(t.options()), "ofport_request": t.OFPort}
}

func (c *Client) addTunnel(ctx context.Context, b *bridgeRow, t Tunnel) error {
	owner := stringMap(map[string]string{KeyOwner: Owner})
	iface := t.row()
	iface["name"], iface["external_ids"] = t.Name, owner
	_, err := c.transact(ctx, "tunnel "+t.Name,
		insert(interfaceTable, newInterface, iface),
		insert(portTable, newPort, rfc7047.Row{"name": t.Name, "interfaces": uuidSet(newInterface), "external_ids": owner}),
		mutate(bridgeTable, b.UUID, addTo("ports", newPort)))
	return err
}
