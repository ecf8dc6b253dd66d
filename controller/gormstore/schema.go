package gormstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
		Type          string // only one of type "app" is ever freed
	}
	policyRow struct {
		ID                            uint64 `gorm:"primaryKey;autoIncrement:false"`
		SourceGroup, DestinationGroup uint16
		Protocol                      uint8 // IP protocol number
		FirstPort, LastPort           uint16
		Revision                      uint64 // of the change that added it
		Name, Description, SetName    string
		Labels                        *string // JSON; NULL: none
		Creator                       string
		Created                       int64 // Unix time, ms; 0: older than the record of it
	}
	leaseRow struct {
		Cell      string `gorm:"primaryKey"`
		Subnet    string // CIDR
		VTEP      string `gorm:"column:vtep"` // IPv4
		RenewedAt int64  // Unix time, ms
		State     string // inForce, expired or returning
		Replica   string // that said last that the cell has a stream there; "": none does
	}
	// drainRow is a cell that is to start no more containers, or that has been
	// drained: then it has no lease.
	drainRow struct {
		Cell    string `gorm:"primaryKey"`
		Drained int64  // when, Unix time, ms; 0: not yet
		Asked   int64  // for a lease, since then: the last time, or a little before
	}
	settingRow struct {
		Name  string `gorm:"primaryKey"`
		Value string // JSON
	}
	securityGroupRow struct {
		ID                             uint64 `gorm:"primaryKey;autoIncrement:false"`
		GUID                           string `gorm:"column:guid"`
		Name                           string
		Rules                          string // JSON
		StagingDefault, RunningDefault bool
		StagingSpaces, RunningSpaces   string // JSON
	}
	changeRow struct {
		Revision uint64 `gorm:"primaryKey;autoIncrement:false"`
		At       int64  // Unix time, ms
		By       string
		Body     string // JSON, see body
	}
	// appChangeRow finds the changes of an app's policies.
	appChangeRow struct {
		App      string `gorm:"primaryKey"`
		Revision uint64 `gorm:"primaryKey;autoIncrement:false"`
	}
	lockRow struct {
		ID                    uint8  `gorm:"primaryKey;autoIncrement:false"` // always 1
		Revision              uint64 // of the last change
		Policy                uint64 // last policy id given
		PoliciesRevision      uint64 // of the last change of a policy
		PoliciesChanged       int64  // see controller.Marks
		SecurityGroupsChanged int64
	}
)

func (groupRow) TableName() string         { return "groups" }
func (policyRow) TableName() string        { return "policies" }
func (leaseRow) TableName() string         { return "leases" }
func (drainRow) TableName() string         { return "drains" }
func (settingRow) TableName() string       { return "settings" }
func (securityGroupRow) TableName() string { return "security_groups" }
func (changeRow) TableName() string        { return "changes" }
func (appChangeRow) TableName() string     { return "app_changes" }
func (lockRow) TableName() string          { return "lock" }

// The statements are SQLite's; dialect.adapt makes MySQL's of them.
var migrations = []migration{
	{"0001-policies-groups-leases", []string{
		"CREATE TABLE `lock` (id INTEGER PRIMARY KEY, revision BIGINT NOT NULL, policy BIGINT NOT NULL)",
		"INSERT INTO `lock` (id, revision, policy) VALUES (1, 0, 0)",
		"CREATE TABLE `groups` (id INTEGER PRIMARY KEY, app VARCHAR(255) NOT NULL UNIQUE)",
		"CREATE TABLE policies (id BIGINT PRIMARY KEY, source_group INTEGER NOT NULL, destination_group INTEGER NOT NULL," +
			" protocol INTEGER NOT NULL, first_port INTEGER NOT NULL, last_port INTEGER NOT NULL, revision BIGINT NOT NULL," +
			" UNIQUE (source_group, destination_group, protocol, first_port, last_port))",
		"CREATE TABLE leases (cell VARCHAR(63) PRIMARY KEY, subnet VARCHAR(18) NOT NULL UNIQUE, vtep VARCHAR(15) NOT NULL UNIQUE)",
		"CREATE TABLE changes (revision BIGINT PRIMARY KEY, at BIGINT NOT NULL, `by` VARCHAR(255) NOT NULL, body TEXT NOT NULL)",
	}, nil},
	{"0002-quarantine-settings", []string{
		"ALTER TABLE `groups` ADD COLUMN freed_revision BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE `groups` ADD COLUMN freed_at BIGINT NOT NULL DEFAULT 0",
		"CREATE INDEX policies_by_destination ON policies (destination_group)",
		"CREATE TABLE settings (name VARCHAR(63) PRIMARY KEY, value TEXT NOT NULL)",
	}, nil},
	{"0003-descriptions-security-groups", []string{
		"ALTER TABLE `groups` ADD COLUMN type VARCHAR(255) NOT NULL DEFAULT 'app'",
		"ALTER TABLE policies ADD COLUMN name VARCHAR(255) NOT NULL DEFAULT ''",
		"ALTER TABLE policies ADD COLUMN description VARCHAR(1024) NOT NULL DEFAULT ''",
		"ALTER TABLE policies ADD COLUMN set_name VARCHAR(255) NOT NULL DEFAULT ''",
		"ALTER TABLE policies ADD COLUMN labels TEXT",
		"ALTER TABLE policies ADD COLUMN creator VARCHAR(255) NOT NULL DEFAULT ''",
		"ALTER TABLE policies ADD COLUMN created BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE `lock` ADD COLUMN policies_revision BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE `lock` ADD COLUMN policies_changed BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE `lock` ADD COLUMN security_groups_changed BIGINT NOT NULL DEFAULT 0",
		"UPDATE `lock` SET policies_revision = revision, policies_changed = (SELECT COALESCE(MAX(at), 0) * 1000000 FROM changes)",
		"CREATE TABLE security_groups (id BIGINT PRIMARY KEY, guid VARCHAR(255) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL," +
			" rules TEXT NOT NULL, staging_default INTEGER NOT NULL, running_default INTEGER NOT NULL," +
			" staging_spaces TEXT NOT NULL, running_spaces TEXT NOT NULL)",
		"CREATE TABLE app_changes (app VARCHAR(255) NOT NULL, revision BIGINT NOT NULL, PRIMARY KEY (app, revision))",
		"CREATE INDEX changes_by ON changes (`by`, revision)",
	}, func(tx *gorm.DB, now time.Time) error {
		if err := indexChanges(tx); err != nil {
			return err
		}
		return beginMarks(tx, now)
	}},
	{"0004-leases-end", []string{
		"ALTER TABLE leases ADD COLUMN renewed_at BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE leases ADD COLUMN state VARCHAR(15) NOT NULL DEFAULT ''",
		"CREATE TABLE drains (cell VARCHAR(63) PRIMARY KEY, drained BIGINT NOT NULL)",
	}, func(tx *gorm.DB, now time.Time) error {
		return tx.Exec("UPDATE leases SET renewed_at = ? WHERE renewed_at = 0", now.UnixMilli()).Error
	}},
	{"0005-drained-cells-ask", []string{
		"ALTER TABLE drains ADD COLUMN asked BIGINT NOT NULL DEFAULT 0",
	}, nil},
	{"0006-replicas-of-cells", []string{
		"ALTER TABLE leases ADD COLUMN replica VARCHAR(63) NOT NULL DEFAULT ''",
	}, nil},
}

