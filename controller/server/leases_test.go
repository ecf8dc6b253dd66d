package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/flows"
)

// lease asks for one, for cell-n at 192.0.2.n, and returns its subnet.
func lease(t *testing.T, s *server.Server, dir, cell string, request api.LeaseRequest) string {
	t.Helper()
	request.VTEP = "192.0.2." + cell[len("cell-"):]
	agent := agentClient(t, s, dir, cell)
	defer agent.Close()
	lease, err := agent.Lease(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return lease.Subnet
}

// listening opens the stream of a cell that has no containers, acknowledges all
// that comes, and passes it on.
func listening(t *testing.T, s *server.Server, dir, cell string) <-chan api.Message {
	t.Helper()
	agent := agentClient(t, s, dir, cell)
	stream, err := agent.Open(t.Context(), api.Hello{VTEP: "192.0.2." + cell[len("cell-"):]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	messages := make(chan api.Message, 100)
	go func() {
		defer close(messages)
		var id string
		for {
			msg, err := stream.Next()
			if err != nil {
				return
			}
			if msg.Stream != "" {
				id = msg.Stream
			}
			messages <- msg
			if agent.Acknowledge(context.WithoutCancel(t.Context()), api.Applied{Stream: id, Seq: msg.Seq}) != nil {
				return
			}
		}
	}()
	return messages
}

// hears waits for a message that sets or removes a fragment.
func hears(t *testing.T, messages <-chan api.Message, key string, removed bool) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case msg, open := <-messages:
			if !open {
				t.Fatalf("the stream has ended before %s came", key)
			}
			set := slices.ContainsFunc(msg.Set, func(f api.Fragment) bool { return f.Key == key })
			if !removed && set || removed && slices.Contains(msg.Remove, key) {
				return
			}
		case <-deadline:
			t.Fatalf("nothing of %s after %v", key, patience)
		}
	}
}

// TestNewCellReachesTheOthers: from its request for a lease until another cell's
// agent has it in its stream less than a second goes by, since nobody polls.
func TestNewCellReachesTheOthers(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	lease(t, s, dir, "cell-1", api.LeaseRequest{})
	messages := listening(t, s, dir, "cell-1")
	hears(t, messages, "base", false)
	agent := agentClient(t, s, dir, "cell-2")
	var took []time.Duration
	for range 20 {
		began := time.Now()
		if _, err := agent.Lease(t.Context(), api.LeaseRequest{VTEP: "192.0.2.2"}); err != nil {
			t.Fatal(err)
		}
		hears(t, messages, "cell/cell-2", false)
		took = append(took, time.Since(began))
		if _, err := admin(s).RemoveCell(t.Context(), "cell-2"); err != nil {
			t.Fatal(err)
		}
		hears(t, messages, "cell/cell-2", true)
	}
	slices.Sort(took)
	t.Logf("a new cell was in another's stream after %v (median), %v at most", took[len(took)/2].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
	if most := took[len(took)-1]; most >= time.Second {
		t.Errorf("it took %v", most)
	}
}

// TestRestartKeepsLeases: of the controller, however it ended, and of the agents.
func TestRestartKeepsLeases(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	had := map[string]string{}
	for _, cell := range []string{"cell-3", "cell-1", "cell-2"} { // not in the order of their names
		had[cell] = lease(t, s, dir, cell, api.LeaseRequest{})
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		s = run(t, config)
		for cell, subnet := range had {
			if got := lease(t, s, dir, cell, api.LeaseRequest{}); got != subnet {
				t.Errorf("%s had %s, and has %s", cell, subnet, got)
			}
			if got := lease(t, s, dir, cell, api.LeaseRequest{Subnet: subnet, Containers: 5}); got != subnet {
				t.Errorf("%s with containers in %s has %s", cell, subnet, got)
			}
		}
	}
}

// TestOlderBackupKeepsLeases: cells that the restored database does not know
// have their subnets on their disks, and get them again.
func TestOlderBackupKeepsLeases(t *testing.T) {
	dir, config := install(t)
	s := run(t, config)
	one := lease(t, s, dir, "cell-1", api.LeaseRequest{})
	backup := filepath.Join(dir, "backup.db")
	if err := gormstore.Backup(t.Context(), config.Database, backup); err != nil {
		t.Fatal(err)
	}
	two := lease(t, s, dir, "cell-2", api.LeaseRequest{})
	three := lease(t, s, dir, "cell-3", api.LeaseRequest{})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := gormstore.Restore(t.Context(), config.Database, backup, time.Now()); err != nil {
		t.Fatal(err)
	}
	s = run(t, config)
	if got := lease(t, s, dir, "cell-1", api.LeaseRequest{Subnet: one, Containers: 1}); got != one {
		t.Errorf("cell-1 had %s, and has %s", one, got)
	}
	messages := listening(t, s, dir, "cell-1")
	if got := lease(t, s, dir, "cell-3", api.LeaseRequest{Subnet: three, Containers: 1}); got != three {
		t.Errorf("cell-3 had %s, and has %s", three, got)
	}
	listening(t, s, dir, "cell-3")
	hears(t, messages, "cell/cell-3", false) // when its switch is in step
	if got := lease(t, s, dir, "cell-2", api.LeaseRequest{Subnet: two}); got != two {
		t.Errorf("cell-2 had %s, and has %s", two, got)
	}
}

// TestLeasesExpireByThemselves: the lease of a cell that is away ends after
// lease_expiry, and not before; that of a cell that is connected does not.
func TestLeasesExpireByThemselves(t *testing.T) {
	dir, config := install(t)
	config.LeaseExpiry = time.Second
	s := run(t, config)
	began := time.Now()
	for _, cell := range []string{"cell-1", "cell-2"} {
		lease(t, s, dir, cell, api.LeaseRequest{})
	}
	messages := listening(t, s, dir, "cell-1")
	hears(t, messages, "cell/cell-2", false)
	hears(t, messages, "cell/cell-2", true)
	if took := time.Since(began); took < config.LeaseExpiry {
		t.Errorf("the lease of a cell that never came expired after %v", took)
	}
	cells, err := admin(s).Cells(t.Context())
	if err != nil || len(cells) != 2 || cells[0].State != "" || !cells[0].Connected || cells[1].State != api.CellExpired {
		t.Errorf("cells %+v, %v", cells, err)
	}
}

// TestLongOutageExpiresNobody who comes back: all leases are older than
// lease_expiry when a controller starts that was away for a year.
func TestLongOutageExpiresNobody(t *testing.T) {
	dir, config := install(t)
	config.LeaseExpiry = 4 * time.Second
	longAgo := gormstore.Options{
		Networks: []netip.Prefix{netip.MustParsePrefix(config.Networks[0])}, SubnetPrefix: config.SubnetPrefix, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().AddDate(-1, 0, 0) },
	}
	store, err := gormstore.Open(t.Context(), config.Database, longAgo)
	if err != nil {
		t.Fatal(err)
	}
	for n := byte(1); n <= 2; n++ {
		grant := controller.GrantLease{Cell: flows.CellID(fmt.Sprintf("cell-%d", n)), VTEP: netip.AddrFrom4([4]byte{192, 0, 2, n})}
		if _, err := store.Write(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	messages := listening(t, run(t, config), dir, "cell-1")
	hears(t, messages, "cell/cell-2", false)
	hears(t, messages, "cell/cell-2", true)                     // it did not come back
	if took := time.Since(began); took < config.LeaseExpiry/4 { // five renewals
		t.Errorf("the lease of a cell that may be on its way expired after %v", took)
	}
}
