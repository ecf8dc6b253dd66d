package gormstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// Renewals lists when each lease that has not expired was renewed last.
func (s *Store) Renewals(ctx context.Context) ([]controller.Renewal, error) {
	rows, err := readLeases(s.db.WithContext(ctx))
	if err != nil {
		return nil, classify(err)
	}
	list := make([]controller.Renewal, 0, len(rows))
	for _, row := range rows {
		if row.State != expired {
			list = append(list, row.renewal())
		}
	}
	return list, nil
}

func (row leaseRow) renewal() controller.Renewal {
	return controller.Renewal{Cell: flows.CellID(row.Cell), At: time.UnixMilli(row.RenewedAt)}
}

// renewLeases notes that cells are there, and to whom they are connected.
func (w *write) renewLeases(cmd controller.RenewLeases) error {
	for some := range slices.Chunk(cmd.Cells, batch) {
		err := w.tx.Model(&leaseRow{}).Where("cell IN ? AND state <> ?", some, expired).
			Updates(map[string]any{"renewed_at": w.now.UnixMilli(), "replica": cmd.Replica}).Error
		if err != nil {
			return fmt.Errorf("renewing leases: %w", err)
		}
	}
	return nil
}

// leaveCells notes that cells are not connected to a replica any more. One that
// is connected to another by now stays so.
func (w *write) leaveCells(cmd controller.LeaveCells) error {
	for some := range slices.Chunk(cmd.Cells, batch) {
		err := w.tx.Model(&leaseRow{}).Where("cell IN ? AND replica = ?", some, cmd.Replica).Update("replica", "").Error
		if err != nil {
			return fmt.Errorf("noting that cells have left: %w", err)
		}
	}
	return nil
}

// expireLeases ends those leases that nobody has renewed since they were looked at.
// That of a cell that was to be drained is not kept for it.
func (w *write) expireLeases(list []controller.Renewal) error {
	rows, err := w.leases()
	if err != nil {
		return err
	}
	seen := make(map[flows.CellID]int64, len(list))
	for _, renewal := range list {
		seen[renewal.Cell] = renewal.At.UnixMilli()
	}
	for _, row := range rows {
		if at, is := seen[flows.CellID(row.Cell)]; !is || at != row.RenewedAt || row.State == expired {
			continue
		}
		drain, err := w.drain(flows.CellID(row.Cell))
		switch {
		case err != nil:
			return err
		case drain != nil:
			err = w.release(row, drained)
		default:
			err = w.expire(row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// expire keeps a lease for its cell, which is in no table meanwhile.
func (w *write) expire(row leaseRow) error {
	if err := w.tx.Model(&leaseRow{}).Where("cell = ?", row.Cell).Update("state", expired).Error; err != nil {
		return fmt.Errorf("expiring the lease of cell %s: %w", row.Cell, err)
	}
	w.did.Ended = append(w.did.Ended, endedBody{Cell: row.Cell, Subnet: row.Subnet, Why: unrenewed})
	return nil
}

// confirmReturns lets the other cells know the returning ones.
func (w *write) confirmReturns(cells []flows.CellID) error {
	for _, cell := range cells {
		done := w.tx.Model(&leaseRow{}).Where("cell = ? AND state = ?", cell, returning).Update("state", inForce)
		if done.Error != nil {
			return fmt.Errorf("confirming the return of cell %s: %w", cell, done.Error)
		}
		if done.RowsAffected > 0 {
			w.did.Returned = append(w.did.Returned, string(cell))
		}
	}
	return nil
}
