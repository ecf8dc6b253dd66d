package controller

import (
	"context"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// wait is for the switches that a revision concerns.
type wait struct {
	*Controller
	revision     api.Revision
	known        bool // the state has reached it; until then it may concern any cell
	disconnected bool // cells without a stream count, too
}

// WaitApplied waits for the acknowledgements of the cells whose tables
// revision changed, and returns those that are missing when ctx ends.
func (c *Controller) WaitApplied(ctx context.Context, revision api.Revision, disconnected bool) []flows.CellID {
	w := wait{Controller: c, revision: revision, known: c.follows(ctx, revision), disconnected: disconnected}
	for {
		owing := w.owing()
		if len(owing) == 0 {
			return nil
		}
		// One after the other: a thousand acknowledgements must not be a thousand
		// looks at a thousand cells.
		for _, l := range owing {
			if !w.paid(ctx, l) {
				return w.cells()
			}
		}
	}
}

// owing lists the cells that may lack what the revision changed.
func (w wait) owing() []*link {
	return slices.DeleteFunc(w.allLinks(), func(l *link) bool { return !w.owes(l) })
}

func (w wait) cells() (cells []flows.CellID) {
	for _, l := range w.owing() {
		cells = append(cells, l.cell)
	}
	slices.Sort(cells)
	return cells
}

// owes reports whether a cell that is still there may lack it.
func (w wait) owes(l *link) bool {
	l.mu.Lock()
	owes := (w.disconnected || l.stream != nil) && (!w.known || l.owes(w.revision))
	l.mu.Unlock()
	return owes && w.link(l.cell) == l // looked up last: of a thousand cells few owe anything
}

// paid waits until a cell does not owe it any more. False: ctx ended first.
func (w wait) paid(ctx context.Context, l *link) bool {
	for {
		acked := w.acked.next()
		if !w.owes(l) {
			return true
		}
		select {
		case <-acked:
		case <-ctx.Done():
			return false
		case <-w.stopped:
			return false
		}
	}
}
