package gormstore

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// older makes a database with the schema's first steps only.
func older(t *testing.T, db place, steps int) {
	t.Helper()
	all := migrations
	migrations = migrations[:steps]
	defer func() { migrations = all }()
	if err := open(t, db, options()).Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOlderDatabaseIsMigrated: what each version of the schema held is still
// there, and in use.
func TestOlderDatabaseIsMigrated(t *testing.T) {
	for steps := 1; steps < len(migrations); steps++ {
		t.Run(migrations[steps-1].id, func(t *testing.T) {
			onEach(t, func(t *testing.T, db place) {
				older(t, db, steps)
				hand(t, db, "INSERT INTO `groups` (id, app) VALUES (1, 'cats'), (2, 'dogs')",
					"INSERT INTO policies (id, source_group, destination_group, protocol, first_port, last_port, revision) VALUES (1, 1, 2, 6, 80, 80, 1)",
					`INSERT INTO changes VALUES (1, 1700000000123, 'ann', '{"groups":[{"group":1,"app":"cats"},{"group":2,"app":"dogs"}],"add":[{"id":1,"from":"cats","to":"dogs","from_group":1,"to_group":2,"protocol":6,"first":80,"last":80}]}'),`+
						` (2, 1700000000124, 'bob', '{')`,
					"UPDATE `lock` SET revision = 2, policy = 1",
					"INSERT INTO leases (cell, subnet, vtep) VALUES ('cell-1', '10.255.1.0/24', '192.0.2.1')")
				if steps >= 3 { // which a controller of that step does itself
					hand(t, db, "UPDATE `lock` SET policies_revision = 2, policies_changed = 1700000000124000000",
						"INSERT INTO app_changes VALUES ('cats', 1), ('dogs', 1)")
				}
				if steps >= 4 { // and this too
					hand(t, db, fmt.Sprintf("UPDATE leases SET renewed_at = %d", options().Now().UnixMilli()))
				}
				s := open(t, db, options())
				last := migrations[len(migrations)-1].id
				if from, to := s.Migrated(); from != migrations[steps-1].id || to != last {
					t.Errorf("migrated from %s to %s", from, to)
				}
				snapshot := load(t, s)
				if got := groupsText(state(snapshot)); got != "[{1 0001 cats app 1 } {2 0002 dogs app 1 }]" || len(snapshot.Faults) != 0 {
					t.Errorf("groups %s, faults %v", got, snapshot.Faults)
				}
				if records, revision := state(snapshot).Records(); len(records) != 1 || records[0].Creator != "" || !records[0].Created.IsZero() || revision != 2 {
					t.Errorf("records %+v at %d", records, revision)
				}
				if got := marks(t, s); got.PoliciesChanged != 1700000000124_000_000 {
					t.Errorf("marks %+v", got)
				}
				renewals, err := s.Renewals(t.Context())
				if err != nil || len(renewals) != 1 || renewals[0].Cell != "cell-1" || !renewals[0].At.Equal(options().Now()) {
					t.Errorf("leases were renewed %+v, %v: those of before count from the migration on", renewals, err)
				}
				if got := audit(t, s, api.AuditQuery{App: "cats"}); !strings.HasPrefix(got, "1 ann +1") {
					t.Errorf("audit %s", got)
				}
				assign(t, s, "birds")
				if got := do(t, s, controller.FreeGroups{Groups: []flows.GroupID{1, 2, 3}}); got != 4 {
					t.Errorf("freeing is revision %d", got)
				}
				if from, to := reopen(t, s, db).Migrated(); from != last || to != last {
					t.Errorf("migrated again from %s to %s", from, to)
				}
			})
		})
	}
}

// TestHalfAMigration: MySQL keeps what a process that was killed had done of a
// step; the next one does the rest.
func TestHalfAMigration(t *testing.T) {
	for steps, m := range migrations {
		for done := 1; done <= len(m.statements); done += 6 {
			db := mariaDB(t)
			if steps > 0 {
				older(t, db, steps)
			} else {
				hand(t, db, "CREATE TABLE weft_migrations (id VARCHAR(255) PRIMARY KEY)")
			}
			d := dialect{shared: true, collation: "utf8mb4_nopad_bin"}
			for _, statement := range m.statements[:done] {
				hand(t, db, d.adapt(statement))
			}
			do(t, open(t, db, options()), controller.AddPolicies{Policies: []api.Policy{policy("cats", "dogs", 80)}})
		}
	}
}

// TestReplicasStartAtOnce on an empty server: one makes the schema, all come
// up, and their writes get along.
func TestReplicasStartAtOnce(t *testing.T) {
	const replicas, writes = 5, 10
	db := mariaDB(t)
	var all sync.WaitGroup
	for r := range replicas {
		all.Go(func() {
			s, err := Open(t.Context(), db.dsn, options())
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if !s.Shared() {
				t.Error("the store is not shared")
			}
			for i := range writes {
				p := policy(fmt.Sprintf("app-%d-%d", r, i), fmt.Sprintf("sink-%d", i), 80)
				if _, err := s.Write(t.Context(), controller.AddPolicies{Policies: []api.Policy{p}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s := open(t, db, options())
	final := state(load(t, s))
	if n := len(final.Policies()); n != replicas*writes {
		t.Errorf("%d policies", n)
	}
	changes, err := s.Changes(t.Context(), 0)
	if err != nil || len(changes) != replicas*writes {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}
