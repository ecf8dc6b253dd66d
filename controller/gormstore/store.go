package gormstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"gorm.io/gorm"

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
	dialect
	db     *gorm.DB
	lock   *os.File      // of SQLite: held while this process uses the file
	turn   chan struct{} // a token: whose turn it is to write
	latest latest        // of the log, while nobody else writes
	full   int           // group ids 1 to full are taken: no free one is looked for there. For who has the turn
	from   string        // the schema's last step when it was opened; "": it was empty
}

// Open opens the database that dsn names (see ParseDSN), migrating it as
// needed, and SQLite's creating. It refuses one that is not ours, that a newer
// version wrote, or, SQLite's, that another controller has open.
func Open(ctx context.Context, dsn string, options Options) (*Store, error) {
	source, err := ParseDSN(dsn)
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
	if err := s.open(ctx, source); err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", source, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, source Source) error {
	var err error
	if source.mysql != nil {
		err = s.openMySQL(ctx, source.mysql)
	} else {
		err = s.openSQLite(source.Path)
	}
	if err != nil {
		return err
	}
	return s.exclusively(ctx, s.db, func(tx *gorm.DB) error {
		s.from, err = migrate(tx, s.dialect, s.Now())
		return err
	})
}

// Migrated returns the last step of the schema before Open brought it up to
// date, "" if the database was empty, and the last one now.
func (s *Store) Migrated() (from, to string) { return s.from, migrations[len(migrations)-1].id }

// Shared reports whether other processes write to the database, too.
func (s *Store) Shared() bool { return s.shared }

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
