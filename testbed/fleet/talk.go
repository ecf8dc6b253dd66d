package fleet

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weft-sdn/weft/api"
)

// talk is what an agent says while one stream is open. Like the real agent's
// outbox it merges what is not yet sent with what comes after it.
type talk struct {
	wake chan struct{} // holds a token when there may be something to say

	mu       sync.Mutex
	stream   string // "" until the snapshot is here; nothing is said before
	up       map[string]api.Endpoint
	down     map[string]bool
	toAck    uint64
	received uint64 // the last message that was read
	acked    uint64 // the last that the controller has heard of
	saying   bool
	awaited  map[name]time.Time
	carried  []carried
}

// carried is a change whose consequence was read and is not yet acknowledged.
type carried struct {
	seq   uint64
	since time.Time
}

func newTalk() *talk {
	return &talk{wake: make(chan struct{}, 1), up: map[string]api.Endpoint{}, down: map[string]bool{}, awaited: map[name]time.Time{}}
}

// change has something to be said.
func (t *talk) change(f func()) {
	t.mu.Lock()
	f()
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// replacement is a container that ended and one that started in its place.
type replacement struct {
	ended, started name // keys of their fragments
	container      string
	endpoint       api.Endpoint
	since          time.Time // zero: no time counts
}

// replace reports both. When the message with the new one's fragment has been
// acknowledged, the time since then counts.
func (t *talk) replace(r replacement) {
	t.change(func() {
		delete(t.up, r.container)
		delete(t.awaited, r.ended) // it may never have been in a table
		t.down[r.container] = true
		t.up[r.endpoint.Container] = r.endpoint
		if !r.since.IsZero() {
			t.awaited[r.started] = r.since
		}
	})
}

// read notes a message, and which changes it is the answer to.
func (t *talk) read(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.kind == api.TypeSnapshot {
		t.stream = m.stream
	}
	t.received = m.seq
	if len(t.awaited) == 0 {
		return
	}
	for _, p := range m.set {
		if since, is := t.awaited[p.key]; is {
			delete(t.awaited, p.key)
			t.carried = append(t.carried, carried{m.seq, since})
		}
	}
}

// acknowledge says that the table is in force up to a message.
func (t *talk) acknowledge(seq uint64) { t.change(func() { t.toAck = max(t.toAck, seq) }) }

// settled reports whether everything that was read is acknowledged.
func (t *talk) settled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acked > 0 && t.acked == t.received
}

// told reports whether the controller has heard of everything that changed. That
// it cannot be told before the snapshot is read does not count.
func (t *talk) told() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stream == "" || len(t.up)+len(t.down) == 0 && !t.saying
}

// take empties what is to be said.
func (t *talk) take() (report api.EndpointsReport, applied api.Applied) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.saying = t.stream != ""; !t.saying {
		return report, applied
	}
	report = api.EndpointsReport{Stream: t.stream, Up: slices.Collect(maps.Values(t.up)), Down: slices.Sorted(maps.Keys(t.down))}
	applied = api.Applied{Stream: t.stream, Seq: t.toAck}
	clear(t.up)
	clear(t.down)
	t.toAck = 0
	return report, applied
}

// send says it until ctx ends, or until the controller does not listen: a new
// stream's hello then says everything again. What took how long goes to done.
func (t *talk) send(ctx context.Context, client *api.AgentClient, done func(time.Duration)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
		}
		report, applied := t.take()
		if len(report.Up)+len(report.Down) > 0 {
			if err := client.Report(ctx, report); err != nil {
				return err
			}
		}
		if applied.Seq > 0 {
			if err := client.Acknowledge(ctx, applied); err != nil {
				return err
			}
		}
		t.heard(applied.Seq, done)
	}
}

// heard notes that everything was said, and that the controller knows that the
// table is in force up to seq.
func (t *talk) heard(seq uint64, done func(time.Duration)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked, t.saying = max(t.acked, seq), false
	t.carried = slices.DeleteFunc(t.carried, func(c carried) bool {
		if c.seq > seq {
			return false
		}
		done(time.Since(c.since))
		return true
	})
}
