package controller

import (
	"cmp"
	"context"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Cells lists the cells that have a lease, in force or expired, and those that
// have been drained, by id.
func (c *Controller) Cells(ctx context.Context) (list []api.Cell, err error) {
	err = c.ask(ctx, func(s *State) {
		list = s.Cells()
		for i := range list {
			c.describe(&list[i], s.Revision())
		}
	})
	return list, err
}

// describe fills in what only the cell's link knows; without a lease in force it
// has none.
func (c *Controller) describe(cell *api.Cell, now api.Revision) {
	if l := c.link(flows.CellID(cell.Cell)); l != nil {
		l.describe(cell, now)
	}
}

// DrainCell has a cell start no more containers and lose its lease when its last
// one has ended; a lease that has expired, or does meanwhile, ends with the drain
// or the expiry, since nobody is there to confirm anything. It returns when that is durable; for a cell that is to be
// drained already it changes nothing. NotFound if there is no such cell.
func (c *Controller) DrainCell(ctx context.Context, cell flows.CellID, by string) (api.Revision, error) {
	return c.writeCell(ctx, cell, DrainCell{Cell: cell, By: by})
}

// UndrainCell takes back what DrainCell did, also of a cell that has been
// drained: it may ask for a lease again. NotFound if there is no such cell.
func (c *Controller) UndrainCell(ctx context.Context, cell flows.CellID, by string) (api.Revision, error) {
	return c.writeCell(ctx, cell, UndrainCell{Cell: cell, By: by})
}

// RemoveCell ends the lease of a cell that is dead. Conflict while it is
// connected, or may be to another controller. NotFound if there is no such cell.
func (c *Controller) RemoveCell(ctx context.Context, cell flows.CellID, by string) (api.Revision, error) {
	cmd := RemoveCell{Cell: cell, By: by}
	if c.store.Shared() {
		cmd.Quiet = c.quiet()
		cmd.Silent = c.watch.silent(cell, cmd.Quiet)
	}
	if l := c.link(cell); l != nil {
		l.mu.Lock()
		connected := l.stream != nil
		l.mu.Unlock()
		if connected {
			return 0, api.Conflict("cell %s is connected: drain it (weft cells drain %s), or if its containers may lose the network stop its agent first", cell, cell)
		}
	}
	return c.writeCell(ctx, cell, cmd)
}

func (c *Controller) writeCell(ctx context.Context, cell flows.CellID, cmd Command) (api.Revision, error) {
	if err := api.CheckCell(cell); err != nil {
		return 0, err
	}
	return c.write(ctx, cmd)
}

// settle does what the agents' words make possible: cells that are in step after
// their return are announced to the others, and those that are drained lose
// their lease.
func (c *Controller) settle(ctx context.Context) {
	c.retry(ctx, c.unsettled, func() error {
		var returned, drained []flows.CellID
		if err := c.ask(ctx, func(s *State) { returned, drained = c.settled(s) }); err != nil {
			return err
		}
		for _, each := range []struct {
			cells []flows.CellID
			cmd   Command
			what  string
		}{
			{returned, ConfirmReturns{Cells: returned}, "cells are back"},
			{drained, ReleaseDrained{Cells: drained}, "cells are drained"},
		} {
			if len(each.cells) == 0 {
				continue
			}
			revision, err := c.write(ctx, each.cmd)
			if err != nil {
				return err
			}
			if revision != 0 {
				c.log.Info(each.what, "cells", each.cells, "revision", revision)
			}
		}
		return nil
	}, "ending drains and announcing cells that are back")
}

// settled lists the returning cells whose switches hold a table of this
// controller, and the cells that have acknowledged that they are to be drained
// and have no container left. Only the loop calls it, after the first
// acknowledgement of every stream: so it looks at few links.
func (c *Controller) settled(s *State) (returned, drained []flows.CellID) {
	for id, of := range s.cells {
		waits := s.Draining(id) && s.Empty(id)
		if !of.returning && !waits {
			continue
		}
		l := c.link(id)
		l.mu.Lock()
		st := l.stream
		if of.returning && st != nil && st.acked > 0 {
			returned = append(returned, id)
		}
		if waits && st != nil && st.drains() {
			drained = append(drained, id)
		}
		l.mu.Unlock()
	}
	slices.SortFunc(returned, cmp.Compare)
	slices.SortFunc(drained, cmp.Compare)
	return returned, drained
}
