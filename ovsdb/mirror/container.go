package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	return c.mark(ctx, name, map[string]string{ovsdb.KeyReady: yes})
}

// MarkFailed tells the plugin why the container cannot be connected; the
// reason is shown to whoever started it. ErrNoPort if the port is gone.
func (c *Client) MarkFailed(ctx context.Context, name, reason string) error {
	return c.mark(ctx, name, map[string]string{ovsdb.KeyError: reason})
}

// MarkDelayed tells the plugin why the container cannot be connected now, when
// that may be over by itself: whoever starts it may try again. A plugin that does
// not know of delays takes it for a failure. ErrNoPort if the port is gone.
func (c *Client) MarkDelayed(ctx context.Context, name, reason string) error {
	return c.mark(ctx, name, map[string]string{ovsdb.KeyError: reason, ovsdb.KeyPasses: yes})
}

// yes is the value of a key that is set or not.
var yes = strconv.FormatBool(true)

// marks are the agent's keys: of each other, some exclude some.
var marks = []string{ovsdb.KeyReady, ovsdb.KeyStarted, ovsdb.KeyError, ovsdb.KeyPasses}

// mark makes these the port's marks, and keeps that it was ready before.
func (c *Client) mark(ctx context.Context, name string, want map[string]string) error {
	i, err := c.containerRow(name)
	if err != nil {
		return err
	}
	have := maps.Clone(i.ExternalIDs)
	maps.DeleteFunc(have, func(key, _ string) bool { return !slices.Contains(marks, key) })
	if want[ovsdb.KeyReady] == yes || have[ovsdb.KeyReady] == yes || have[ovsdb.KeyStarted] == yes {
		want[ovsdb.KeyStarted] = yes
	}
	if maps.Equal(have, want) {
		return nil
	}
	results, err := c.transact(ctx, "mark "+name, row.Mutate(row.InterfaceTable, i.UUID, row.ReplaceKeys(marks, want)...))
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
