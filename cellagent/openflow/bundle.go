package openflow

import (
	"context"
	"fmt"

	"github.com/weft-sdn/weft/flows"
)

// chunk is how much is encoded before it is written: enough to keep system calls
// few, little enough for the switch to work while the rest is encoded.
const chunk = 64 << 10

// bundle is an atomic change under way. Its transactions are numbered from id:
// its opening, its flows in order, its closing, and its commit or discard.
type bundle struct {
	conn        *Conn
	id          uint32
	remove, add []flows.Flow
	sent        bool         // something of it
	refused     chan refusal // the first one
	answers     chan message // to what opens, closes and ends it
}

// refusal is the switch's error about a flow, by its place in the bundle.
type refusal struct {
	place int
	why   errorCode
}

// Apply removes and then adds flows in one atomic bundle: packets see the table
// before or after it, and a failure changes nothing. It returns when the switch
// has answered. The error is a *RefusedError if the switch refused a flow, or would
// take it for another, and an *UnknownError if one has no encoding; the connection
// is of use then as before.
// With any other error, the end of ctx included, the connection has ended; then
// the change may have been made after all, if only the answer was lost.
func (c *Conn) Apply(ctx context.Context, add, remove []flows.Flow) error {
	if len(add)+len(remove) == 0 {
		return nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-c.ended:
		return c.lost()
	case <-ctx.Done():
		return hangs(ctx.Err())
	}
	if ctx.Err() != nil {
		return hangs(ctx.Err()) // nothing was begun
	}
	stop := context.AfterFunc(ctx, func() { c.fail(hangs(ctx.Err())) })
	defer stop()
	b := c.begin(add, remove)
	defer c.bundle.Store(nil)
	err := b.fill()
	if err == nil {
		return b.finish(bundleCommit)
	}
	if b.sent && c.Err() == nil {
		if failure := b.finish(bundleDiscard); failure != nil {
			return failure
		}
	}
	return err
}

// begin numbers a bundle. From then on the reader of the connection hands it its
// answers.
func (c *Conn) begin(add, remove []flows.Flow) *bundle {
	b := &bundle{conn: c, remove: remove, add: add, refused: make(chan refusal, 1), answers: make(chan message, 4)}
	b.id = c.transactions(uint32(b.flows()) + 3)
	c.bundle.Store(b)
	return b
}

func (b *bundle) flows() int { return len(b.remove) + len(b.add) }

// flow returns one by its place.
func (b *bundle) flow(place int) (command, flows.Flow) {
	if place < len(b.remove) {
		return commandDeleteStrict, b.remove[place]
	}
	return commandAdd, b.add[place-len(b.remove)]
}

func (b *bundle) xidOf(place int) uint32 { return b.id + 1 + uint32(place) }
func (b *bundle) closing() uint32        { return b.xidOf(b.flows()) }
func (b *bundle) ending() uint32         { return b.closing() + 1 }

// take accepts an answer to the bundle, for the goroutine that applies it. It
// never waits, and reports false for what is not about it.
func (b *bundle) take(m message) bool {
	if place := m.xid - b.xidOf(0); m.kind == kindError && place < uint32(b.flows()) {
		select {
		case b.refused <- refusal{int(place), errorOf(m)}:
		default: // one is enough
		}
		return true
	}
	if m.xid != b.id && m.xid != b.closing() && m.xid != b.ending() {
		return false
	}
	select {
	case b.answers <- m:
		return true
	default:
		return false
	}
}

// fill opens the bundle, sends its flows and closes it. Closing waits until the
// switch has looked at each of them: Open vSwitch commits a bundle without the
// flows that it has refused, so committing must not be asked for before.
func (b *bundle) fill() error {
	c := b.conn
	c.out = appendBundleControl(c.out[:0], bundleOpen, b.id, b.id)
	for place := range b.flows() {
		command, f := b.flow(place)
		var err error
		if c.out, err = appendBundled(c.out, command, f, b.id, b.xidOf(place)); err != nil {
			return err
		}
		if len(c.out) < chunk {
			continue
		}
		if err := b.flush(); err != nil {
			return err
		}
		if err := b.refusal(); err != nil {
			return err
		}
	}
	c.out = appendBundleControl(c.out, bundleClose, b.id, b.closing())
	if err := b.flush(); err != nil {
		return err
	}
	return b.await(bundleClose, b.closing())
}

// finish commits or discards what was filled.
func (b *bundle) finish(request uint16) error {
	b.conn.out = appendBundleControl(b.conn.out[:0], request, b.id, b.ending())
	if err := b.flush(); err != nil {
		return err
	}
	return b.await(request, b.ending())
}

func (b *bundle) flush() error {
	b.sent = true
	err := b.conn.write(b.conn.out)
	b.conn.out = b.conn.out[:0]
	return err
}

// await waits for the answer to a request of that transaction. An answer that it
// does not expect ends the connection, and with it the bundle.
func (b *bundle) await(request uint16, xid uint32) error {
	for {
		select {
		case <-b.conn.ended:
			return b.conn.lost()
		case m := <-b.answers:
			switch reply, id, err := m.bundleReply(); {
			case err == nil && id == b.id && m.xid == b.id && reply == bundleOpen+1:
				// As it should; what was asked comes after it.
			case err == nil && id == b.id && m.xid == xid && reply == request+1:
				if request == bundleDiscard {
					return nil
				}
				return b.refusal()
			default:
				// The refusal of a commit comes after that of its flow, and leaves no bundle.
				if refused := b.refusal(); refused != nil && request == bundleCommit && m.xid == xid {
					return refused
				}
				b.conn.fail(fmt.Errorf("the switch answered a bundle of %d flows with %v", b.flows(), m))
				return b.conn.lost()
			}
		}
	}
}

// refusal returns the first refusal so far as an error.
func (b *bundle) refusal() error {
	select {
	case r := <-b.refused:
		_, f := b.flow(r.place)
		return &RefusedError{Flow: f.String(), Reason: r.why.String()}
	default:
		return nil
	}
}
