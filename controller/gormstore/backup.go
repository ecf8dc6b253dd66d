package gormstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/weft-sdn/weft/controller"
)

// errServer says how a server is backed up: by its own tools.
var errServer = errors.New("backup and restore are for SQLite: for a MySQL server use its own tools, such as mariadb-dump --single-transaction")

// Backup copies the database that dsn names into a new file, consistent at one
// revision, while a controller may use it. The file appears complete, or not
// at all, and nobody but its owner may read it. One that exists is left alone.
func Backup(ctx context.Context, dsn, file string) error {
	source, err := ParseDSN(dsn)
	if err != nil {
		return err
	}
	if source.mysql != nil {
		return errServer
	}
	if _, err := os.Stat(source.Path); err != nil { // SQLite would make it
		return fmt.Errorf("database: %w", err)
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s exists: a backup goes into a new file", file)
	}
	return complete(file, func(part string) error {
		return withSQLite(ctx, source.Path, func(db *gorm.DB) error {
			if had, err := history(db); err != nil || had == nil {
				return errors.Join(fmt.Errorf("database %s: nothing of weft's is in it", source.Path), err)
			}
			return db.Exec("VACUUM INTO ?", part).Error
		})
	}, func(part string) error {
		err := os.Link(part, file) // never in place of another
		return errors.Join(err, os.Remove(part))
	})
}

// Restore puts a backup in the place of the database that dsn names, while no
// controller uses it: what is no backup of a version that we know is refused.
// It returns where the database that was there is kept; "" if there was none.
func Restore(ctx context.Context, dsn, file string, now time.Time) (aside string, err error) {
	source, err := ParseDSN(dsn)
	if err != nil {
		return "", err
	}
	if source.mysql != nil {
		return "", errServer
	}
	path := source.Path
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil { // as Open does
		path = real
	}
	lock, err := claim(path)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	err = complete(path, func(part string) error {
		if err := copyFile(file, part); err != nil {
			return err
		}
		if err := withSQLite(ctx, part, inspect); err != nil {
			return fmt.Errorf("%s is no backup: %w", file, err)
		}
		if err := goOn(ctx, part, path, now); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return nil
	}, func(part string) error {
		if aside, err = putAside(ctx, path, now); err != nil {
			return fmt.Errorf("keeping the database that is there: %w", err)
		}
		return os.Rename(part, path)
	})
	return aside, err
}

// complete makes a file next to its place, and has it put there when it is on
// the disk.
func complete(file string, fill, place func(part string) error) (err error) {
	made, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // 0600
	if err != nil {
		return err
	}
	part := made.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, remove(part))
		}
	}()
	if err := made.Close(); err != nil {
		return err
	}
	for _, do := range []func(string) error{fill, flush, place} {
		if err := do(part); err != nil {
			return err
		}
	}
	return flush(filepath.Dir(file))
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// flush brings a file or a folder to the disk.
func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// inspect accepts a sound database of ours, of any version: migrate refuses newer ones.
func inspect(db *gorm.DB) error {
	var verdict string
	if err := db.Raw("PRAGMA integrity_check(1)").Scan(&verdict).Error; err != nil || verdict != "ok" {
		return errors.Join(fmt.Errorf("it is not a sound database: %s", verdict), err)
	}
	had, err := history(db)
	switch {
	case err != nil:
		return err
	case had == nil:
		return errors.New("it is empty")
	}
	var row map[string]any // of any version
	if err := db.Table("lock").Take(&row, "id = 1").Error; err != nil {
		return fmt.Errorf("reading the lock row: %w", err)
	}
	return nil
}

// goOn makes the numbers of the backup at part go on after those of the
// database that it replaces: agents that compare when policies changed would
// take an older number for no change, and a revision or a policy's id that is
// given again would mean two things. It migrates the backup.
func goOn(ctx context.Context, part, path string, now time.Time) error {
	var old lockRow
	if _, err := os.Stat(path); err == nil {
		// One that cannot be read has no numbers to go on from.
		_ = withSQLite(ctx, path, func(db *gorm.DB) error { return db.First(&old, 1).Error })
	}
	return withSQLite(ctx, part, func(db *gorm.DB) error {
		if _, err := migrate(db, dialect{}, now); err != nil {
			return err
		}
		var lock lockRow
		if err := db.First(&lock, 1).Error; err != nil {
			return fmt.Errorf("reading the lock row: %w", err)
		}
		lock.Revision = max(lock.Revision, old.Revision) + 1
		lock.Policy = max(lock.Policy, old.Policy)
		lock.PoliciesRevision = lock.Revision
		lock.PoliciesChanged = controller.Later(max(lock.PoliciesChanged, old.PoliciesChanged), now)
		lock.SecurityGroupsChanged = controller.Later(max(lock.SecurityGroupsChanged, old.SecurityGroupsChanged), now)
		return db.Save(&lock).Error
	})
}

// putAside gives the database at path another name too, with all that belongs
// to it, and leaves nothing that SQLite would add to the next one.
func putAside(ctx context.Context, path string, now time.Time) (aside string, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	// To open a database folds its write-ahead log in. One that is broken keeps it.
	_ = withSQLite(ctx, path, func(db *gorm.DB) error { return db.Exec("PRAGMA wal_checkpoint(TRUNCATE)").Error })
	aside = path + now.UTC().Format(".20060102T150405Z")
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, os.Link(path, aside)
}

// withSQLite opens the file for f, with none of a store's rights: no lock, and
// no change of how the file keeps its journal.
func withSQLite(ctx context.Context, path string, f func(*gorm.DB) error) (err error) {
	db, err := gorm.Open(sqlite.Dialector{DriverName: "sqlite", DSN: fileURL(path) + "?_pragma=busy_timeout(10000)"},
		&gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return f(db.WithContext(ctx))
}
