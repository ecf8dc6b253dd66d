package gormstore

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // the driver "sqlite", without cgo
)

func (s *Store) openSQLite(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // SQLite would make it readable for all
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // one file, one lock, whatever it is called
		return err
	}
	if s.lock, err = claim(path); err != nil {
		return err
	}
	pool, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return err
	}
	s.db, err = gorm.Open(sqlite.Dialector{Conn: prepares(pool)}, &gorm.Config{
		SkipDefaultTransaction: true,
		Logger:                 logger.Discard, // errors are returned
	})
	return err
}

// dataSource is the driver's name for a file, whatever characters its path has.
func dataSource(path string) string {
	return fileURL(path) + "?" + url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"},
		"_txlock": {"immediate"}, // a transaction that reads first and writes then would fail at once when busy
	}.Encode()
}

func fileURL(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// claim takes the file lock that keeps a second controller from the database
// at path: it would never hear of this one's writes. The kernel frees it with
// the process.
func claim(path string) (*os.File, error) {
	path += ".lock"
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // the lock is what failed
		return nil, fmt.Errorf("another weft-controller has it open: stop that first (lock %s: %w)", path, err)
	}
	return file, nil
}
