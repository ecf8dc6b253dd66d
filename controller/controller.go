package controller

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// How long the controller waits before it tries again what failed.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 10 * time.Second
)

// pollInterval is how often the change log is read where other replicas write it.
const pollInterval = 250 * time.Millisecond

// Controller serves one replica's requests and agents: it implements
// api.Policies, api.Fleet and api.Agents. Its methods may be called from any
// goroutine, and answer once Run runs.
type Controller struct {
	store    Store
	overlay  Overlay
	log      *slog.Logger
	state    *State       // owned by loop
	draining bool         // owned by loop: no new streams
	loaded   api.Revision // what the database had when we started
	requests chan func(*State)
	stopped  chan struct{} // closed when Run returns
	watch    *watch        // of the leases that nobody renews
	replica  string        // this process, among those that share the database; "": none does
	revision atomic.Uint64 // state's, for those outside the loop
	reached  signal        // revision has grown
	acked    signal        // a debt was paid or a stream has ended

	// Tokens.
	logged    chan struct{} // the log may have grown
	unnamed   chan struct{} // an app may lack a group id
	unsettled chan struct{} // a cell may be drained, or back
	attended  chan struct{} // a stream was opened or has ended

	mu    sync.Mutex // guards links, which only the loop adds to
	links map[flows.CellID]*link
}

// New reads the database and returns the controller at its revision. Rows that
// make no sense are logged and skipped; the rest is served.
func New(ctx context.Context, store Store, overlay Overlay, log *slog.Logger) (*Controller, error) {
	snapshot, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	for _, fault := range snapshot.Faults {
		log.Error("skipped a broken row of the database", "error", fault)
	}
	c := &Controller{
		store: store, overlay: overlay, log: log,
		state:    NewState(overlay),
		loaded:   snapshot.Revision,
		requests: make(chan func(*State)),
		stopped:  make(chan struct{}),
		links:    map[flows.CellID]*link{},
		watch:    newWatch(overlay.LeaseExpiry),

		logged:    make(chan struct{}, 1),
		unnamed:   make(chan struct{}, 1),
		unsettled: make(chan struct{}, 1),
		attended:  make(chan struct{}, 1),
	}
	if store.Shared() {
		c.replica = rand.Text()
	}
	c.step(snapshot.Change)
	return c, nil
}

// Run serves until ctx ends. It owns every goroutine of the controller.
func (c *Controller) Run(ctx context.Context) error {
	var running sync.WaitGroup
	parts := []func(context.Context){c.loop, c.follow, c.name, c.settle, c.renew, c.housekeep}
	if c.store.Shared() {
		parts = append(parts, c.poll, c.attend)
	}
	for _, part := range parts {
		running.Go(func() { part(ctx) })
	}
	running.Wait()
	close(c.stopped)
	return nil
}

// Drain ends all streams and refuses new ones, so that agents go elsewhere or
// wait, while requests under way still finish.
func (c *Controller) Drain(ctx context.Context) error {
	return c.ask(ctx, func(*State) {
		c.draining = true
		for _, l := range c.allLinks() {
			l.mu.Lock()
			if l.stream != nil {
				l.stream.end()
			}
			l.mu.Unlock()
		}
	})
}

// loop is the only goroutine that touches state.
func (c *Controller) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case request := <-c.requests:
			request(c.state)
		}
	}
}

// ask runs f in the loop. Unavailable when the controller has stopped.
func (c *Controller) ask(ctx context.Context, f func(*State)) error {
	done := make(chan struct{})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return api.Unavailable("the controller is stopping")
	case c.requests <- func(s *State) { f(s); close(done) }:
		<-done
		return nil
	}
}

// step moves the state and tells the streams. Only the loop calls it.
func (c *Controller) step(ev Event) {
	dirty := c.state.Step(ev)
	for _, fault := range c.state.Faults() {
		c.log.Error("skipped what cannot be used of a security group", "error", fault)
	}
	change, logged := ev.(Change)
	if logged {
		c.meet(change)
	}
	for _, d := range dirty {
		l := c.link(d.Cell)
		l.mu.Lock()
		if logged {
			l.owe(change.Revision)
		}
		if l.stream != nil {
			l.stream.offer(d, c.state)
		}
		l.mu.Unlock()
	}
	if len(c.state.nameless) > 0 {
		token(c.unnamed)
	}
	if len(c.state.draining) > 0 {
		token(c.unsettled)
	}
	if logged {
		c.revision.Store(uint64(change.Revision))
		c.reached.fire()
	}
}

// meet makes links for new cells, ends those of cells whose lease ends, and
// notes a change of policies with the cells whose endpoints are not known yet:
// it may concern them.
func (c *Controller) meet(change Change) {
	policies := false
	for _, ev := range change.Events {
		switch ev := ev.(type) {
		case PolicyAdded, PolicyRemoved:
			policies = true
		case LeaseGranted:
			c.mu.Lock()
			if c.links[ev.Peer.Cell] == nil {
				c.links[ev.Peer.Cell] = newLink(ev.Peer.Cell, change.Revision)
			}
			c.mu.Unlock()
			c.moved(ev.Peer)
		case LeaseExpired:
			c.unlink(ev.Cell)
		case LeaseReleased:
			c.unlink(ev.Cell)
		}
	}
	if !policies {
		return
	}
	for _, l := range c.allLinks() {
		l.mu.Lock()
		if !l.heard {
			l.owe(change.Revision)
		}
		l.mu.Unlock()
	}
}

// follow reads the change log whenever it may have grown, and moves the state
// along. A database that does not answer is asked again.
func (c *Controller) follow(ctx context.Context) {
	c.retry(ctx, c.logged, func() error {
		changes, err := c.store.Changes(ctx, api.Revision(c.revision.Load()))
		for _, change := range changes {
			if ctx.Err() != nil {
				break
			}
			if failed := c.ask(ctx, func(*State) { c.step(change) }); failed != nil {
				return failed
			}
		}
		return err
	}, "reading the change log")
}

// poll has the change log read now and then, until ctx ends.
func (c *Controller) poll(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			token(c.logged)
		}
	}
}

// name gets group ids for the apps of new endpoints. Until an app has one its
// containers are isolated, and nobody waits for it but them.
func (c *Controller) name(ctx context.Context) {
	c.retry(ctx, c.unnamed, func() error {
		var apps []flows.AppID
		if err := c.ask(ctx, func(s *State) { apps = s.Nameless() }); err != nil || len(apps) == 0 {
			return err
		}
		_, err := c.store.Write(ctx, AssignGroups{Apps: apps})
		token(c.logged)
		return err
	}, "assigning group ids")
}

// retry runs job for each token, and again after a pause for as long as it
// fails, until ctx ends.
func (c *Controller) retry(ctx context.Context, tokens chan struct{}, job func() error, what string) {
	pause := retryFirst
	for {
		select {
		case <-ctx.Done():
			return
		case <-tokens:
		}
		err := job()
		if err == nil || ctx.Err() != nil {
			pause = retryFirst
			continue
		}
		c.log.Error(what, "error", err, "retry_in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMost)
		token(tokens)
	}
}

// token puts a token where there is none.
func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (c *Controller) link(cell flows.CellID) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[cell]
}

// unlink ends the stream of a cell, and every wait for it.
func (c *Controller) unlink(cell flows.CellID) {
	c.mu.Lock()
	l := c.links[cell]
	delete(c.links, cell)
	c.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	if l.stream != nil {
		l.stream.end()
	}
	l.mu.Unlock()
	c.acked.fire()
}

func (c *Controller) allLinks() []*link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.links))
}
