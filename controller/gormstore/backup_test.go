package gormstore

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// TestBackupAndRestore: a copy that is made under writes is consistent at one
// revision, private, and brings that revision back; what it replaces is kept.
func TestBackupAndRestore(t *testing.T) {
	db := sqliteAt(file(t))
	s := open(t, db, options())
	do(t, s, change([]api.PolicySpec{spec(policy("cats", "dogs", 1), "one")}))
	var writing sync.WaitGroup
	stop := make(chan struct{})
	writing.Go(func() {
		for i := uint16(2); ; i++ {
			select {
			case <-stop:
				return
			default:
				do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", i), policy("dogs", "cats", i)}})
			}
		}
	})
	backup := filepath.Join(t.TempDir(), "weft.backup")
	err := Backup(t.Context(), db.dsn, backup)
	close(stop)
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v, %v", info.Mode(), err)
	}
	if err := Backup(t.Context(), db.dsn, backup); err == nil || !strings.Contains(err.Error(), "exists: a backup goes into a new file") {
		t.Errorf("a second backup into the same file: %v", err)
	}
	do(t, s, controller.RemovePolicies{Policies: []api.Policy{policy("cats", "dogs", 1)}})
	last := load(t, s)

	now := time.Now()
	if _, err := Restore(t.Context(), db.dsn, backup, now); err == nil || !strings.Contains(err.Error(), "another weft-controller has it open") {
		t.Errorf("restoring under a controller: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	aside, err := Restore(t.Context(), db.dsn, backup, now)
	if err != nil || aside == "" {
		t.Fatalf("aside %q, %v", aside, err)
	}
	s = open(t, db, options())
	restored := load(t, s)
	if records, _ := state(restored).Records(); len(records)%2 != 1 || records[0].Name != "one" || len(restored.Faults) != 0 {
		t.Errorf("%d policies at revision %d, faults %v", len(records), restored.Revision, restored.Faults)
	}
	if got := marks(t, s); got.PoliciesChanged < now.UnixNano() || got.Policies != last.Revision+1 || restored.Revision != last.Revision+1 {
		t.Errorf("the numbers do not go on: %+v, the last revision was %d", got, last.Revision)
	}
	changes, err := s.Changes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if records, _ := state(restored).Records(); len(records) != 2*len(changes)-1 {
		t.Errorf("%d policies and %d changes: they are not of one moment", len(records), len(changes))
	}
	do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("birds", "dogs", 1)}})
	if records, _ := state(load(t, s)).Records(); int(records[len(records)-1].ID) <= 2*int(last.Revision)-3 {
		t.Errorf("policy id %d was given before", records[len(records)-1].ID)
	}
	if kept := load(t, open(t, sqliteAt(aside), options())); !reflect.DeepEqual(kept, last) {
		t.Errorf("what was there is at revision %d, want %d", kept.Revision, last.Revision)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(backup), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// TestRestoreRefuses what is no backup, and leaves the database as it was.
func TestRestoreRefuses(t *testing.T) {
	db := sqliteAt(file(t))
	s := open(t, db, options())
	do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 1)}})
	before := load(t, s)
	backup := func(statements ...string) string {
		path := filepath.Join(t.TempDir(), "weft.backup")
		if err := Backup(t.Context(), db.dsn, path); err != nil {
			t.Fatal(err)
		}
		hand(t, sqliteAt(path), statements...)
		return path
	}
	text := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := backup()
	whole, err := os.ReadFile(broken)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "other.db")
	hand(t, sqliteAt(foreign), "CREATE TABLE customers (id INTEGER)")
	cases := map[string]string{
		text: "not a database", empty: "it is empty", broken: "no backup", foreign: "not weft's",
		backup("INSERT INTO weft_migrations (id) VALUES ('0099-from-the-future')"): "a newer weft-controller wrote it",
		backup("DELETE FROM lock"):            "lock row",
		filepath.Join(t.TempDir(), "nothing"): "no such file",
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range cases {
		if aside, err := Restore(t.Context(), db.dsn, path, time.Now()); err == nil || aside != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: aside %q, %v, want %s", filepath.Base(path), aside, err, want)
		}
	}
	if after := load(t, open(t, db, options())); !reflect.DeepEqual(before, after) {
		t.Errorf("the database is at revision %d, was at %d", after.Revision, before.Revision)
	}
	files, err := os.ReadDir(filepath.Dir(db.path))
	if names := fmt.Sprint(files); err != nil || strings.Contains(names, "weft.db.") && !strings.Contains(names, "weft.db.lock") {
		t.Errorf("left over: %v, %v", names, err)
	}
}

// TestRestoreIntoNothing: on a new machine there is no database to keep.
func TestRestoreIntoNothing(t *testing.T) {
	db, fresh := sqliteAt(file(t)), sqliteAt(file(t))
	do(t, open(t, db, options()), controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 1)}})
	backup := filepath.Join(t.TempDir(), "weft.backup")
	if err := Backup(t.Context(), db.dsn, backup); err != nil {
		t.Fatal(err)
	}
	if aside, err := Restore(t.Context(), fresh.dsn, backup, time.Now()); err != nil || aside != "" {
		t.Errorf("aside %q, %v", aside, err)
	}
	if got := state(load(t, open(t, fresh, options()))).Policies(); len(got) != 1 {
		t.Errorf("policies %v", got)
	}
	for _, dsn := range []string{"sqlite:///nowhere/weft.db", "mysql://u:p@host/weft"} {
		if err := Backup(t.Context(), dsn, backup+"2"); err == nil {
			t.Errorf("a backup of %s", dsn)
		}
	}
}
