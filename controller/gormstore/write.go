package gormstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// write is one transaction under way.
type write struct {
	*Store
	tx   *gorm.DB
	lock lockRow
	now  time.Time // whole milliseconds, as the log keeps it
	free freeIDs
	// What allocate did and storeGroups stores: new rows, and the ids of those
	// that leave their quarantine.
	given    []groupRow
	regained []uint16
	did      body
}

// Write does all that the command says or nothing, and returns when it is
// durable. Zero: nothing had to change, and nothing was logged.
func (s *Store) Write(ctx context.Context, cmd controller.Command) (api.Revision, error) {
	select { // writers queue here, in order and without polling, not at SQLite's lock
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	}
	var logged changeRow
	var partial error // what could not be done, beside what was
	full := 0
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		w := &write{Store: s, tx: tx, now: time.UnixMilli(s.Now().UnixMilli())}
		if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).First(&w.lock, 1).Error; err != nil {
			return fmt.Errorf("taking the lock row: %w", err)
		}
		by, err := w.run(cmd)
		if errors.As(err, new(partly)) {
			partial = errors.Unwrap(err)
		} else if err != nil {
			return err
		}
		full = w.free.next - 1
		logged, err = w.log(by)
		return err
	})
	if err != nil {
		s.latest.forget() // it may have been made all the same
		return 0, classify(err)
	}
	s.full = max(s.full, full)
	if logged.Revision != 0 && !s.shared {
		s.latest.keep(s.change(logged))
	}
	return api.Revision(logged.Revision), partial
}

// partly is an error of a command that did a part, and wants it kept.
type partly struct{ error }

// Unwrap returns what could not be done.
func (p partly) Unwrap() error { return p.error }

func (w *write) run(cmd controller.Command) (by string, err error) {
	switch cmd := cmd.(type) {
	case controller.AddPolicies:
		return cmd.Order.By, w.changePolicies(changes{add: plain(cmd.Policies), order: cmd.Order})
	case controller.RemovePolicies:
		return cmd.Order.By, w.changePolicies(changes{remove: cmd.Policies, order: cmd.Order})
	case controller.ChangePolicies:
		return cmd.Order.By, w.changePolicies(changes{add: cmd.Add, remove: cmd.Remove, describe: true, order: cmd.Order})
	case controller.AssignGroups:
		return "controller", w.assignGroups(cmd.Apps)
	case controller.FreeGroups:
		return "controller", w.freeGroups(cmd.Groups)
	case controller.ReleaseGroups:
		return "controller", w.releaseGroups(cmd.Groups)
	case controller.AssignTag:
		return cmd.By, w.assignTag(cmd.ID, cmd.Type)
	case controller.SetSecurityGroups:
		return cmd.By, w.setSecurityGroups(cmd.Groups)
	case controller.SetLogging:
		return cmd.By, w.setLogging(cmd.Logging)
	}
	return w.runLease(cmd)
}

// runLease runs a command about leases.
func (w *write) runLease(cmd controller.Command) (by string, err error) {
	switch cmd := cmd.(type) {
	case controller.GrantLease:
		return string(cmd.Cell), w.grantLease(cmd)
	case controller.RenewLeases:
		return "controller", w.renewLeases(cmd)
	case controller.LeaveCells:
		return "controller", w.leaveCells(cmd)
	case controller.ExpireLeases:
		return "controller", w.expireLeases(cmd.Leases)
	case controller.ConfirmReturns:
		return "controller", w.confirmReturns(cmd.Cells)
	case controller.ReleaseDrained:
		return "controller", w.releaseDrained(cmd.Cells)
	case controller.DrainCell:
		return cmd.By, w.drainCell(cmd.Cell)
	case controller.UndrainCell:
		return cmd.By, w.undrainCell(cmd.Cell)
	case controller.RemoveCell:
		return cmd.By, w.removeCell(cmd)
	}
	return "", fmt.Errorf("unknown command %T", cmd)
}

// log numbers what was done and appends it to the change log. Revision 0:
// nothing was.
func (w *write) log(by string) (none changeRow, err error) {
	if w.did.empty() {
		return none, nil
	}
	text, err := w.did.encode()
	if err != nil {
		return none, err
	}
	w.lock.Revision++
	apps := w.did.apps()
	if len(apps) > 0 {
		w.lock.PoliciesRevision = w.lock.Revision
		w.lock.PoliciesChanged = controller.Later(w.lock.PoliciesChanged, w.now)
	}
	if len(w.did.SecurityGroups) > 0 || len(w.did.NoSecurityGroups) > 0 {
		w.lock.SecurityGroupsChanged = controller.Later(w.lock.SecurityGroupsChanged, w.now)
	}
	if err := w.tx.Save(&w.lock).Error; err != nil {
		return none, fmt.Errorf("numbering the change: %w", err)
	}
	row := changeRow{Revision: w.lock.Revision, At: w.now.UnixMilli(), By: by, Body: text}
	if err := w.tx.Create(&row).Error; err != nil {
		return none, fmt.Errorf("appending to the change log: %w", err)
	}
	rows := make([]appChangeRow, 0, len(apps))
	for _, app := range apps {
		rows = append(rows, appChangeRow{App: app, Revision: row.Revision})
	}
	if len(rows) > 0 {
		// One that is there, if a hand has edited the log, does for this change, too.
		if err := w.tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, batch).Error; err != nil {
			return none, fmt.Errorf("noting the apps of the change: %w", err)
		}
	}
	return row, nil
}

// classify gives an error of the database itself its kind: it may pass.
func classify(err error) error {
	var known *api.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return api.Unavailable("database: %w", err)
}
