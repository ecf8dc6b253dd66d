package memory

import (
	"context"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Cells returns the field. Of a cell that is to be drained one container has
// ended each time.
func (c *Controller) Cells(context.Context) ([]api.Cell, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.Clone(c.Cellular)
	for i, cell := range c.Cellular {
		switch {
		case cell.State != api.CellDraining || !cell.Connected:
		case cell.Endpoints > 0:
			c.Cellular[i].Endpoints--
		default:
			c.Cellular[i] = api.Cell{Cell: cell.Cell, State: api.CellDrained}
		}
	}
	return list, c.Failure
}

// DrainCell says so in the field; a lease that has expired ends with it.
func (c *Controller) DrainCell(_ context.Context, cell flows.CellID, _ string) (api.Revision, error) {
	return c.changeCell(cell, func(i int) error {
		switch c.Cellular[i].State {
		case api.CellDrained:
		case api.CellExpired:
			c.Cellular[i] = api.Cell{Cell: string(cell), State: api.CellDrained}
		default:
			c.Cellular[i].State = api.CellDraining
		}
		return nil
	})
}

// UndrainCell says so in the field; a cell that has been drained is not in it any
// more.
func (c *Controller) UndrainCell(_ context.Context, cell flows.CellID, _ string) (api.Revision, error) {
	return c.changeCell(cell, func(i int) error {
		if c.Cellular[i].State == api.CellDrained {
			c.Cellular = slices.Delete(c.Cellular, i, i+1)
			return nil
		}
		c.Cellular[i].State = ""
		return nil
	})
}

// RemoveCell takes a cell that is away out of the field.
func (c *Controller) RemoveCell(_ context.Context, cell flows.CellID, _ string) (api.Revision, error) {
	return c.changeCell(cell, func(i int) error {
		if c.Cellular[i].Connected {
			return api.Conflict("cell %s is connected", cell)
		}
		c.Cellular = slices.Delete(c.Cellular, i, i+1)
		return nil
	})
}

func (c *Controller) changeCell(cell flows.CellID, change func(int) error) (api.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.Cellular, func(x api.Cell) bool { return x.Cell == string(cell) })
	if i < 0 {
		return 0, api.NotFound("there is no cell %q", string(cell))
	}
	if err := change(i); err != nil {
		return 0, err
	}
	c.revision++
	return c.revision, c.Failure
}
