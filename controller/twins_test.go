package controller_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// asks asks for cell-1's lease from a VTEP: "" if that is given, or why not.
func asks(t *testing.T, c *controller.Controller, vtep string) string {
	t.Helper()
	if _, err := c.Lease(t.Context(), "cell-1", api.LeaseRequest{VTEP: vtep}); err != nil {
		return err.Error()
	}
	return ""
}

// opens opens cell-1's stream from a VTEP.
func opens(t *testing.T, c *controller.Controller, vtep string) api.Stream {
	t.Helper()
	st, err := c.Open(t.Context(), "cell-1", api.Hello{VTEP: vtep})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st
}

// isIn waits until cell-1 gets its lease at a VTEP.
func isIn(t *testing.T, c *controller.Controller, vtep string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		why := asks(t, c, vtep)
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
	}
}

const (
	here = "192.0.2.1"
	twin = "192.0.2.101"
)

// TestTwoMachinesOfOneCell: the one that is connected stays, whatever the other
// does, which is told who has its place. When it has gone, the other is let in.
func TestTwoMachinesOfOneCell(t *testing.T) {
	b := start(t)
	b.lease(2, api.LeaseRequest{})
	other := b.cellNumber(2)
	mine := b.cellNumber(1)
	other.until(func() bool { _, has := other.table["cell/cell-1"]; return has })
	before, err := b.store.Changes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if why := asks(t, b.Controller, twin); !strings.Contains(why, "vtep 192.0.2.101: cell cell-1 is connected from 192.0.2.1: if these are two machines") {
			t.Fatalf("the twin: %q", why)
		}
		if _, err := b.Open(t.Context(), "cell-1", api.Hello{VTEP: twin}); !errors.Is(err, api.ErrConflict) {
			t.Fatalf("the twin's hello: %v", err)
		}
	}
	if after, err := b.store.Changes(t.Context(), 0); err != nil || len(after) != len(before) {
		t.Errorf("the twin wrote %d changes, %v", len(after)-len(before), err)
	}
	b.allow("cats", "dogs", 80)
	if b.cellState(1) != "10.2.0.0/16 connected" {
		t.Errorf("cell-1 is %s", b.cellState(1))
	}
	if why := asks(t, b.Controller, here); why != "" {
		t.Errorf("the one that is connected asks again: %s", why)
	}
	mine.stream.Close()
	if why := asks(t, b.Controller, twin); why != "" {
		t.Errorf("nobody is connected: %s", why)
	}
	mine.open(twin)
}

// TestTwoMachinesAtTwoReplicas: a replica knows by the database that the cell is
// connected to another; and who was there first loses its stream, if the other
// got the lease before that was written.
func TestTwoMachinesAtTwoReplicas(t *testing.T) {
	server, schema := mariadb.Schema(t)
	lasting := overlay()
	lasting.LeaseExpiry = 7 * 24 * time.Hour
	one, stopOne := replicaOf(t, server.DSN(schema), lasting)
	t.Cleanup(stopOne)
	two, stopTwo := replicaOf(t, server.DSN(schema), lasting)
	t.Cleanup(stopTwo)
	noted := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			got, err := server.Text(schema, "SELECT IF(replica = '', 'nobody', 'somebody') FROM leases WHERE cell = 'cell-1'")
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the database says that %s has the cell, want %s", got, want)
			}
		}
	}
	if why := asks(t, one, here); why != "" {
		t.Fatal(why)
	}
	st := opens(t, one, here)
	noted("somebody")
	if why := asks(t, two, twin); !strings.Contains(why, "cell cell-1 is connected from 192.0.2.1") || !strings.Contains(why, "20m0s after it renewed the lease last") {
		t.Errorf("the twin, at the other replica: %q", why)
	}
	st.Close()
	noted("nobody")
	isIn(t, two, twin) // it is let in when the first has gone
	isIn(t, one, here) // and has no stream yet
	st = opens(t, one, here)
	noted("somebody")
	if err := server.Exec(schema, "UPDATE leases SET replica = ''"); err != nil { // as if it were not known yet
		t.Fatal(err)
	}
	isIn(t, two, twin)
	opens(t, two, twin)
	limit, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if _, err := st.Next(limit); err != nil {
			if !errors.Is(err, api.ErrGone) {
				t.Errorf("the first one's stream ended with %v", err)
			}
			break
		}
	}
	noted("somebody")
	if why := asks(t, one, here); !strings.Contains(why, "cell cell-1 is connected from 192.0.2.101") {
		t.Errorf("the first one asks again: %q", why)
	}
}
