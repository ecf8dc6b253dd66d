package cellagent

import (
	"context"
	"errors"
	"time"

	"github.com/weft-sdn/weft/cellagent/openflow"
	"github.com/weft-sdn/weft/flows"
)

// Switch is a bridge as OpenFlow shows it.
type Switch interface {
	// DumpFlows returns every flow that the bridge holds, foreign ones too, in no order.
	DumpFlows(ctx context.Context) (flows.Table, error)
	// Compare reports whether the bridge holds exactly the flows of these fragments
	// and no other. If not, have is what it holds, as DumpFlows returns it.
	Compare(ctx context.Context, want []flows.Fragment) (have flows.Table, same bool, err error)
	// Apply removes and adds flows in one atomic bundle: packets see the table
	// before or after it, and a failure changes nothing. It returns when the
	// switch has answered. Its error is a *RefusedError if the switch, not the
	// way to it, is the cause.
	Apply(ctx context.Context, add, remove []flows.Flow) error
	// Replace makes the bridge hold this table and nothing else, in one atomic
	// bundle that leaves equal flows alone. It is slower, and needs no dump to tell
	// what is to go. Its error is as that of Apply.
	Replace(ctx context.Context, table flows.Table) error
}

// RefusedError says which flow of a bundle was refused, and why.
type RefusedError = openflow.RefusedError

// switchTimeout bounds one exchange with the switch. 10,000 flows take 0.1 s.
// ovs-vswitchd answers no OpenFlow at all while ovsdb-server is away, though
// packets keep being forwarded.
const switchTimeout = 10 * time.Second

// connected is a Switch over an OpenFlow connection, and ends with it.
type connected struct {
	Switch  // dumps, and applies what the connection cannot say
	conn    *openflow.Conn
	unknown func(*openflow.UnknownError)
}

// Connected returns a Switch that compares and applies over conn. What differs is
// left to slow to read, and so are bundles with a flow that has no encoding;
// unknown is told of each of these.
func Connected(conn *openflow.Conn, slow Switch, unknown func(*openflow.UnknownError)) Switch {
	return connected{slow, conn, unknown}
}

// Compare implements Switch. Most of the time nothing differs, and to know that
// takes no text: only what does, or has no encoding, is dumped.
func (c connected) Compare(ctx context.Context, want []flows.Fragment) (have flows.Table, same bool, err error) {
	limited, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	same, err = c.conn.Holds(limited, want)
	var unknown *openflow.UnknownError
	if same || err != nil && !errors.As(err, &unknown) {
		return nil, same, err
	}
	return c.Switch.Compare(ctx, want)
}

// Apply implements Switch. After the end of the connection it fails: what is
// known of the switch's flows was true of that connection only.
func (c connected) Apply(ctx context.Context, add, remove []flows.Flow) error {
	limited, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	err := c.conn.Apply(limited, add, remove)
	var unknown *openflow.UnknownError
	if errors.As(err, &unknown) {
		c.unknown(unknown)
		return c.Switch.Apply(ctx, add, remove)
	}
	return err
}
