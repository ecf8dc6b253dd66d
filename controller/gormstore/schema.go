package gormstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
)

// migrationsTable names our schema's history; a database with other tables but
// without this one is somebody else's.
const migrationsTable = "weft_migrations"

// The rows as the code uses them now. Migrations below keep their own, frozen
// copies, so that an old migration does the same forever.
type (
	groupRow struct {
		ID            uint16 `gorm:"primaryKey;autoIncrement:false"` // = tun_gbp_id
		App           string
		FreedRevision uint64 // of the change that put it into quarantine; 0: in use
		FreedAt       int64  // when, Unix time, ms
	}
	policyRow struct {
		ID                            uint64 `gorm:"primaryKey;autoIncrement:false"`
		SourceGroup, DestinationGroup uint16
		Protocol                      uint8 // IP protocol number
		FirstPort, LastPort           uint16
		Revision                      uint64 // of the change that added it
	}
	leaseRow struct {
		Cell   string `gorm:"primaryKey"`
		Subnet string // CIDR
		VTEP   string `gorm:"column:vtep"` // IPv4
	}
	settingRow struct {
		Name  string `gorm:"primaryKey"`
		Value string // JSON
	}
	changeRow struct {
		Revision uint64 `gorm:"primaryKey;autoIncrement:false"`
		At       int64  // Unix time, ms
		By       string
		Body     string // JSON, see body
	}
	lockRow struct {
		ID       uint8  `gorm:"primaryKey;autoIncrement:false"` // always 1
		Revision uint64 // of the last change
		Policy   uint64 // last policy id given
	}
)

func (groupRow) TableName() string   { return "groups" }
func (policyRow) TableName() string  { return "policies" }
func (leaseRow) TableName() string   { return "leases" }
func (settingRow) TableName() string { return "settings" }
func (changeRow) TableName() string  { return "changes" }
func (lockRow) TableName() string    { return "lock" }

var migrations = []*gormigrate.Migration{
	step("0001-policies-groups-leases",
		"CREATE TABLE `lock` (id INTEGER PRIMARY KEY, revision BIGINT NOT NULL, policy BIGINT NOT NULL)",
		"INSERT INTO `lock` (id, revision, policy) VALUES (1, 0, 0)",
		"CREATE TABLE `groups` (id INTEGER PRIMARY KEY, app VARCHAR(255) NOT NULL UNIQUE)",
		"CREATE TABLE policies (id BIGINT PRIMARY KEY, source_group INTEGER NOT NULL, destination_group INTEGER NOT NULL,"+
			" protocol INTEGER NOT NULL, first_port INTEGER NOT NULL, last_port INTEGER NOT NULL, revision BIGINT NOT NULL,"+
			" UNIQUE (source_group, destination_group, protocol, first_port, last_port))",
		"CREATE TABLE leases (cell VARCHAR(63) PRIMARY KEY, subnet VARCHAR(18) NOT NULL UNIQUE, vtep VARCHAR(15) NOT NULL UNIQUE)",
		"CREATE TABLE changes (revision BIGINT PRIMARY KEY, at BIGINT NOT NULL, `by` VARCHAR(255) NOT NULL, body TEXT NOT NULL)",
	),
	step("0002-quarantine-settings",
		"ALTER TABLE `groups` ADD COLUMN freed_revision BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE `groups` ADD COLUMN freed_at BIGINT NOT NULL DEFAULT 0",
		"CREATE INDEX policies_by_destination ON policies (destination_group)",
		"CREATE TABLE settings (name VARCHAR(63) PRIMARY KEY, value TEXT NOT NULL)",
	),
}

// step is a migration of frozen statements.
func step(id string, statements ...string) *gormigrate.Migration {
	return &gormigrate.Migration{ID: id, Migrate: func(tx *gorm.DB) error {
		for _, statement := range statements {
			if err := tx.Exec(statement).Error; err != nil {
				return err
			}
		}
		return nil
	}}
}

// migrate brings the schema up to date, all in one transaction.
func (s *Store) migrate(ctx context.Context) error {
	db := s.db.WithContext(ctx)
	tables, err := db.Migrator().GetTables()
	if err != nil {
		return err
	}
	if len(tables) > 0 && !db.Migrator().HasTable(migrationsTable) {
		return fmt.Errorf("it is not weft's: it has tables (%s, ...) but no %s", tables[0], migrationsTable)
	}
	options := *gormigrate.DefaultOptions
	options.TableName = migrationsTable
	options.UseTransaction = true
	options.ValidateUnknownMigrations = true
	err = gormigrate.New(db, &options, migrations).Migrate()
	if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
		return fmt.Errorf("a newer weft-controller wrote it (its schema has steps after %s): run that version, or restore a backup from before the upgrade", migrations[len(migrations)-1].ID)
	}
	if err != nil {
		return fmt.Errorf("migrating the schema: %w", err)
	}
	return nil
}
