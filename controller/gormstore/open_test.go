package gormstore

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// TestNames: the database's name is checked before anything is made, and no
// error or log shows the password.
func TestNames(t *testing.T) {
	for dsn, want := range map[string]string{
		"sqlite:///var/lib/weft.db":                           "/var/lib/weft.db",
		"mysql://u:secret@db.example/weft":                    "mysql://u@tcp(db.example:3306)/weft",
		"mysql://u:sec%3F:r/e@t@[::1]:3307/weft?tls=true":     "mysql://u@tcp([::1]:3307)/weft",
		"mysql://u:secret@[fd00::1]/weft":                     "mysql://u@tcp([fd00::1]:3306)/weft",
		"mysql://u%40h:secret@unix(/run/my.sock)/weft":        "mysql://u@h@unix(/run/my.sock)/weft",
		"mysql://u:secret@localhost/weft?socket=/run/my.sock": "mysql://u@unix(/run/my.sock)/weft",
		"sqlite://weft.db":                                    "error: want sqlite:///absolute",
		"/var/lib/weft.db":                                    "error: want sqlite://",
		"":                                                    "error: want sqlite://",
		"mysql://db.example/weft":                             "error: want sqlite:///absolute/path or mysql://user:password@host:3306/database: it names no user",
		"mysql://:secret@db.example/weft":                     "error: the user's name",
		"mysql://u:100%secret@db.example/weft":                `error: a "%" in it`,
		"mysql://u:secret@db.example":                         "error: names no database",
		"mysql://u:secret@db.example/":                        "error: names no database",
		"mysql://u:secret@/weft":                              "error: names no host",
		"mysql://u:secret@unix(run)/weft":                     `error: socket "run" is not`,
		"mysql://u:secret@db.example/weft?tls=maybe":          `error: tls "maybe"`,
		"mysql://u:secret@db.example/weft?charset=latin1":     `error: no parameter is called "charset"`,
		"mysql://u:secret@db.example/weft?%zz":                "error: key=value",
	} {
		source, err := ParseDSN(dsn)
		got := source.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		text, fails := strings.CutPrefix(want, "error: ")
		if fails && (err == nil || !strings.Contains(got, text)) || !fails && got != want || strings.Contains(got, "sec") {
			t.Errorf("%q: %s, want %s", dsn, got, want)
		}
	}
}

// TestFileIsPrivate: nobody else on the host reads policies.
func TestFileIsPrivate(t *testing.T) {
	path := file(t)
	s := open(t, sqliteAt(path), options())
	do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80)}})
	files, err := filepath.Glob(strings.NewReplacer("?", `\?`).Replace(path) + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f, info.Mode(), err)
		}
	}
}

// TestDurability: the pragmas that the promise of Write rests on are in force
// on every connection.
func TestDurability(t *testing.T) {
	s := open(t, sqliteAt(file(t)), options())
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000"} {
		var got string
		if err := s.db.Raw("PRAGMA " + pragma).Scan(&got).Error; err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
}

// TestOneControllerPerFile: a second one would never hear of the first one's writes.
func TestOneControllerPerFile(t *testing.T) {
	path := file(t)
	s := open(t, sqliteAt(path), options())
	link := path + "-by-another-name"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if _, err := Open(t.Context(), "sqlite://"+name, options()); err == nil || !strings.Contains(err.Error(), "another weft-controller") {
			t.Errorf("a second store at %s: %v", name, err)
		}
	}
	reopen(t, s, sqliteAt(path))
}

// TestForeignDatabase and a newer one are refused, and not touched.
func TestForeignDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		hand(t, db, "CREATE TABLE customers (id INTEGER)")
		if _, err := Open(t.Context(), db.dsn, options()); err == nil || !strings.Contains(err.Error(), "not weft's: it has tables (customers") {
			t.Errorf("a foreign database: %v", err)
		}
		hand(t, db, "INSERT INTO customers VALUES (1)", "DROP TABLE customers")
		if err := open(t, db, options()).Close(); err != nil {
			t.Fatal(err)
		}
		hand(t, db, "INSERT INTO weft_migrations (id) VALUES ('0099-from-the-future')")
		if _, err := Open(t.Context(), db.dsn, options()); err == nil || !strings.Contains(err.Error(), "a newer weft-controller wrote it") {
			t.Errorf("a newer database: %v", err)
		}
	})
}

// TestNotADatabase: a file of something else is an error, not a new database.
func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database. ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "sqlite://"+path, options()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

