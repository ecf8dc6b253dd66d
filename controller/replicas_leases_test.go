package controller_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// leased asks for a lease, and returns its subnet.
func leased(t *testing.T, c *controller.Controller, cell flows.CellID, request api.LeaseRequest) string {
	t.Helper()
	request.VTEP = "192.0.2." + strings.TrimPrefix(string(cell), "cell-")
	lease, err := c.Lease(t.Context(), cell, request)
	if err != nil {
		t.Fatalf("lease of %s: %v", cell, err)
	}
	return lease.Subnet
}

// eventually waits until a replica lists a cell so.
func eventually(t *testing.T, c *controller.Controller, cell, state string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		cells, err := c.Cells(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range cells {
			if x.Cell == cell && x.State == state {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not %q: %+v", cell, state, cells)
		}
	}
}

// TestReplicasKeepLeases: a cell has one lease, whichever replica it asks, at
// once; and over a restart of all of them.
func TestReplicasKeepLeases(t *testing.T) {
	server, schema := mariadb.Schema(t)
	had := map[flows.CellID]string{}
	for round := range 2 {
		one, stopOne := replicaOf(t, server.DSN(schema), overlay())
		two, stopTwo := replicaOf(t, server.DSN(schema), overlay())
		for i, cell := range []flows.CellID{"cell-1", "cell-2", "cell-3", "cell-4"} {
			first, second := one, two
			if i%2 == 1 {
				first, second = two, one
			}
			got := leased(t, first, cell, api.LeaseRequest{})
			if round > 0 && got != had[cell] {
				t.Errorf("after a restart of all replicas %s has %s, had %s", cell, got, had[cell])
			}
			had[cell] = got
			if other := leased(t, second, cell, api.LeaseRequest{Subnet: got, Containers: 1}); other != got {
				t.Errorf("%s has %s from one replica, %s from the other", cell, got, other)
			}
		}
		stopOne()
		stopTwo()
	}
	if len(had) != 4 || had["cell-1"] == had["cell-2"] {
		t.Errorf("leases %v", had)
	}
}

// TestDrainByAnotherReplica: who is asked writes it down, and who has the cell's
// stream does it.
func TestDrainByAnotherReplica(t *testing.T) {
	server, schema := mariadb.Schema(t)
	one, two := replica(t, server.DSN(schema)), replica(t, server.DSN(schema))
	leased(t, two, "cell-1", api.LeaseRequest{})
	st, err := two.Open(t.Context(), "cell-1", api.Hello{VTEP: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := st.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, one, "cell-1", "")
	if _, err := one.DrainCell(t.Context(), "cell-1", "ann"); err != nil {
		t.Fatal(err)
	}
	told, err := st.Next(t.Context())
	if err != nil || told.Draining == nil || !*told.Draining {
		t.Fatalf("the agent was told %+v, %v", told, err)
	}
	if err := two.Acknowledge(t.Context(), "cell-1", api.Applied{Stream: snapshot.Stream, Seq: told.Seq}); err != nil {
		t.Fatal(err)
	}
	eventually(t, two, "cell-1", api.CellDrained)
	eventually(t, one, "cell-1", api.CellDrained)
	if _, err := st.Next(t.Context()); !errors.Is(err, api.ErrGone) {
		t.Errorf("the stream ended with %v", err)
	}
	if _, err := one.Lease(t.Context(), "cell-1", api.LeaseRequest{VTEP: "192.0.2.1"}); !errors.Is(err, api.ErrConflict) {
		t.Errorf("a drained cell asks the other replica: %v", err)
	}
}

// TestRemoveThatAnotherReplicaServes: who has no stream of a cell cannot know
// that nobody has, but by its renewals.
func TestRemoveThatAnotherReplicaServes(t *testing.T) {
	server, schema := mariadb.Schema(t)
	lasting := overlay()
	lasting.LeaseExpiry = 7 * 24 * time.Hour
	one, stop := replicaOf(t, server.DSN(schema), lasting)
	t.Cleanup(stop)
	leased(t, one, "cell-1", api.LeaseRequest{})
	_, err := one.RemoveCell(t.Context(), "cell-1", "ann")
	if !errors.Is(err, api.ErrConflict) || !strings.Contains(err.Error(), "another controller may have it connected") || !strings.Contains(err.Error(), "try again when 20m0s have passed") {
		t.Errorf("renewed a moment ago: %v", err)
	}
	if err := server.Exec(schema, "UPDATE leases SET renewed_at = renewed_at - 20 * 60 * 1000"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.RemoveCell(t.Context(), "cell-1", "ann"); err != nil {
		t.Errorf("renewed 20 minutes ago: %v", err)
	}
}

// TestRemoveWhoseRenewalIsOfTheFuture: then who is asked relies on what it has
// seen itself.
func TestRemoveWhoseRenewalIsOfTheFuture(t *testing.T) {
	server, schema := mariadb.Schema(t)
	short := overlay()
	short.LeaseExpiry = 10 * time.Second // renewed every half a second
	one, stop := replicaOf(t, server.DSN(schema), short)
	t.Cleanup(stop)
	leased(t, one, "cell-1", api.LeaseRequest{})
	if err := server.Exec(schema, "UPDATE leases SET renewed_at = renewed_at + 9000"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err := one.RemoveCell(t.Context(), "cell-1", "ann")
	if !errors.Is(err, api.ErrConflict) {
		t.Errorf("not seen to stay: %v", err)
	}
	for ; err != nil; time.Sleep(5 * time.Millisecond) {
		if _, err = one.RemoveCell(t.Context(), "cell-1", "ann"); time.Since(began) > 8*time.Second {
			t.Fatalf("seen to stay for eight seconds: %v", err)
		}
	}
}

// TestReplicasExpire: a lease that one replica renews the other leaves alone,
// and one that nobody renews both see expire.
func TestReplicasExpire(t *testing.T) {
	server, schema := mariadb.Schema(t)
	short := overlay()
	short.LeaseExpiry = 2 * time.Second
	one, stopOne := replicaOf(t, server.DSN(schema), short)
	t.Cleanup(stopOne)
	two, stopTwo := replicaOf(t, server.DSN(schema), short)
	t.Cleanup(stopTwo)
	began := time.Now()
	leased(t, one, "cell-1", api.LeaseRequest{})
	leased(t, two, "cell-2", api.LeaseRequest{})
	leased(t, two, "cell-3", api.LeaseRequest{})
	for c, cell := range map[*controller.Controller]flows.CellID{one: "cell-1", two: "cell-2"} {
		if _, err := c.Open(t.Context(), cell, api.Hello{VTEP: "192.0.2." + strings.TrimPrefix(string(cell), "cell-")}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, one, "cell-3", api.CellExpired)
	eventually(t, two, "cell-3", api.CellExpired)
	if took := time.Since(began); took < short.LeaseExpiry {
		t.Errorf("expired after %v", took)
	}
	for _, c := range []*controller.Controller{one, two} {
		eventually(t, c, "cell-1", "")
		eventually(t, c, "cell-2", "")
	}
}
