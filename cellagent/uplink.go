package cellagent

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// How long to wait before the controller is tried again, with jitter, so that
// the agents of a restarted controller do not come all at once.
const (
	redialFirst = 100 * time.Millisecond
	redialMost  = 5 * time.Second
	// settledAfter is how long a stream must have lived for the next attempt to
	// come at once: one that ends sooner, again and again, is somebody else's too.
	settledAfter = 2 * redialMost
)

// stream is the agent's side of one stream, owned by the agent's goroutine.
// The zero value is no stream.
type stream struct {
	id       string                  // the controller's name for it; "" until the snapshot is here
	since    time.Time               // when that came
	cancel   context.CancelFunc      // ends its goroutines
	outbox   *outbox                 // what is to be told
	reported map[string]api.Endpoint // what the controller has been told, by container
	refused  map[string]string       // what the controller refuses, and why, by container
	seq      uint64                  // of the last message that want includes
	acked    uint64                  // of the last message that was acknowledged or refused
	broken   bool                    // a message could not be trusted; nothing more is believed
}

// dial asks for the lease, the first step to a stream. Every attempt has a
// number; what older ones still say is not heard.
func (a *Agent) dial() {
	a.attempt++
	attempt := a.attempt
	req := api.LeaseRequest{VTEP: a.cfg.UnderlayIP, SingleIP: a.cfg.SingleIPOnly}
	ports, err := a.containers()
	if a.fault("ovsdb", err) {
		a.redial() // without knowing what runs here nothing must be asked for
		return
	}
	if a.lease.subnet.IsValid() {
		req.Subnet, req.Containers = a.lease.wire.Subnet, a.lease.running(ports, a.cfg.BootID)
	}
	a.spawn(func(ctx context.Context) {
		wire, err := a.client.Lease(ctx, req)
		a.post(ctx, func() {
			if attempt == a.attempt {
				a.leased(wire, err)
			}
		})
	})
}

// containers are the ports on the bridge, none if there is no bridge.
func (a *Agent) containers() ([]ovsdb.Port, error) {
	ports, err := a.db.Ports(a.cfg.Bridge)
	if errors.Is(err, ovsdb.ErrNoBridge) {
		return nil, nil
	}
	return ports, err
}

// redial tries again after a while, longer each time.
func (a *Agent) redial() {
	wait := a.backoff/2 + rand.N(a.backoff)
	a.backoff = min(2*a.backoff, redialMost)
	time.AfterFunc(wait, func() { a.post(a.lifetime, a.dial) })
}

// leased is called with the controller's answer. A lease that cannot be had
// changes nothing of what runs.
func (a *Agent) leased(wire api.Lease, err error) {
	ports, unread := a.containers()
	if a.fault("ovsdb", unread) {
		a.redial() // the controller gives a lease, or none: it is asked again when what runs here is known
		return
	}
	var next lease
	answered := err == nil || api.KindOf(err) == api.ErrConflict
	if err == nil {
		next, err = parseLease(wire, a.cfg.Cell)
	}
	if err == nil {
		err = a.lease.accept(next, a.lease.running(ports, a.cfg.BootID))
	}
	if a.fault("lease", err) {
		delete(a.faults, "stream") // how the last one ended is of no use any more
		if answered {
			a.denied = err.Error()
		}
		a.redial()
		return
	}
	a.denied = ""
	if !a.lease.same(next) {
		a.log.Info("lease", "subnet", wire.Subnet, "network", wire.Network, "vni", wire.VNI, "vxlan_port", wire.VXLANPort,
			"expiry", time.Duration(wire.ExpirySeconds)*time.Second)
		a.configured, a.observed = false, false
	}
	a.lease, a.toOpen = next, true
	a.keepLease()
}

// keepLease notes on disk that the controller was heard of just now.
func (a *Agent) keepLease() {
	a.lease.heard = time.Now().Round(0)
	a.heardSaved = a.lease.heard
	a.fault("disk", saveLease(a.cfg.StateDir, a.lease))
}

// heard is called now and then: the controller is heard of while a stream is
// open, since one that is silent for longer than its pings ends.
func (a *Agent) heard(now time.Time) {
	if a.stream != nil && a.stream.id != "" {
		a.lease.heard = now.Round(0)
		lasts := time.Duration(a.lease.wire.ExpirySeconds) * time.Second
		if lasts > 0 && now.Sub(a.heardSaved) > min(lasts/20, time.Minute) {
			a.keepLease()
		}
	}
	a.fault("lease expired", a.lease.expired(now))
}

