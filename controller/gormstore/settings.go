package gormstore

import (
	"encoding/json"
	"fmt"

	"gorm.io/gorm/clause"

	"github.com/weft-sdn/weft/api"
)

// loggingSetting is the row of settings that says whose accepted connections
// are logged, as api.Logging.
const loggingSetting = "logging"

// setLogging stores whose accepted connections are logged. logging is in
// canonical form: its apps sorted, each once.
func (w *write) setLogging(logging api.Logging) error {
	text, err := json.Marshal(logging)
	if err != nil {
		return err
	}
	row := settingRow{Name: loggingSetting, Value: string(text)}
	var rows []settingRow
	if err := w.tx.Where("name = ?", row.Name).Find(&rows).Error; err != nil {
		return fmt.Errorf("reading setting %s: %w", row.Name, err)
	}
	if len(rows) == 1 && rows[0] == row {
		return nil
	}
	if err := w.tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("storing setting %s: %w", row.Name, err)
	}
	w.did.Logging = &logging
	return nil
}