// TestBrokenRows: each row that a hand broke is reported by table and key, and
// the rest is served as if it were not there.
func TestBrokenRows(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80)}})
		do(t, s, controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.1")})
		loosen(t, db)
		hand(t, db,
			"INSERT INTO policies (id, source_group, destination_group, protocol, first_port, last_port, revision) VALUES (2, NULL, 2, 6, 80, 80, 1), (3, 1, 77, 6, 80, 80, 1), (4, 1, 2, 1, 80, 80, 1),"+
				" (5, 1, 2, 6, 90, 80, 1), (6, 1, 2, 6, 0, 80, 1), (7, 1, 2, 6, 80, 'http', 1), ('x', 1, 2, 6, 80, 80, 1), (8, 1, 2, 6, 80, 70000, 1), (9, 2, 1, 17, 53, 53, 1)",
			"INSERT INTO policies (id, source_group, destination_group, protocol, first_port, last_port, revision, labels, created) VALUES (10, 2, 1, 17, 54, 54, 1, '{', 0), (11, 2, 1, 17, 55, 55, 1, NULL, 'noon')",
			"INSERT INTO security_groups (id, guid, name, rules, staging_default, running_default, staging_spaces, running_spaces) VALUES (1, '', 'a', '', 0, 0, '[]', '[]'), (0, 'b', 'b', '', 0, 0, '[]', '[]'), (3, 'c', 'c', '', 0, 0, '{', '[]'), (4, 'd', 'd', '[]', 1, 0, '[]', '[\"s\"]')",
			"INSERT INTO `groups` (id, app) VALUES (70000, 'far'), (0, 'zero')", "INSERT INTO `groups` (id, app, freed_revision, freed_at) VALUES (41, 'early', 999, 1), (42, 'never', 1, -5), (43, 'when', 'x', 1)",
			"INSERT INTO settings VALUES ('logging', '{'), ('colour', 'blue')",
			"INSERT INTO leases (cell, subnet, vtep) VALUES ('cell-2', 'nonsense', '192.0.2.2'), ('cell-3', '10.99.0.0/24', '192.0.2.3'), ('cell-4', '10.255.4.0/24', 'fd00::1'),"+
				" ('cell-5', '10.255.1.128/25', '192.0.2.5'), ('Cell 6', '10.255.6.0/24', '192.0.2.6'), ('cell-7', '10.255.7.0/24', '192.0.2.7')",
			"INSERT INTO leases (cell, subnet, vtep, state) VALUES ('cell-9', '10.255.9.0/24', '192.0.2.9', 'asleep')",
			"INSERT INTO drains (cell, drained) VALUES ('Cell 8', 0)",
		)
		s = reopen(t, s, db)
		snapshot := load(t, s)
		if len(snapshot.Faults) != 28 {
			t.Errorf("%d faults, want 28", len(snapshot.Faults))
		}
		var faults strings.Builder
		for _, fault := range snapshot.Faults {
			fmt.Fprintln(&faults, fault)
		}
		for _, want := range []string{
			`policies: id 2: source_group ""`, "policies: id 3: source_group 1 or destination_group 77 is no app's", "policies: id 4: protocol 1",
			"policies: id 5: first_port 90 is above last_port 80", `policies: id 6: first_port "0"`, `policies: id 7: last_port "http"`,
			`policies: id "x"`, `policies: id 8: last_port "70000"`, `groups: app "far": id "70000"`, `groups: app "zero"`, `groups: id 41: freed_revision "999"`, `groups: id 42: freed_at "-5"`, `groups: id 43: freed_revision "x"`,
			`policies: id 9: created ""`, "policies: id 10: labels: unexpected end", `policies: id 11: created "noon"`,
			"security_groups: id 1: it has no guid", `security_groups: "b": id "0"`, "security_groups: id 3: staging_spaces: unexpected",
			`settings: logging: unexpected end`, `settings: "colour": no such setting`,
			`leases: cell "cell-2"`, `leases: cell "cell-3": subnet 10.99.0.0/24: outside`, `leases: cell "cell-4": vtep "fd00::1"`,
			`leases: cell "cell-5": 10.255.1.128/25 at 192.0.2.5 collides with cell cell-1`, `leases: cell "Cell 6"`,
			`leases: cell "cell-9": state "asleep": it counts as in force`, `drains: cell id "Cell 8"`,
		} {
			if !strings.Contains(faults.String(), want) {
				t.Errorf("no fault says %q; they are:\n%s", want, faults.String())
			}
		}
		served := state(snapshot)
		if got := fmt.Sprint(served.Policies()); got != "[{1 cats dogs tcp {80 80}} {9 dogs cats udp {53 53}} {10 dogs cats udp {54 54}} {11 dogs cats udp {55 55}}]" {
			t.Errorf("policies %s", got)
		}
		if got := served.Cells(); len(got) != 3 || got[0].Cell != "cell-1" || got[1].Cell != "cell-7" || got[2].State != "" {
			t.Errorf("cells %v", got)
		}
		// Writing goes on among the ruins.
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "mice", 80)}})
		do(t, s, controller.GrantLease{Cell: "cell-8", VTEP: netip.MustParseAddr("192.0.2.8")})
		if _, err := s.Write(t.Context(), controller.GrantLease{Cell: "cell-3", VTEP: netip.MustParseAddr("192.0.2.3")}); api.KindOf(err) != api.ErrConflict {
			t.Errorf("a lease outside the network: %v", err)
		}
	})
}

// TestBrokenLogEntry: an entry that cannot be read is passed over; who follows
// does not stop there.
func TestBrokenLogEntry(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80)}})
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 81)}})
		hand(t, db, "UPDATE changes SET body = '{' WHERE revision = 1")
		if db.server == nil {
			hand(t, db, "UPDATE changes SET at = 'noon' WHERE revision = 2", "INSERT INTO changes VALUES ('x', 1, 'me', '{}')")
		}
		changes, err := s.Changes(t.Context(), 0)
		if err != nil || len(changes) != 2 || len(changes[0].Events) != 0 || len(changes[1].Events) != 1 {
			t.Errorf("changes %+v, %v", changes, err)
		}
	})
}

// TestHealth: a database without its lock row can take no write, and says so.
func TestHealth(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		s := open(t, db, options())
		if err := s.Healthy(t.Context()); err != nil {
			t.Fatal(err)
		}
		hand(t, db, "DELETE FROM `lock`")
		if err := s.Healthy(t.Context()); api.KindOf(err) != api.ErrUnavailable {
			t.Errorf("without the lock row: %v", err)
		}
		if _, err := s.Write(t.Context(), controller.AssignGroups{Apps: []flows.AppID{"cats"}}); api.KindOf(err) != api.ErrUnavailable {
			t.Errorf("writing without the lock row: %v", err)
		}
	})
}
