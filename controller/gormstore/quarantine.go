package gormstore

import (
	"fmt"

	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// unnamed holds of an app's row of groups that no policy names. It is asked again in
// the transaction: who decided to free or release may not know the last policy.
const unnamed = "type = '" + controller.AppType + "' AND NOT EXISTS (SELECT 1 FROM policies WHERE source_group = `groups`.id)" +
	" AND NOT EXISTS (SELECT 1 FROM policies WHERE destination_group = `groups`.id)"

// freeGroups puts those group ids into quarantine that no policy names.
func (w *write) freeGroups(groups []flows.GroupID) error {
	for _, group := range groups {
		freed := w.tx.Model(&groupRow{}).Where("id = ? AND freed_revision = 0 AND "+unnamed, group).
			Updates(map[string]any{"freed_revision": w.lock.Revision + 1, "freed_at": w.now.UnixMilli()})
		if freed.Error != nil {
			return fmt.Errorf("freeing group id %d: %w", group, freed.Error)
		}
		if freed.RowsAffected == 0 {
			continue
		}
		var row groupRow
		if err := w.tx.Take(&row, "id = ?", group).Error; err != nil {
			return fmt.Errorf("freeing group id %d: %w", group, err)
		}
		w.did.Freed = append(w.did.Freed, groupBody{Group: row.ID, App: row.App})
	}
	return nil
}

// releaseGroups ends those stays in quarantine that still last.
func (w *write) releaseGroups(list []controller.Freed) error {
	for _, q := range list {
		var rows []groupRow
		if err := w.tx.Where("id = ? AND freed_revision = ? AND "+unnamed, q.Group, uint64(q.Revision)).Find(&rows).Error; err != nil {
			return fmt.Errorf("releasing group id %d: %w", q.Group, err)
		}
		for _, row := range rows {
			if err := w.tx.Delete(&groupRow{}, "id = ?", row.ID).Error; err != nil {
				return fmt.Errorf("releasing group id %d: %w", row.ID, err)
			}
			w.full = min(w.full, int(row.ID)-1)
			w.did.Released = append(w.did.Released, groupBody{Group: row.ID, App: row.App})
		}
	}
	return nil
}
