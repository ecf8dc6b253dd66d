package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

const (
	reconnectMin   = 50 * time.Millisecond
	reconnectMax   = 2 * time.Second
	connectTimeout = 5 * time.Second
)

// Client is a connection to ovsdb-server with a copy of the columns that we
// need. It reconnects by itself. All methods may be called concurrently;
// those that take a context return at its end at the latest.
type Client struct {
	endpoint string
	changes  chan struct{}
	stop     context.CancelFunc
	stopped  sync.WaitGroup

	ports ports

	mu      sync.Mutex
	session client.Client // nil while disconnected
	changed chan struct{} // closed and replaced at every change
}

// Dial connects to ovsdb-server, for example at
// "unix:/run/openvswitch/db.sock", and returns once the copy is complete. If
// the server is away it fails at once: starting order is the caller's business.
func Dial(ctx context.Context, endpoint string) (*Client, error) {
	if _, err := ovsdb.SocketPath(endpoint); err != nil {
		return nil, err
	}
	c := &Client{endpoint: endpoint, changes: make(chan struct{}, 1), changed: make(chan struct{})}
	session, err := c.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to ovsdb-server at %s: %w", endpoint, err)
	}
	c.session = session
	lifetime, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.stopped.Add(1)
	go c.supervise(lifetime, session)
	return c, nil
}

// Close ends the connection. What waits then waits for the end of its context.
func (c *Client) Close() {
	c.stop()
	c.stopped.Wait()
}

// Changes delivers a value after something that Ports or Status reads has
// changed, and after the connection was lost or came back. Many changes may
// give one value; after a value, read everything. It has one reader.
func (c *Client) Changes() <-chan struct{} { return c.changes }

// connect makes a session with a complete copy. libovsdb's own reconnecting is
// not used: it cannot be stopped while the server is away, and an row.Update that
// its cache cannot apply would pass unnoticed.
func (c *Client) connect(ctx context.Context) (client.Client, error) {
	dbModel, err := databaseModel()
	if err != nil {
		return nil, err
	}
	session, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(c.endpoint))
	if err != nil {
		return nil, err
	}
	if err := session.Connect(ctx); err != nil {
		return nil, err
	}
	session.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, model.Model) { c.notify() },
		UpdateFunc: func(string, model.Model, model.Model) { c.notify() },
		DeleteFunc: func(string, model.Model) { c.notify() },
	})
	monitor := session.NewMonitor(watched()...)
	// Of the three methods this is the newest one at which libovsdb reports an
	// row.Update that does not fit its cache, and disconnects.
	monitor.Method = rfc7047.ConditionalMonitorRPC
	// A canceled Monitor reads the reply that is arriving (libovsdb 0.8.1): it
	// may only run out of time.
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	if _, err := session.Monitor(patience, monitor); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// supervise replaces the session whenever it is lost, until ctx ends.
func (c *Client) supervise(ctx context.Context, session client.Client) {
	defer c.stopped.Done()
	for {
		c.untilLost(ctx, session)
		c.replace(nil)
		session.Close()
		if ctx.Err() != nil {
			return
		}
		slog.Warn("lost ovsdb-server, reconnecting", "ovsdb", c.endpoint)
		if session = c.reconnect(ctx); session == nil {
			return
		}
		c.replace(session)
		slog.Info("connected to ovsdb-server again", "ovsdb", c.endpoint)
	}
}

// untilLost returns when the session's connection is gone or ctx ends.
func (c *Client) untilLost(ctx context.Context, session client.Client) {
	// libovsdb drops its notification if nobody is listening at that instant.
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for session.CurrentEndpoint() != "" {
		select {
		case <-session.DisconnectNotify():
			return
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// reconnect tries until it has a session, or returns nil when ctx ends.
func (c *Client) reconnect(ctx context.Context) client.Client {
	for wait := reconnectMin; ; wait = min(2*wait, reconnectMax) {
		attempt, cancel := context.WithTimeout(ctx, connectTimeout)
		session, err := c.connect(attempt)
		cancel()
		if err == nil {
			return session
		}
		slog.Debug("ovsdb-server is still away", "ovsdb", c.endpoint, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (c *Client) replace(session client.Client) {
	c.mu.Lock()
	c.session = session
	c.mu.Unlock()
	c.notify()
}

// notify wakes whoever waits for a change.
func (c *Client) notify() {
	c.mu.Lock()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	select {
	case c.changes <- struct{}{}:
	default: // one is waiting to be read already
	}
}

// current returns the copy, or nil while disconnected, and the channel that is
// closed when it changes next.
func (c *Client) current() (view, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return view{}, c.changed
	}
	return view{c.session.Cache()}, c.changed
}

// view returns the copy or ovsdb.ErrNotConnected.
func (c *Client) view() (view, error) {
	v, _ := c.current()
	if !v.valid() {
		return v, fmt.Errorf("%w at %s", ovsdb.ErrNotConnected, c.endpoint)
	}
	return v, nil
}

// wait calls done with the copy at every change until it says that it is done,
// or ctx ends.
func (c *Client) wait(ctx context.Context, done func(view) (bool, error)) error {
	for {
		v, changed := c.current()
		if v.valid() {
			if ok, err := done(v); ok || err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !v.valid() {
				return fmt.Errorf("%w at %s: %w", ovsdb.ErrNotConnected, c.endpoint, context.Cause(ctx))
			}
			return context.Cause(ctx)
		}
	}
}

// transact commits all operations or none. The comment goes to the database's
// log. An error has the server's own text.
func (c *Client) transact(ctx context.Context, comment string, ops ...rfc7047.Operation) ([]rfc7047.OperationResult, error) {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	if session == nil {
		return nil, fmt.Errorf("%w at %s", ovsdb.ErrNotConnected, c.endpoint)
	}
	ops = append(ops, row.Comment(comment))
	results, err := session.Transact(ctx, ops...)
	if errors.Is(err, client.ErrNotConnected) {
		return nil, fmt.Errorf("%w at %s", ovsdb.ErrNotConnected, c.endpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("ovsdb transaction (%s): %w", comment, err)
	}
	for _, r := range results {
		if r.Error != "" {
			return nil, fmt.Errorf("ovsdb-server refused (%s): %s: %s", comment, r.Error, r.Details)
		}
	}
	if len(results) < len(ops) {
		return nil, fmt.Errorf("ovsdb-server answered %d of %d operations (%s)", len(results), len(ops), comment)
	}
	return results, nil
}
