package controller

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// maxPending bounds what a stream holds back for a slow reader, in fragments
// (pointers to shared ones). Beyond it the reader gets a snapshot instead.
const maxPending = 4096

// stream is one agent's stream. What the agent has not been sent is merged
// here by fragment, the latest winning, so a slow reader costs bounded memory
// and never blocks the loop.
type stream struct {
	c       *Controller
	link    *link
	id      string
	vtep    netip.Addr    // from which the agent said hello
	holds   string        // the hash of the table that its agent had when it came; "" for none
	patches bool          // its agent takes them
	wake    chan struct{} // holds one token when there may be something to send
	over    chan struct{} // closed when the stream has ended

	// Guarded by link.mu.
	seq      uint64 // of the last message
	snapshot bool   // the next message is one
	pending  map[flows.FragmentKey]*swap
	refused  *[]api.Refusal // to be sent; nil: unchanged
	draining *bool          // to be sent; nil: unchanged
	told     uint64         // the message that said last that the cell is to be drained; 0: none has, or it was taken back
	revision api.Revision   // of the table with pending
	hash     flows.Hash     // of the table with pending
	acked    uint64         // the last message that the switch is known to hold
	marked   mark           // a message that is not acknowledged
	rival    netip.Addr     // from which somebody else asked for the cell's lease last
}

// mark is a message and the revision of the table that it made. One of those
// under way at a time is marked, so that an agent that is never quite in step,
// because its containers come and go, is still seen to move on.
type mark struct {
	seq      uint64 // 0: none
	revision api.Revision
}

// settled reports whether the switch holds all that there is to tell. The
// caller holds link.mu.
func (st *stream) settled() bool {
	return !st.snapshot && !st.news() && st.acked == st.seq
}

// news reports whether there is something for a delta to tell. The caller
// holds link.mu.
func (st *stream) news() bool {
	return len(st.pending) > 0 || st.refused != nil || st.draining != nil
}

// drains reports whether the agent has acknowledged that it is to start no more
// containers. The caller holds link.mu.
func (st *stream) drains() bool {
	return st.told != 0 && st.acked >= st.told && st.draining == nil && !st.snapshot
}

// acknowledged notes that the switch holds the table up to message seq, at now.
// The caller holds link.mu.
func (st *stream) acknowledged(seq uint64, now api.Revision) {
	st.acked = max(st.acked, seq)
	if st.marked.seq != 0 && st.marked.seq <= seq {
		st.link.held = max(st.link.held, st.marked.revision)
		st.marked = mark{}
	}
	st.link.holds(now)
}

// offer merges a change into what is to be sent. The caller holds link.mu.
func (st *stream) offer(d Dirty, s *State) {
	st.revision, st.hash = s.Revision(), s.Hash(d.Cell)
	if !st.snapshot {
		for key, swap := range d.Set {
			st.pending[key] = st.pending[key].then(swap)
		}
		if d.Refused {
			refused := s.Refused(d.Cell)
			st.refused = &refused
		}
		if d.Draining {
			st.draining = new(s.Draining(d.Cell))
		}
		if len(st.pending) > maxPending {
			st.restart()
		}
	}
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// restart makes the next message a snapshot. The caller holds link.mu.
func (st *stream) restart() {
	st.snapshot, st.pending = true, map[flows.FragmentKey]*swap{}
	st.refused, st.draining = nil, nil
}

// Next returns the next message, when there is one.
func (st *stream) Next(ctx context.Context) (api.Message, error) {
	for {
		select {
		case <-st.over:
			return api.Message{}, ended(st.link.cell, st.id)
		case <-ctx.Done():
			return api.Message{}, ctx.Err()
		case <-st.wake:
		}
		msg, err := st.take(ctx)
		if msg.Type != "" || err != nil {
			return msg, err
		}
	}
}

// take makes a message of what is pending. Without a type: nothing is.
func (st *stream) take(ctx context.Context) (api.Message, error) {
	st.link.mu.Lock()
	snapshot, current := st.snapshot, st.link.stream == st
	var msg api.Message
	var pending map[flows.FragmentKey]*swap
	if current && !snapshot && st.news() {
		msg, pending = st.number(api.TypeDelta), st.pending
		msg.Refused = st.refused
		st.say(&msg, st.draining)
		st.pending, st.refused, st.draining = map[flows.FragmentKey]*swap{}, nil, nil
	}
	st.link.mu.Unlock()
	switch {
	case !current:
		return msg, ended(st.link.cell, st.id)
	case snapshot:
		return st.takeSnapshot(ctx)
	}
	for _, key := range slices.Sorted(maps.Keys(pending)) { // rendering takes its time: the loop must not wait for the lock
		pending[key].tell(&msg, key, st.patches)
	}
	return msg, nil
}

// takeSnapshot asks the loop for the whole table, so that no change slips
// between the table and what is merged from then on.
func (st *stream) takeSnapshot(ctx context.Context) (api.Message, error) {
	var msg api.Message
	var fragments []*flows.Fragment
	var gone error
	err := st.c.ask(ctx, func(s *State) {
		st.link.mu.Lock()
		defer st.link.mu.Unlock()
		if st.link.stream != st {
			gone = ended(st.link.cell, st.id)
			return
		}
		st.restart()
		st.snapshot = false
		st.revision, st.hash = s.Revision(), s.Hash(st.link.cell)
		msg = st.number(api.TypeSnapshot)
		if msg.Same = st.seq == 1 && st.holds == msg.Hash; !msg.Same {
			fragments = s.Fragments(st.link.cell)
		}
		msg.Stream = st.id
		if refused := s.Refused(st.link.cell); len(refused) > 0 || st.seq > 1 {
			msg.Refused = &refused
		}
		st.told = 0
		if s.Draining(st.link.cell) {
			st.say(&msg, new(true))
		}
	})
	if err = cmp.Or(gone, err); err != nil {
		return api.Message{}, err
	}
	msg.Set = make([]api.Fragment, 0, len(fragments))
	for _, f := range fragments {
		msg.Set = append(msg.Set, api.FragmentToWire(*f))
	}
	return msg, nil
}

// say makes a message tell whether the cell is to be drained; nil: nothing. The
// caller holds link.mu.
func (st *stream) say(msg *api.Message, draining *bool) {
	if draining == nil {
		return
	}
	msg.Draining, st.told = draining, 0
	if *draining {
		st.told = msg.Seq
	}
}

// number starts the next message of the stream. The caller holds link.mu.
func (st *stream) number(kind string) api.Message {
	st.seq++
	st.link.sent(st.seq)
	if st.marked.seq == 0 {
		st.marked = mark{st.seq, st.revision}
	}
	return api.Message{Type: kind, Seq: st.seq, Revision: uint64(st.revision), Hash: st.hash.String()}
}

// Close ends the stream. The cell's endpoints stay known: its containers run
// on, and the next hello says what became of them.
func (st *stream) Close() {
	st.link.mu.Lock()
	current := st.link.stream == st
	if current {
		st.end()
	}
	st.link.mu.Unlock()
	if current {
		st.c.log.Info("stream closed", "cell", st.link.cell, "stream", st.id)
		st.c.acked.fire() // who waits for connected cells waits for one less
	}
}

// end detaches the stream from its link. The caller holds link.mu.
func (st *stream) end() {
	st.link.stream = nil
	close(st.over)
	token(st.c.attended)
}
