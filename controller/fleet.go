package controller

import (
	"context"

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