// open says hello with everything that runs here and listens.
func (a *Agent) open() {
	a.toOpen = false
	ctx, cancel := context.WithCancel(a.lifetime)
	hello := api.Hello{VTEP: a.cfg.UnderlayIP, Endpoints: a.seen.wireEndpoints(), Services: a.cfg.services(), Patches: true, Holds: a.holds()}
	s := &stream{cancel: cancel, outbox: newOutbox(), reported: map[string]api.Endpoint{}}
	for _, e := range hello.Endpoints {
		s.reported[e.Container] = e
	}
	a.stream = s
	a.spawn(func(context.Context) {
		err := a.listen(ctx, s, hello)
		a.post(ctx, func() { a.lost(s, err) })
	})
	a.spawn(func(context.Context) {
		if err := s.outbox.send(ctx, a.client); err != nil {
			a.post(ctx, func() { a.lost(s, err) })
		}
	})
}

// holds is the hash of the table that a stream can go on from: what is wanted,
// else the last good table; "" if there is neither.
func (a *Agent) holds() string {
	for _, table := range []desired{a.want, a.fallback} {
		if table.complete {
			return table.hash.String()
		}
	}
	return ""
}

// listen turns the stream's messages into events until it ends.
func (a *Agent) listen(ctx context.Context, s *stream, hello api.Hello) error {
	incoming, err := a.client.Open(ctx, hello)
	if err != nil {
		return err
	}
	defer incoming.Close()
	for {
		msg, err := incoming.Next()
		if err != nil {
			return err
		}
		a.post(ctx, func() { a.receive(s, msg) })
	}
}

// lost ends a stream and tries for the next one. What the switch holds stays.
func (a *Agent) lost(s *stream, err error) {
	if a.stream != s {
		return
	}
	s.cancel()
	a.stream, a.offlineSince = nil, time.Now()
	if s.id != "" && time.Since(s.since) > settledAfter {
		a.backoff = redialFirst
	}
	a.fault("stream", err)
	a.redial()
}

// receive moves want by one message.
func (a *Agent) receive(s *stream, msg api.Message) {
	if a.stream != s || s.broken || msg.Type == api.TypePing {
		return
	}
	if msg.Same && !a.want.complete {
		a.want = a.fallback
	}
	before := a.want.hash
	changed, err := a.want.step(msg)
	if a.fault("message", err) {
		a.distrust(s, msg, err)
		return
	}
	if msg.Type == api.TypeSnapshot {
		s.id, s.since = msg.Stream, time.Now()
		s.outbox.identify(msg.Stream)
		a.fallback = desired{}
		a.fault("stream", nil)
		a.log.Info("connected to the controller", "revision", msg.Revision, "fragments", len(a.want.fragments), "changed", len(changed), "resumed", msg.Same)
	}
	if msg.Draining != nil || msg.Type == api.TypeSnapshot {
		a.drained(msg.Draining != nil && *msg.Draining)
	}
	if msg.Refused != nil {
		s.refused = make(map[string]string, len(*msg.Refused))
		for _, r := range *msg.Refused {
			s.refused[r.Container] = r.Reason
		}
	}
	s.seq = msg.Seq
	a.record(msg)
	for _, key := range changed {
		a.dirty[key] = true
	}
	a.notices.hear(before, changed)
	a.blocked = false
	a.narrow = msg.Type == api.TypeDelta && msg.Refused == nil && msg.Draining == nil && !slices.ContainsFunc(changed, notOfPolicies)
}

// notOfPolicies reports whether a fragment is of anything else than policies.
func notOfPolicies(key flows.FragmentKey) bool {
	_, is := key.Group()
	return !is
}

// drained notes whether the cell is to start containers. Before the message that
// says so is acknowledged, none can be started any more.
func (a *Agent) drained(is bool) {
	if a.draining != is {
		a.log.Info("the controller drains the cell", "draining", is)
		a.draining, a.observed = is, false
	}
}

// distrust tells the controller why a message was refused and then leaves the
// stream: only a fresh snapshot helps. The bridge stays as it is.
func (a *Agent) distrust(s *stream, msg api.Message, reason error) {
	s.broken = true
	id := s.id
	if id == "" {
		id = msg.Stream
	}
	a.spawn(func(ctx context.Context) {
		if err := a.client.Acknowledge(ctx, api.Applied{Stream: id, Seq: msg.Seq, Error: reason.Error()}); err != nil {
			a.log.Warn("could not tell the controller that its message was refused", "error", err)
		}
		a.post(ctx, func() { a.lost(s, reason) })
	})
}

// report tells the controller what changed among the endpoints.
func (a *Agent) report() {
	if a.stream == nil || a.stream.id == "" {
		return
	}
	up, down := a.seen.changesSince(a.stream.reported)
	if len(up)+len(down) == 0 {
		return
	}
	for _, e := range up {
		a.stream.reported[e.Container] = e
	}
	for _, container := range down {
		delete(a.stream.reported, container)
	}
	a.stream.outbox.report(up, down)
}
