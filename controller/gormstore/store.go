package gormstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // the driver "sqlite", without cgo

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// MaxGroup is the highest group id: 16 bits of the VXLAN header.
const MaxGroup flows.GroupID = 65535

// Options are what the database needs to know to allocate.
type Options struct {
	Networks     []netip.Prefix // leases are cut out of these; never the first block of one
	SubnetPrefix int            // length of a lease in bits, longer than each network's
	MaxGroup     flows.GroupID  // 0: MaxGroup
	Log          *slog.Logger
	Quarantine   time.Duration    // of freed group ids: only for the error when ids run out
	Now          func() time.Time // nil: time.Now; stamps the log and the beginning of quarantines
}

// Store implements controller.Store. Its methods may be called from any
// goroutine; writes queue for the database's one writer.
type Store struct {
	Options
	db   *gorm.DB
	lock *os.File      // held while this process uses the file
	turn chan struct{} // a token: whose turn it is to write
	full int           // group ids 1 to full are taken: no free one is looked for there. For who has the turn
}

// Open opens the database that dsn names (sqlite:///absolute/path), creating
// and migrating it as needed. It refuses one that another controller has open,
// that is not ours, or that a newer version wrote.
func Open(ctx context.Context, dsn string, options Options) (*Store, error) {
	path, err := ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if options.MaxGroup == 0 {
		options.MaxGroup = MaxGroup
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Store{Options: options, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	if err := s.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, err), s.Close())
	}
	return s, nil
}

// ParseDSN returns the file that a database's name stands for.
func ParseDSN(dsn string) (path string, err error) {
	path, is := strings.CutPrefix(dsn, "sqlite://")
	switch {
	case strings.HasPrefix(dsn, "mysql://"):
		return "", fmt.Errorf("this version stores in SQLite only: want sqlite:///absolute/path")
	case !is, !filepath.IsAbs(path):
		return "", fmt.Errorf("want sqlite:///absolute/path")
	}
	return filepath.Clean(path), nil
}

func (s *Store) open(ctx context.Context, path string) error {
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
	if err := s.claim(path + ".lock"); err != nil {
		return err
	}
	s.db, err = gorm.Open(sqlite.Dialector{DriverName: "sqlite", DSN: dataSource(path)}, &gorm.Config{
		SkipDefaultTransaction: true,
		PrepareStmt:            true,
		Logger:                 logger.Discard, // errors are returned
	})
	if err != nil {
		return err
	}
	return s.migrate(ctx)
}

// dataSource is the driver's name for a file, whatever characters its path has.
func dataSource(path string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + url.Values{
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"},
		"_txlock": {"immediate"}, // a transaction that reads first and writes then would fail at once when busy
	}.Encode()
}

// claim takes the file lock that keeps a second controller from the database:
// it would never hear of this one's writes. The kernel frees it with the process.
func (s *Store) claim(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	s.lock = file
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another weft-controller has it open (lock %s): %w", path, err)
	}
	return nil
}

// Close closes the database. What Write returned is durable without it.
func (s *Store) Close() error {
	var errs []error
	if s.db != nil {
		if db, err := s.db.DB(); err == nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Healthy reports whether the database answers.
func (s *Store) Healthy(ctx context.Context) error {
	if err := s.db.WithContext(ctx).First(&lockRow{}, 1).Error; err != nil {
		return api.Unavailable("database: reading the lock row: %w", err)
	}
	return nil
}
