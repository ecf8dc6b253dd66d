package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// How long an agent waits before it tries the controller again, with jitter: as
// package cellagent does.
const (
	redialFirst = 100 * time.Millisecond
	redialMost  = 5 * time.Second
)

// Places of a cell's containers, by their index: addresses in its lease, and
// ports of its bridge.
const (
	firstAddress = 2
	firstOFPort  = 100
)

// Cell is a cell that an agent is simulated of.
type Cell struct {
	ID         flows.CellID
	VTEP       netip.Addr
	Containers []Container // as many as its lease has addresses for
}

// Container runs on a cell.
type Container struct {
	ID  string
	App string
}

// Manner is how an agent behaves. The zero value does everything at once.
type Manner struct {
	AckAfter time.Duration // from when it has read a message to when it acknowledges it
	Deaf     bool          // it does not read its stream
}

// agent simulates one cell's agent.
type agent struct {
	fleet  *Fleet
	id     flows.CellID
	vtep   netip.Addr
	client *api.AgentClient

	mu         sync.Mutex
	manner     Manner
	mannered   chan struct{} // closed when manner has changed
	subnet     netip.Prefix  // its lease; zero: none yet
	containers []Container
	table      table
	talk       *talk // nil: no stream
	replaced   int   // containers so far
}

// run keeps a stream open until ctx ends.
func (a *agent) run(ctx context.Context) {
	backoff := redialFirst
	for ctx.Err() == nil {
		began, err := a.attend(ctx)
		if ctx.Err() != nil {
			return
		}
		a.fleet.counts.fault(fmt.Errorf("%s: %w", a.id, err))
		if began {
			backoff = redialFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, redialMost)
	}
}

// lease asks for the cell's subnet, as at the start of each stream.
func (a *agent) lease(ctx context.Context) error {
	a.mu.Lock()
	want := api.LeaseRequest{VTEP: a.vtep.String()}
	if a.subnet.IsValid() {
		want.Subnet, want.Containers = a.subnet.String(), len(a.containers)
	}
	a.mu.Unlock()
	got, err := a.client.Lease(ctx, want)
	if err != nil {
		return err
	}
	subnet, err := netip.ParsePrefix(got.Subnet)
	if err != nil {
		return fmt.Errorf("lease: subnet %q: %w", got.Subnet, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := 1<<(32-subnet.Bits()) - firstAddress - 1; len(a.containers) > n {
		return fmt.Errorf("lease %v has room for %d containers, not for %d", subnet, n, len(a.containers))
	}
	a.subnet = subnet
	return nil
}

// attend opens a stream and serves it until it ends, for a reason that is always
// given. began: its snapshot came.
func (a *agent) attend(ctx context.Context) (began bool, err error) {
	if err := a.lease(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, hello := a.begin()
	stream, err := a.client.Open(ctx, hello)
	if err != nil {
		return false, err
	}
	defer stream.Close()
	a.fleet.counts.streams.Add(1)
	said := make(chan error, 1)
	go func() {
		err := t.send(ctx, a.client, a.fleet.counts.took)
		cancel() // without its say the stream is of no use
		said <- err
	}()
	began, err = a.listen(ctx, stream, t)
	cancel()
	if failed := <-said; errors.Is(err, context.Canceled) {
		err = failed
	}
	a.mu.Lock()
	a.talk = nil
	a.mu.Unlock()
	return began, err
}

// begin says hello: from here on changes are reported.
func (a *agent) begin() (*talk, api.Hello) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hello := api.Hello{VTEP: a.vtep.String(), Patches: true, Endpoints: make([]api.Endpoint, len(a.containers))}
	if a.table.parts != nil {
		hello.Holds = a.table.hash.String()
	}
	for i := range a.containers {
		hello.Endpoints[i] = a.endpoint(i)
	}
	a.talk = newTalk()
	return a.talk, hello
}

// endpoint is what the agent reports of a container. The caller holds mu.
func (a *agent) endpoint(i int) api.Endpoint {
	c := a.containers[i]
	return api.Endpoint{Container: c.ID, App: c.App, IP: a.address(i).String(), OFPort: uint16(firstOFPort + i)}
}

// address is that of the container with an index. The caller holds mu.
func (a *agent) address(i int) netip.Addr {
	bytes := a.subnet.Addr().As4()
	host := int(bytes[2])<<8 + int(bytes[3]) + firstAddress + i
	bytes[2], bytes[3] = byte(host>>8), byte(host)
	return netip.AddrFrom4(bytes)
}

// listen reads messages and acknowledges them.
func (a *agent) listen(ctx context.Context, stream io.Reader, t *talk) (began bool, err error) {
	in := newReader(counted{stream, a.fleet.counts}, a.fleet.names)
	for {
		if err := a.hears(ctx); err != nil {
			return began, err
		}
		m, err := in.next()
		if err != nil {
			return began, err
		}
		began = true
		a.fleet.counts.message(m)
		a.mu.Lock()
		err = a.table.step(m)
		wait := a.manner.AckAfter
		a.mu.Unlock()
		if err != nil {
			return began, a.distrust(ctx, t, m, err)
		}
		t.read(m)
		if wait == 0 {
			t.acknowledge(m.seq)
		} else {
			time.AfterFunc(wait, func() { t.acknowledge(m.seq) })
		}
	}
}

// hears returns when the agent is not deaf.
func (a *agent) hears(ctx context.Context) error {
	for {
		a.mu.Lock()
		deaf, mannered := a.manner.Deaf, a.mannered
		a.mu.Unlock()
		if !deaf {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-mannered:
		}
	}
}

// distrust tells the controller why a message was refused, and leaves the stream.
func (a *agent) distrust(ctx context.Context, t *talk, m message, reason error) error {
	a.fleet.counts.diverged.Add(1)
	id := m.stream
	if id == "" {
		id = t.stream
	}
	return errors.Join(reason, a.client.Acknowledge(ctx, api.Applied{Stream: id, Seq: m.seq, Error: reason.Error()}))
}

// behave changes the agent's manner.
func (a *agent) behave(m Manner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.manner = m
	close(a.mannered)
	a.mannered = make(chan struct{})
}

// replace ends the container with an index and starts another, of app, in its
// place. since is when that happened, for the time that it takes; zero: no time
// is taken. It reports whether the controller is told: without a stream the next
// hello does.
func (a *agent) replace(i int, app string, since time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := replacement{container: a.containers[i].ID, since: since}
	a.replaced++
	a.containers[i] = Container{ID: fmt.Sprintf("%s-%d", a.id, a.replaced), App: app}
	if a.talk == nil {
		return false
	}
	r.endpoint = a.endpoint(i)
	r.ended, r.started = a.fleet.endpoint(r.container), a.fleet.endpoint(r.endpoint.Container)
	a.talk.replace(r)
	return true
}

// settled reports whether the agent has a stream and has acknowledged all that it
// was sent.
func (a *agent) settled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.talk != nil && a.talk.settled()
}
