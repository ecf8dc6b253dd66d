package ovsdb

import (
	"context"
	"fmt"
	"time"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// longest bounds one wait at the server, and so how long that remembers a
// plugin that is gone.
const longest = time.Minute

// WaitReady returns nil when the agent has marked the port ready. It returns
// ErrNotReady with the agent's reason if it refused, ErrNotYet if that may pass,
// ErrNoPort if the port is not there, what ovs-vswitchd says if it cannot use the
// device, and the context's cause when ctx ends first.
func (c *Conn) WaitReady(ctx context.Context, name string) error {
	results, err := c.transact(ctx, mark(name))
	for {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		found := results[len(results)-1].Rows
		if len(found) != 1 {
			return fmt.Errorf("%w: %q", ErrNoPort, name)
		}
		i := interfaceOf(found[0])
		if !IsContainer(i) {
			return fmt.Errorf("%w: %q", ErrNoPort, name)
		}
		switch p := PortOf(i, Limits{}); {
		case p.Error != "" && p.Passes:
			return fmt.Errorf("%w: %s", ErrNotYet, p.Error)
		case p.Error != "":
			return fmt.Errorf("%w: %s", ErrNotReady, p.Error)
		case p.IfaceError != "":
			return fmt.Errorf("ovs-vswitchd: %s", p.IfaceError)
		case p.OFPort < 0:
			return fmt.Errorf("ovs-vswitchd could not open the device (ofport %d)", p.OFPort)
		case p.Ready:
			return nil
		}
		results, err = c.untilChanged(ctx, name, found[0])
	}
}

// telling are the columns that decide.
var telling = []string{"external_ids", "error", "ofport"}

// mark reads them.
func mark(name string) rfc7047.Operation {
	return row.Select(row.InterfaceTable, named(name), telling...)
}

// untilChanged has the server wait until the row is another than it was, and
// reads it then. The server gives up before ctx ends, so that the connection
// stays of use.
func (c *Conn) untilChanged(ctx context.Context, name string, was rfc7047.Row) ([]rfc7047.OperationResult, error) {
	patience := longest
	if deadline, bounded := ctx.Deadline(); bounded {
		patience = min(patience, time.Until(deadline))
	}
	wait := rfc7047.Operation{
		Op: rfc7047.OperationWait, Table: row.InterfaceTable, Where: named(name), Columns: telling,
		Until: "!=", Rows: []rfc7047.Row{was}, Timeout: new(int(max(0, patience.Milliseconds()))),
	}
	const answers = time.Second // for a server that is late to say that it gave up
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience+answers)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if context.Cause(ctx) != context.DeadlineExceeded {
			cancel() // nobody waits any more
		}
	})
	defer stop()
	results, err := c.transact(bounded, wait, mark(name))
	if refusedAs(err, timedOut) {
		return c.transact(bounded, mark(name))
	}
	return results, err
}
