package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	driver "github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

// dialect is what differs between the databases, beside how they are opened.
type dialect struct {
	shared    bool   // other processes may write, too: MySQL
	collation string // of MySQL's tables: ids differ by case and by blanks at the end
}

// adapt makes MySQL's statement of one of the schema's.
func (d dialect) adapt(statement string) string {
	if !d.shared {
		return statement
	}
	statement = strings.ReplaceAll(statement, " TEXT", " LONGTEXT")
	if strings.HasPrefix(statement, "CREATE TABLE ") {
		statement += " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE " + d.collation
	}
	return statement
}

// done reports whether a statement of the schema failed because it has been
// done: MySQL does not roll back what a killed process began.
func (d dialect) done(err error) bool {
	var refused *driver.MySQLError
	if !d.shared || !errors.As(err, &refused) {
		return false
	}
	switch refused.Number {
	case 1050, 1060, 1061, 1062: // table, column, key, row is there
		return true
	}
	return false
}

// snapshot are the options of a transaction that reads all tables as of one
// moment. SQLite's are always so.
func (d dialect) snapshot() *sql.TxOptions {
	if !d.shared {
		return nil
	}
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// exclusively runs f on one connection while no other process does: SQLite's
// file is locked already.
func (d dialect) exclusively(ctx context.Context, db *gorm.DB, f func(*gorm.DB) error) error {
	if !d.shared {
		return f(db.WithContext(ctx))
	}
	return db.WithContext(ctx).Connection(func(tx *gorm.DB) error {
		tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx})
		for got := 0; got != 1; {
			// The server frees the lock when the connection ends, however that comes about.
			if err := tx.Raw("SELECT COALESCE(GET_LOCK(CONCAT('weft-', MD5(DATABASE())), 10), 0)").Scan(&got).Error; err != nil {
				return err
			}
		}
		defer tx.Exec("DO RELEASE_LOCK(CONCAT('weft-', MD5(DATABASE())))")
		return f(tx)
	})
}
