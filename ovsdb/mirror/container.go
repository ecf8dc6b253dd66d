package mirror

import (
	"context"
	"fmt"
	"strconv"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// PinOFPort requests for a container's port the number that it has, so that it
// keeps it when ovs-vswitchd restarts: flows that were restored match it.
// Pinning again writes nothing. ErrNoPort if the port is gone.
func (c *Client) PinOFPort(ctx context.Context, name string, ofport int) error {
	i, err := c.containerRow(name)
	if err != nil {
		return err
	}
	if row.Deref(i.OFPortRequest) == ofport {
		return nil
	}
	_, err = c.transact(ctx, fmt.Sprintf("pin ofport %d of %s", ofport, name),
		row.Update(row.InterfaceTable, i.UUID, rfc7047.Row{"ofport_request": ofport}))
	return err
}

// MarkReady tells the plugin that the switch holds the endpoint's flows.
// Marking again writes nothing. ErrNoPort if the port is gone.
func (c *Client) MarkReady(ctx context.Context, name string) error {
	return c.mark(ctx, name, ovsdb.KeyReady, strconv.FormatBool(true), ovsdb.KeyError)
}

// MarkFailed tells the plugin why the container cannot be connected; the
// reason is shown to whoever started it. ErrNoPort if the port is gone.
func (c *Client) MarkFailed(ctx context.Context, name, reason string) error {
	return c.mark(ctx, name, ovsdb.KeyError, reason, ovsdb.KeyReady)
}

// mark sets one key and removes its opposite.
func (c *Client) mark(ctx context.Context, name, key, value, without string) error {
	i, err := c.containerRow(name)
	if err != nil {
		return err
	}
	if _, contrary := i.ExternalIDs[without]; !contrary && i.ExternalIDs[key] == value {
		return nil
	}
	results, err := c.transact(ctx, "mark "+name, row.Mutate(row.InterfaceTable, i.UUID, row.SetKey(key, value, without)...))
	if err != nil {
		return err
	}
	if results[0].Count != 1 {
		return fmt.Errorf("%w: %q was deleted meanwhile", ovsdb.ErrNoPort, name)
	}
	return nil
}

// containerRow finds the interface of a container's port.
func (c *Client) containerRow(name string) (*row.Interface, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	i := v.iface(name)
	if i == nil || !ovsdb.IsContainer(i) {
		return nil, fmt.Errorf("%w: %q", ovsdb.ErrNoPort, name)
	}
	return i, nil
}
