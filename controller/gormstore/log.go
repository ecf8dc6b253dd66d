package gormstore

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// Changes reads what the log has after a revision, in its order. An entry that
// cannot be read is reported and stands for no change.
func (s *Store) Changes(ctx context.Context, after api.Revision) ([]controller.Change, error) {
	if changes, known := s.latest.after(after); known {
		return changes, nil
	}
	rows, err := s.entries(s.db.WithContext(ctx).Where("revision > ?", uint64(after)).Order("revision"))
	if err != nil {
		return nil, fmt.Errorf("reading the change log after revision %d: %w", after, err)
	}
	changes := make([]controller.Change, 0, len(rows))
	for _, row := range rows {
		changes = append(changes, s.change(row))
	}
	return changes, nil
}

// change reads a row of the log. One that is broken changes nothing.
func (s *Store) change(row changeRow) controller.Change {
	change := controller.Change{Revision: api.Revision(row.Revision), At: time.UnixMilli(row.At), By: row.By}
	if did, err := decodeBody(row.Body); err != nil {
		s.Log.Error("skipped a broken row of the change log", "revision", row.Revision, "error", err)
	} else if change.Events, err = did.events(row); err != nil {
		s.Log.Error("skipped a broken row of the change log", "revision", row.Revision, "error", err)
	}
	return change
}

// entries reads rows of the log. It trusts no value: a row whose revision makes
// no sense is passed over, and a time that makes none is 1970.
func (s *Store) entries(find *gorm.DB) ([]changeRow, error) {
	found, err := find.Table("changes").Select("changes.revision, changes.at, changes.`by`, changes.body").Rows()
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []changeRow
	for found.Next() {
		values, err := scan(found)
		if err != nil {
			return nil, err
		}
		row := changeRow{By: text(values[2]), Body: text(values[3])}
		if row.Revision, err = integer("revision", values[0], math.MaxInt64); err != nil {
			s.Log.Error("skipped a broken row of the change log", "error", err)
			continue
		}
		if row.At, err = strconv.ParseInt(text(values[1]), 10, 64); err != nil {
			s.Log.Error("the change log has an entry without a time", "revision", row.Revision, "error", err)
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}
