package gormstore

import (
	"fmt"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// Why a lease ended: the values of endedBody.Why.
const (
	unrenewed = "expired"   // its subnet is kept for it
	reclaimed = "reclaimed" // after that another cell needed the subnet, or the VTEP
	replaced  = "replaced"  // the cell has one of the other kind
	drained   = "drained"   // it was to be, and its last container has ended, or its lease had expired
	removed   = "removed"   // somebody said that the cell is gone
)

// drain returns the row of a cell that is to be drained or has been, else nil.
func (w *write) drain(cell flows.CellID) (*drainRow, error) {
	var rows []drainRow
	if err := w.tx.Where("cell = ?", cell).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading drains: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// lease returns the row of a cell's lease, in force or expired, else nil.
func (w *write) lease(cell flows.CellID) (*leaseRow, error) {
	rows, err := w.leases()
	for i := range rows {
		if rows[i].Cell == string(cell) {
			return &rows[i], err
		}
	}
	return nil, err
}

// known returns what there is of a cell. NotFound: nothing.
func (w *write) known(cell flows.CellID) (*leaseRow, *drainRow, error) {
	lease, err := w.lease(cell)
	if err != nil {
		return nil, nil, err
	}
	drain, err := w.drain(cell)
	if err == nil && lease == nil && drain == nil {
		err = api.NotFound("there is no cell %q: weft cells shows those that there are", string(cell))
	}
	return lease, drain, err
}

// drainCell has a cell start no more containers. With an expired lease it is
// drained at once: it is in no table, nobody knows whether its agent will ever
// confirm a drain, and if it comes back it gets no lease.
func (w *write) drainCell(cell flows.CellID) error {
	lease, drain, err := w.known(cell)
	if err != nil {
		return err
	}
	if drain == nil {
		if err := w.tx.Create(&drainRow{Cell: string(cell)}).Error; err != nil {
			return fmt.Errorf("draining cell %s: %w", cell, err)
		}
		w.did.Drain = &drainBody{Cell: string(cell), On: true}
	}
	if lease != nil && lease.State == expired {
		return w.release(*lease, drained)
	}
	return nil
}

// undrainCell takes that back.
func (w *write) undrainCell(cell flows.CellID) error {
	_, drain, err := w.known(cell)
	if err != nil || drain == nil {
		return err
	}
	if err := w.tx.Delete(drain).Error; err != nil {
		return fmt.Errorf("taking back the drain of cell %s: %w", cell, err)
	}
	w.did.Drain = &drainBody{Cell: string(cell)}
	return nil
}

// releaseDrained ends the leases of those of the cells that are still to be drained.
func (w *write) releaseDrained(cells []flows.CellID) error {
	for _, cell := range cells {
		lease, drain, err := w.known(cell)
		switch {
		case api.KindOf(err) == api.ErrNotFound:
			continue // removed meanwhile
		case err != nil:
			return err
		case lease == nil || drain == nil:
			continue
		}
		if err := w.release(*lease, drained); err != nil {
			return err
		}
	}
	return nil
}

// removeCell forgets a cell. One whose lease was renewed a moment ago may be
// connected to another controller.
func (w *write) removeCell(cmd controller.RemoveCell) error {
	lease, drain, err := w.known(cmd.Cell)
	if err != nil {
		return err
	}
	if lease == nil {
		if err := w.mayForget(*drain); err != nil {
			return err
		}
		lease = &leaseRow{Cell: drain.Cell, State: expired}
	}
	if err := w.silent(*lease, cmd); err != nil {
		return err
	}
	if err := w.release(*lease, removed); err != nil {
		return err
	}
	if err := w.tx.Delete(&drainRow{}, "cell = ?", cmd.Cell).Error; err != nil {
		return fmt.Errorf("removing cell %s: %w", cmd.Cell, err)
	}
	return nil
}

// restless is how long after a drained cell has asked for a lease its agent may
// run still. An agent asks every few seconds.
const restless = 30 * time.Second

// refuseDrained refuses a lease, and notes that the cell asked.
func (w *write) refuseDrained(drain drainRow) error {
	if w.now.Sub(time.UnixMilli(drain.Asked)) >= restless/3 { // not at each request
		if err := w.tx.Model(&drain).Update("asked", w.now.UnixMilli()).Error; err != nil {
			return fmt.Errorf("noting that cell %s asks for a lease: %w", drain.Cell, err)
		}
	}
	return partly{api.Conflict("cell %s was drained at %s: `weft cells undrain %s` lets it in again", drain.Cell, timeText(drain.Drained), drain.Cell)}
}

// mayForget refuses to forget that a cell was drained while its agent runs: that
// would get a lease at once, as if somebody had let it in again.
func (w *write) mayForget(drain drainRow) error {
	heard := time.UnixMilli(max(drain.Drained, drain.Asked))
	if age := w.now.Sub(heard).Round(time.Second); age < restless {
		return api.Conflict("cell %s is drained, and its agent was heard of %v ago: it would have a lease again at once; stop the agent, and try again when %v have passed without it (weft cells undrain %s lets it in again)",
			drain.Cell, age, restless, drain.Cell)
	}
	return nil
}

// silent refuses to remove a cell that another controller may have connected. A
// renewal from the future has no age: it counts as old when who wants the cell
// removed has seen it stay what it is.
func (w *write) silent(lease leaseRow, cmd controller.RemoveCell) error {
	renewed := time.UnixMilli(lease.RenewedAt)
	age := w.now.Sub(renewed).Round(time.Second)
	switch {
	case lease.State == expired || cmd.Quiet == 0 || age >= cmd.Quiet || renewed.Equal(cmd.Silent):
		return nil
	case age < 0:
		return api.Conflict("cell %s: its lease was renewed by a clock that is %v ahead of this controller's, and another controller may have it connected: drain it (weft cells drain %s), or if it is dead try again when this controller has run for %v",
			cmd.Cell, -age, cmd.Cell, cmd.Quiet)
	}
	return api.Conflict("cell %s: its lease was renewed %v ago, so another controller may have it connected: drain it (weft cells drain %s), or if it is dead try again when %v have passed",
		cmd.Cell, age, cmd.Cell, cmd.Quiet-age)
}

// release ends a lease. A cell that was to be drained has been.
func (w *write) release(row leaseRow, why string) error {
	if err := w.tx.Delete(&leaseRow{}, "cell = ?", row.Cell).Error; err != nil {
		return fmt.Errorf("ending the lease of cell %s: %w", row.Cell, err)
	}
	err := w.tx.Model(&drainRow{}).Where("cell = ? AND drained = 0", row.Cell).Update("drained", w.now.UnixMilli()).Error
	if err != nil {
		return fmt.Errorf("ending the drain of cell %s: %w", row.Cell, err)
	}
	w.did.Ended = append(w.did.Ended, endedBody{Cell: row.Cell, Subnet: row.Subnet, Why: why})
	return nil
}

// timeText is a time of the database for people.
func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
