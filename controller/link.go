package controller

import (
	"sync"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// maxDebts bounds what is remembered one by one of a cell that does not
// acknowledge; older debts are folded into one that stands for all of them.
const maxDebts = 1024

// debt is a revision that changed a cell's table and that its switch is not
// known to hold.
type debt struct {
	revision api.Revision
	below    bool   // it stands for every earlier revision too
	seq      uint64 // the message that carries it; 0: not sent yet
}

// link is what the controller knows of one cell's agent. It outlives the
// agent's streams. Its lock is held for moments only, and never while waiting.
type link struct {
	cell flows.CellID

	mu        sync.Mutex
	stream    *stream // nil: not connected
	heard     bool    // its endpoints are known: it said hello since we started
	debts     []debt  // in the order of seq, unsent ones last
	confirmed api.Revision
	held      api.Revision // its switch holds the table as of this, endpoints included, or of later
	failure   string       // what its agent last could not apply
}

// newLink is a cell of which nothing is known but that it has a lease: its
// switch may hold what any earlier revision said.
func newLink(cell flows.CellID, at api.Revision) *link {
	return &link{cell: cell, debts: []debt{{revision: at, below: true}}}
}

// attach makes st the cell's stream and ends the one before it. A new stream
// has confirmed nothing: its snapshot, once acknowledged, confirms everything.
func (l *link) attach(st *stream, now api.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		l.stream.end()
	}
	l.stream, l.heard, l.failure = st, true, ""
	l.debts = []debt{{revision: now, below: true}}
}

// owe notes that the cell's table changed with a revision.
func (l *link) owe(revision api.Revision) {
	n := len(l.debts)
	switch {
	case n > 0 && l.debts[n-1].seq == 0 && l.debts[n-1].revision >= revision:
		return // to be sent with what is owed already
	case !l.heard && n == 1 && l.debts[0].below:
		l.debts[0].revision = max(l.debts[0].revision, revision) // anything may concern it
		return
	}
	l.debts = append(l.debts, debt{revision: revision})
	if len(l.debts) <= maxDebts {
		return
	}
	fold := debt{below: true}
	half := len(l.debts) / 2
	for _, d := range l.debts[:half] {
		fold.revision = max(fold.revision, d.revision)
		fold.seq = d.seq
	}
	l.debts = append([]debt{fold}, l.debts[half:]...)
}

// cover makes a wait for revision wait for everything that the cell owes now:
// a write that found its policies already there is applied when they are.
func (l *link) cover(revision api.Revision) {
	if len(l.debts) == 0 || l.owes(revision) {
		return
	}
	l.debts = append(l.debts, debt{revision: revision, seq: l.debts[len(l.debts)-1].seq})
}

// sent notes that message seq carries everything that was not sent before.
func (l *link) sent(seq uint64) {
	for i := len(l.debts) - 1; i >= 0 && l.debts[i].seq == 0; i-- {
		l.debts[i].seq = seq
	}
}

// paid notes that the switch holds everything up to message seq, the table as
// of revision. It reports whether that pays a debt.
func (l *link) paid(seq uint64, revision api.Revision) bool {
	n := 0
	for n < len(l.debts) && l.debts[n].seq != 0 && l.debts[n].seq <= seq {
		n++
	}
	l.debts = append([]debt(nil), l.debts[n:]...)
	switch {
	case len(l.debts) == 0:
		l.confirmed = max(l.confirmed, revision)
	case !l.debts[0].below:
		l.confirmed = max(l.confirmed, l.debts[0].revision-1)
	}
	return n > 0
}

// owes reports whether the switch may not yet hold what revision changed.
func (l *link) owes(revision api.Revision) bool {
	for _, d := range l.debts {
		if d.revision == revision || d.below && revision < d.revision {
			return true
		}
	}
	return false
}

// holds returns the revision whose table the switch is known to hold, or that
// of a later one. Unlike what is owed, this counts every change of the table,
// those of endpoints too. now is the State's revision: who has been told
// everything and has acknowledged it holds that, even if its table never
// changed. The caller holds mu.
func (l *link) holds(now api.Revision) api.Revision {
	if st := l.stream; st != nil && st.settled() {
		l.held = max(l.held, now)
	}
	return l.held
}

// describe fills in what only the link knows of a cell. What owes nothing is
// in step with the log, even where the log had nothing for it.
func (l *link) describe(c *api.Cell, now api.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Connected, c.Error, c.Applied = l.stream != nil, l.failure, uint64(l.confirmed)
	c.Behind = l.stream != nil && !l.stream.settled()
	if len(l.debts) == 0 {
		c.Applied = uint64(now)
	}
}
