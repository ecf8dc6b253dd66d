package controller

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Two machines may have one cell's name and certificate: somebody cloned one of
// them. Both can work, would give out the addresses of one subnet, and take the
// tunnel's end from each other with every request. The first one stays: while it
// has a stream, nobody gets the lease for another VTEP. A cell whose host got
// another underlay address is let in when its old stream has ended; that a
// connection is dead is noticed by pings.

// ConnectedFrom is the Conflict of a cell that asks for its lease with another
// VTEP than the one from which it is connected. Or says when else it gets it.
func ConnectedFrom(cell flows.CellID, vtep netip.Addr, present, or string) error {
	return api.Conflict("vtep %s: cell %s is connected from %s: if these are two machines (one is a clone of the other), give one of them a cell and certificate of its own; if the cell's address has changed, it gets its lease when the old connection has ended, within half a minute%s",
		vtep, cell, present, or)
}

// mayMove refuses a cell that has a stream here from another VTEP.
func (c *Controller) mayMove(cell flows.CellID, vtep netip.Addr) error {
	l := c.link(cell)
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.stream
	if st == nil || st.vtep == vtep {
		return nil
	}
	if st.rival != vtep {
		st.rival = vtep
		c.log.Error("two machines ask for one cell's lease, or its address has changed", "cell", cell, "connected_from", st.vtep, "refused", vtep)
	}
	return ConnectedFrom(cell, vtep, st.vtep.String(), "")
}

// moved ends a stream from where the cell's lease is not any more: another
// replica gave it to another VTEP before it knew of this stream.
func (c *Controller) moved(to flows.Peer) {
	l := c.link(to.Cell)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil && l.stream.vtep != to.VTEP {
		l.stream.end()
	}
}

// quiet is how long after its last renewal a cell may be connected to another
// replica; 0: there is none.
func (c *Controller) quiet() time.Duration {
	if !c.store.Shared() {
		return 0
	}
	return quietIntervals * c.watch.interval
}

// attend tells the other replicas, by the database, which cells have a stream
// here, until ctx ends.
func (c *Controller) attend(ctx context.Context) {
	told := map[flows.CellID]string{}
	c.retry(ctx, c.attended, func() error {
		var came, left []flows.CellID
		open := c.streams()
		for cell, id := range open {
			if told[cell] != id {
				came = append(came, cell)
			}
		}
		for cell := range told {
			if open[cell] == "" {
				left = append(left, cell)
			}
		}
		if len(came) > 0 {
			if _, err := c.store.Write(ctx, RenewLeases{Cells: slices.Sorted(slices.Values(came)), Replica: c.replica}); err != nil {
				return err
			}
		}
		if len(left) > 0 {
			if _, err := c.store.Write(ctx, LeaveCells{Cells: slices.Sorted(slices.Values(left)), Replica: c.replica}); err != nil {
				return err
			}
		}
		told = open
		return nil
	}, "telling other controllers which cells are connected")
}

// streams lists the streams that are open here, by cell.
func (c *Controller) streams() map[flows.CellID]string {
	open := map[flows.CellID]string{}
	for _, l := range c.allLinks() {
		l.mu.Lock()
		if l.stream != nil {
			open[l.cell] = l.stream.id
		}
		l.mu.Unlock()
	}
	return open
}
