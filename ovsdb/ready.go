package ovsdb

import (
	"context"
	"fmt"
	"strconv"
)

// MarkReady tells the plugin that the switch holds the endpoint's flows.
// Marking again writes nothing. ErrNoPort if the port is gone.
func (c *Client) MarkReady(ctx context.Context, name string) error {
	return c.mark(ctx, name, KeyReady, strconv.FormatBool(true), KeyError)
}

// MarkFailed tells the plugin why the container cannot be connected; the
// reason is shown to whoever started it. ErrNoPort if the port is gone.
func (c *Client) MarkFailed(ctx context.Context, name, reason string) error {
	return c.mark(ctx, name, KeyError, reason, KeyReady)
}

// mark sets one key and removes its opposite.
func (c *Client) mark(ctx context.Context, name, key, value, without string) error {
	row, err := c.containerRow(name)
	if err != nil {
		return err
	}
	if _, contrary := row.ExternalIDs[without]; !contrary && row.ExternalIDs[key] == value {
		return nil
	}
	results, err := c.transact(ctx, "mark "+name, mutate(interfaceTable, row.UUID, setKey(key, value, without)...))
	if err != nil {
		return err
	}
	if results[0].Count != 1 {
		return fmt.Errorf("%w: %q was deleted meanwhile", ErrNoPort, name)
	}
	return nil
}

// WaitReady returns nil when the agent has marked the port ready. It returns
// ErrNotReady with the agent's reason if it refused, ErrNoPort if the port is
// not there, and the context's cause when ctx ends first.
func (c *Client) WaitReady(ctx context.Context, name string) error {
	return c.wait(ctx, func(v view) (bool, error) {
		row := v.iface(name)
		if row == nil || !isContainer(row) {
			return false, fmt.Errorf("%w: %q", ErrNoPort, name)
		}
		p := portOf(row)
		if p.Error != "" {
			return false, fmt.Errorf("%w: %s", ErrNotReady, p.Error)
		}
		return p.Ready, nil
	})
}
