package openflow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrAbsent says that nobody listens where the switch should: ovs-vswitchd does
// not run, or the bridge is not there.
var ErrAbsent = errors.New("no switch listens")

// errClosed is the end of a connection that its owner closed.
var errClosed = errors.New("closed")

// patience is how long a connection waits for the switch.
type patience struct {
	ask     time.Duration // between our echo requests, so that a living switch is never silent for long
	silence time.Duration // without any message the switch is lost
}

var usual = patience{ask: time.Second, silence: 15 * time.Second}

// Conn is an OpenFlow connection to a bridge. Its end is noticed at once: that of
// ovs-vswitchd closes it within a millisecond, long before the database shows
// anything. It does not reconnect: what its owner knows of the switch's flows
// ends with it. Its methods may be called by any goroutine.
type Conn struct {
	net      net.Conn
	patience patience
	echoes   chan message // the switch's echo requests, to be answered
	asked    atomic.Int64 // when the first of our own was sent that nothing has come after, Unix ns; 0: none
	running  sync.WaitGroup

	writing sync.Mutex // held for whole messages

	next atomic.Uint32 // the next transaction

	turn   chan struct{} // holds a value while somebody owns out, and may set bundle
	out    []byte        // messages that are not yet written
	bundle atomic.Pointer[bundle]

	comparing  chan struct{} // holds a value from a comparison's request to its last reply
	comparison atomic.Pointer[comparison]

	end   sync.Once
	ended chan struct{}
	err   error // why, once ended is closed
}

// Transactions. Those of bundles and comparisons follow.
const (
	xidHello = 1
	xidEcho  = 2
	xidFirst = 3
)

// maxEchoes bounds what waits to be answered. Open vSwitch asks once a minute.
const maxEchoes = 16

// Dial connects to a bridge's management socket, by its path, and returns when
// the switch has answered in OpenFlow 1.4. The error is ErrAbsent if there is
// none. ctx bounds the greeting only.
func Dial(ctx context.Context, socket string) (*Conn, error) { return dial(ctx, socket, usual) }

func dial(ctx context.Context, socket string, p patience) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	c := &Conn{
		net: conn, patience: p, echoes: make(chan message, maxEchoes),
		turn: make(chan struct{}, 1), comparing: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	c.next.Store(xidFirst)
	in := bufio.NewReaderSize(conn, 1<<16)
	stop := context.AfterFunc(ctx, func() { c.fail(hangs(ctx.Err())) })
	err = c.greet(in)
	if !stop() {
		<-c.ended
	}
	if err != nil {
		c.fail(err)
	}
	select {
	case <-c.ended:
		return nil, fmt.Errorf("greet the switch: %w", c.err)
	default:
	}
	c.running.Go(func() { c.fail(c.read(in)) })
	c.running.Go(c.keep)
	return c, nil
}

// greet agrees on OpenFlow 1.4 and no other version. That the switch has taken
// our hello shows its answer to what comes next.
func (c *Conn) greet(in *bufio.Reader) error {
	const versionBitmap, size = 1, 8
	hello := appendMessage(nil, kindHello, xidHello, 0, versionBitmap, 0, size, 0, 0, 0, 1<<version)
	if err := c.write(appendMessage(hello, kindEchoRequest, xidEcho)); err != nil {
		return err
	}
	for {
		m, err := readMessage(in)
		switch {
		case err != nil:
			return err
		case m.kind == kindError:
			return fmt.Errorf("OpenFlow 1.4 is refused (%v): the bridge's column protocols must have OpenFlow14", errorOf(m))
		case m.kind == kindEchoReply && m.version == version:
			return nil
		}
	}
}

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.ended }

// Err returns why the connection has ended, nil while it stands.
func (c *Conn) Err() error {
	select {
	case <-c.ended:
		return c.err
	default:
		return nil
	}
}

// Unanswered returns for how long the switch has been silent since it was asked
// for a sign of life, 0 if it has given one. It is asked once a second.
func (c *Conn) Unanswered() time.Duration {
	asked := c.asked.Load()
	if asked == 0 {
		return 0
	}
	return time.Since(time.Unix(0, asked))
}

// Close ends the connection and waits for its goroutines. A bundle under way is
// not applied, unless its commit has been sent.
func (c *Conn) Close() {
	c.fail(errClosed)
	c.running.Wait()
}

// fail ends the connection; the first reason counts.
func (c *Conn) fail(why error) {
	c.end.Do(func() {
		c.err = why
		c.net.Close()
		close(c.ended)
	})
}

// lost is the error of what the end of the connection cut short.
func (c *Conn) lost() error {
	<-c.ended
	return fmt.Errorf("OpenFlow connection lost: %w", c.err)
}

// hangs says that the switch left something unanswered until a context ended.
func hangs(why error) error {
	return fmt.Errorf("the switch does not answer: is ovs-vswitchd, or ovsdb-server, stuck? %w", why)
}

// read handles what the switch sends, until the connection ends. It never waits
// for a write: a switch whose answers nobody reads stops reading too, and then
// both would wait for ever.
func (c *Conn) read(in *bufio.Reader) error {
	for {
		c.net.SetReadDeadline(time.Now().Add(c.patience.silence))
		m, err := readMessage(in)
		if err != nil {
			return err
		}
		c.asked.Store(0)
		if m.version != version {
			return fmt.Errorf("the switch sent a message of OpenFlow version %d, not %d", m.version, version)
		}
		switch m.kind {
		case kindEchoRequest:
			select {
			case c.echoes <- m:
			default:
				return fmt.Errorf("the switch asked for %d echoes and reads none", maxEchoes)
			}
		case kindError, kindBundleControl, kindMultipartReply:
			if err := c.answer(m); err != nil {
				return err
			}
		}
	}
}

// answer hands a message to what it answers. There must be such a thing.
func (c *Conn) answer(m message) error {
	if x := c.comparison.Load(); x != nil && m.xid == x.xid && m.kind != kindBundleControl {
		last, err := x.take(m)
		if last {
			c.comparison.Store(nil)
			<-c.comparing
		}
		return err
	}
	if b := c.bundle.Load(); b == nil || m.kind == kindMultipartReply || !b.take(m) {
		return fmt.Errorf("the switch sent %v, which answers nothing", m)
	}
	return nil
}

// transactions numbers n of them, and returns the first. Numbers go round.
func (c *Conn) transactions(n uint32) uint32 { return c.next.Add(n) - n }

// keep answers the switch's echo requests and sends our own, so that the
// connection is never silent while the switch lives.
func (c *Conn) keep() {
	tick := time.NewTicker(c.patience.ask)
	defer tick.Stop()
	for {
		var echo []byte
		select {
		case <-c.ended:
			return
		case <-tick.C:
			c.asked.CompareAndSwap(0, time.Now().UnixNano())
			echo = appendMessage(nil, kindEchoRequest, xidEcho)
		case m := <-c.echoes:
			echo = appendMessage(nil, kindEchoReply, m.xid, m.body...)
		}
		if c.write(echo) != nil {
			return
		}
	}
}

// write writes whole messages. Nothing bounds it but the end of the connection,
// which comes with the end of its caller's context or of the switch's patience.
func (c *Conn) write(messages []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.net.Write(messages); err != nil {
		c.fail(fmt.Errorf("write to the switch: %w", err))
		return c.lost()
	}
	return nil
}
