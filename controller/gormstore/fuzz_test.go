package gormstore

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// edits are the cells that a broken hand writes to: of one row of each table,
// and of nothing that the policy of front and back needs.
var edits = []string{
	"policies SET source_group = ? WHERE id = 1", "policies SET destination_group = ? WHERE id = 1", "policies SET protocol = ? WHERE id = 1",
	"policies SET first_port = ? WHERE id = 1", "policies SET last_port = ? WHERE id = 1", "policies SET id = ? WHERE id = 1",
	"policies SET labels = ? WHERE id = 1", "policies SET name = ? WHERE id = 1", "policies SET created = ? WHERE id = 1", "policies SET creator = ? WHERE id = 1",
	"`groups` SET id = ? WHERE id = 1", "`groups` SET app = ? WHERE id = 1", "`groups` SET freed_revision = ? WHERE id = 1", "`groups` SET freed_at = ? WHERE id = 1", "`groups` SET type = ? WHERE id = 1",
	"leases SET cell = ? WHERE cell = 'cell-1'", "leases SET subnet = ? WHERE cell = 'cell-1'", "leases SET vtep = ? WHERE cell = 'cell-1'",
	"leases SET renewed_at = ?", "leases SET state = ?", "leases SET replica = ?", "drains SET cell = ?", "drains SET drained = ?",
	"settings SET name = ?", "settings SET value = ?",
	"security_groups SET id = ?", "security_groups SET guid = ?", "security_groups SET rules = ?", "security_groups SET staging_default = ?", "security_groups SET running_spaces = ?",
	"changes SET body = ? WHERE revision = 1", "changes SET at = ? WHERE revision = 1", "changes SET `by` = ? WHERE revision = 1",
}

// FuzzRows: whatever stands in one cell of the database, it is loaded, the
// policy that has nothing to do with it is served, and another can be added.
func FuzzRows(f *testing.F) {
	for i := range edits {
		for _, value := range []string{"", "banana", `{"a":`, "null"} {
			f.Add(uint8(i), value, int64(0), false)
		}
		for _, number := range []int64{-1, 2, 1 << 62} {
			f.Add(uint8(i), "", number, true)
		}
	}
	o := options()
	o.Log = slog.New(slog.DiscardHandler)
	s := open(f, sqliteAt(file(f)), o)
	for _, cmd := range []controller.Command{
		controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80)}},
		controller.AddPolicies{Policies: []api.Policy{policy("front", "back", 80)}},
		controller.GrantLease{Cell: "cell-1", VTEP: netip.MustParseAddr("192.0.2.1")},
		controller.GrantLease{Cell: "cell-2", VTEP: netip.MustParseAddr("192.0.2.2")},
		controller.DrainCell{Cell: "cell-2"},
		controller.SetLogging{Logging: api.Logging{Apps: []string{"cats"}}},
		controller.SetSecurityGroups{Groups: []api.SecurityGroup{{GUID: "g", Name: "n", Rules: "[]"}}},
	} {
		do(f, s, cmd)
	}
	tables := []string{"policies", "`groups`", "leases", "drains", "settings", "security_groups", "changes", "`lock`"}
	for i, table := range tables {
		raw(f, s, fmt.Sprintf("CREATE TABLE whole%d AS SELECT * FROM %s", i, table))
	}
	f.Fuzz(func(t *testing.T, which uint8, text string, number int64, isNumber bool) {
		for i, table := range tables {
			raw(t, s, "DELETE FROM "+table)
			raw(t, s, fmt.Sprintf("INSERT INTO %s SELECT * FROM whole%d", table, i))
		}
		var value any = text
		if isNumber {
			value = number
		}
		if s.db.Exec("UPDATE "+edits[int(which)%len(edits)], value).Error != nil {
			return // the database itself does not take it
		}
		served(t, s, 80)
		if _, err := s.Renewals(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := grant(t, s, 9, "192.0.2.9"); api.KindOf(err) == api.ErrUnavailable {
			t.Fatalf("a lease for another cell: %v", err)
		}
		if _, err := s.Changes(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		do(t, s, controller.AddPolicies{Policies: []api.Policy{policy("front", "back", 81)}})
		served(t, s, 81)
	})
}

func raw(t testing.TB, s *Store, statement string) {
	t.Helper()
	if err := s.db.Exec(statement).Error; err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// served fails the test unless front may connect to back on the port.
func served(t *testing.T, s *Store, port uint16) {
	t.Helper()
	for _, p := range state(load(t, s)).Policies() {
		if p.From == "front" && p.To == "back" && p.Ports == (flows.PortRange{First: port, Last: port}) {
			return
		}
	}
	t.Fatalf("front may no longer connect to back on %d", port)
}
