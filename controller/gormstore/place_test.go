package gormstore

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/mariadb"
)

func TestMain(m *testing.M) { mariadb.Main(m) }

// place is an empty database for a test.
type place struct {
	dsn    string
	path   string          // of SQLite's file
	server *mariadb.Server // nil: SQLite
	schema string
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "a folder?#%", "weft.db") }

func sqliteAt(path string) place { return place{dsn: "sqlite://" + path, path: path} }

func mariaDB(t testing.TB) place {
	t.Helper()
	server, schema := mariadb.Schema(t)
	return place{dsn: server.DSN(schema), server: server, schema: schema}
}

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(*testing.T, place)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteAt(file(t))) })
	t.Run("mariadb", func(t *testing.T) { test(t, mariaDB(t)) })
}

func open(t testing.TB, db place, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), db.dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopen closes s and opens the same database again.
func reopen(t testing.TB, s *Store, db place) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, db, s.Options)
}

// hand edits the database behind the store's back.
func hand(t testing.TB, db place, statements ...string) {
	t.Helper()
	if db.server != nil {
		if err := db.server.Exec(db.schema, statements...); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(db.path), 0o750); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("sqlite", dataSource(db.path))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, statement := range statements {
		if _, err := pool.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// loosen takes types and constraints away, for values that no store writes.
func loosen(t testing.TB, db place) {
	t.Helper()
	if db.server == nil {
		hand(t, db, "CREATE TABLE loose AS SELECT * FROM policies", "DROP TABLE policies", "ALTER TABLE loose RENAME TO policies")
		return
	}
	hand(t, db, "CREATE TABLE loose AS SELECT * FROM policies", "DROP TABLE policies", "RENAME TABLE loose TO policies",
		"ALTER TABLE `groups` MODIFY freed_revision VARCHAR(20)", "ALTER TABLE security_groups MODIFY id VARCHAR(20)")
	for _, column := range []string{"id", "source_group", "destination_group", "protocol", "first_port", "last_port", "created"} {
		hand(t, db, "ALTER TABLE policies MODIFY "+column+" VARCHAR(20)")
	}
}

// fill gives the group ids from first to last to apps of their own, but one.
func fill(t testing.TB, db place, first, last, but int) {
	t.Helper()
	var rows []string
	for id := first; id <= last; id++ {
		if id != but {
			rows = append(rows, fmt.Sprintf("(%d, 'app-%d')", id, id))
		}
	}
	hand(t, db, "INSERT INTO `groups` (id, app) VALUES "+strings.Join(rows, ", "))
}