// migration is one step of the schema: frozen statements, and what statements
// cannot do. Each must bear to be done again: MySQL keeps half a step of a
// process that was killed.
type migration struct {
	id         string
	statements []string
	then       func(*gorm.DB, time.Time) error // at what time
}

// step is the migration for gormigrate.
func (m migration) step(d dialect, now time.Time) *gormigrate.Migration {
	return &gormigrate.Migration{ID: m.id, Migrate: func(tx *gorm.DB) error {
		for _, statement := range m.statements {
			if err := tx.Exec(d.adapt(statement)).Error; err != nil && !d.done(err) {
				return err
			}
		}
		if m.then == nil {
			return nil
		}
		return m.then(tx, now)
	}}
}

// migrate brings the schema up to date. It returns its last step before; "" if
// there was none.
func migrate(db *gorm.DB, d dialect, now time.Time) (from string, err error) {
	had, err := history(db)
	if err != nil {
		return "", err
	}
	steps := make([]*gormigrate.Migration, 0, len(migrations))
	for _, m := range migrations {
		if had[m.id] {
			from = m.id
		}
		steps = append(steps, m.step(d, now))
	}
	options := *gormigrate.DefaultOptions
	options.TableName = migrationsTable
	options.UseTransaction = true
	options.ValidateUnknownMigrations = true
	err = gormigrate.New(db, &options, steps).Migrate()
	if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
		return "", errNewer
	}
	if err != nil {
		return "", fmt.Errorf("migrating the schema: %w", err)
	}
	return from, nil
}

var errNewer = fmt.Errorf("a newer weft-controller wrote it (its schema has steps after %s): run that version, or restore a backup from before the upgrade",
	migrations[len(migrations)-1].id)

// history returns the steps that a database has behind it. An error says that
// it is not ours.
func history(db *gorm.DB) (map[string]bool, error) {
	tables, err := db.Migrator().GetTables()
	if err != nil {
		return nil, err
	}
	if !db.Migrator().HasTable(migrationsTable) {
		if len(tables) > 0 {
			return nil, fmt.Errorf("it is not weft's: it has tables (%s, ...) but no %s", tables[0], migrationsTable)
		}
		return nil, nil
	}
	var ids []string
	if err := db.Table(migrationsTable).Pluck("id", &ids).Error; err != nil {
		return nil, fmt.Errorf("reading the schema's history: %w", err)
	}
	had := make(map[string]bool, len(ids))
	for _, id := range ids {
		had[id] = true
	}
	return had, nil
}

// beginMarks says that what has never changed did so now: for an agent that
// compares with what it has seen, 0 would never be news, and it would not ask
// for policies before the first one is made.
func beginMarks(tx *gorm.DB, now time.Time) error {
	for _, column := range []string{"policies_changed", "security_groups_changed"} {
		err := tx.Exec("UPDATE `lock` SET "+column+" = ? WHERE "+column+" = 0", now.UnixNano()).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// indexChanges fills app_changes from the log. Entries that cannot be read are
// passed over, as they are when the log is followed.
func indexChanges(tx *gorm.DB) error {
	type change struct {
		Revision uint64
		Body     string
	}
	for after := uint64(0); ; {
		var page []change
		if err := tx.Raw("SELECT revision, body FROM changes WHERE revision > ? ORDER BY revision LIMIT 200", after).Scan(&page).Error; err != nil || len(page) == 0 {
			return err
		}
		for _, c := range page {
			type policy struct{ From, To string }
			var did struct{ Add, Remove []policy }
			if json.Unmarshal([]byte(c.Body), &did) != nil {
				continue
			}
			seen := map[string]bool{}
			for _, p := range append(did.Add, did.Remove...) {
				for _, app := range []string{p.From, p.To} {
					if seen[app] {
						continue
					}
					seen[app] = true
					insert := "INSERT INTO app_changes (app, revision) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM app_changes WHERE app = ? AND revision = ?)"
					if err := tx.Exec(insert, app, c.Revision, app, c.Revision).Error; err != nil {
						return err
					}
				}
			}
		}
		after = page[len(page)-1].Revision
	}
}
