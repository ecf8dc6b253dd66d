package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// cellState is what the listing says of cell-n: "10.1.0.0/16 connected",
// "drained", "none".
func (b *bench) cellState(n int) string {
	b.Helper()
	cells, err := b.Cells(b.limit())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range cells {
		if c.Cell != fmt.Sprintf("cell-%d", n) {
			continue
		}
		words := []string{c.Subnet, c.State}
		if c.Connected {
			words = append(words, "connected")
		}
		return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	}
	return "none"
}

// becomes waits until the listing says so of cell-n.
func (b *bench) becomes(n int, want string) {
	b.Helper()
	for deadline := time.Now().Add(patience); b.cellState(n) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("cell-%d is %q, want %q", n, b.cellState(n), want)
		}
	}
}

// lease asks for a lease as cell-n, and returns the subnet or why there is none.
func (b *bench) lease(n int, request api.LeaseRequest) string {
	b.Helper()
	request.VTEP = fmt.Sprintf("192.0.2.%d", n)
	lease, err := b.Lease(b.limit(), flows.CellID(fmt.Sprintf("cell-%d", n)), request)
	if err != nil {
		return fmt.Sprintf("%s: %v", api.KindOf(err), err)
	}
	return lease.Subnet
}

// over reports whether the cell's stream has ended.
func (a *agent) over() bool {
	a.Helper()
	for {
		if _, err := a.stream.Next(a.limit()); err != nil {
			return api.KindOf(err) == api.ErrGone
		}
	}
}

// TestDrain: a cell is told, and when it has acknowledged that and its last
// container has ended, its lease ends by itself and no other cell knows it.
func TestDrain(t *testing.T) {
	b := start(t)
	one, two := b.cellNumber(1), b.cellNumber(2, on(2, 1, ""), on(3, 9, "")) // one of them is refused: it runs all the same
	one.until(func() bool { return one.has("cell/cell-2") })
	if two.last.Draining != nil {
		t.Errorf("a snapshot says draining %v", *two.last.Draining)
	}
	if _, err := b.DrainCell(b.limit(), "cell-2", "ann"); err != nil {
		t.Fatal(err)
	}
	if msg := two.next(); msg.Type != api.TypeDelta || msg.Draining == nil || !*msg.Draining || len(msg.Set)+len(msg.Remove) > 0 {
		t.Errorf("the drain came as %+v", msg)
	}
	if err := two.report(nil, "c1"); err != nil {
		t.Fatal(err)
	}
	two.until(func() bool { return !two.has("endpoint/c1") })
	two.ack()
	b.becomes(2, "10.2.0.0/16 draining connected") // with the refused one
	if revision, err := b.DrainCell(b.limit(), "cell-2", "bob"); err != nil || revision != 0 {
		t.Errorf("draining it again is revision %d, %v", revision, err)
	}
	two.silent()
	if err := two.report(nil, "c9"); err != nil {
		t.Fatal(err)
	}
	b.becomes(2, "drained")
	if !two.over() {
		t.Error("the stream of a drained cell goes on")
	}
	one.until(func() bool { return !one.has("cell/cell-2") })
	if got := b.lease(2, api.LeaseRequest{Subnet: "10.2.0.0/16"}); !strings.HasPrefix(got, "conflict: cell cell-2 was drained at ") || !strings.HasSuffix(got, ": `weft cells undrain cell-2` lets it in again") {
		t.Errorf("it asks for a lease: %s", got)
	}
	if _, err := b.UndrainCell(b.limit(), "cell-2", "ann"); err != nil {
		t.Fatal(err)
	}
	b.becomes(2, "none")
	if got := b.lease(2, api.LeaseRequest{Subnet: "10.2.0.0/16"}); got != "10.2.0.0/16" {
		t.Errorf("let in again: %s", got)
	}
}

// TestDrainWaitsForTheAgent: without containers, too, an agent that has not
// acknowledged may be starting one. A drain that was taken back is forgotten.
func TestDrainWaitsForTheAgent(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1)
	a.ack()
	drain := func() {
		t.Helper()
		if _, err := b.DrainCell(b.limit(), "cell-1", "ann"); err != nil {
			t.Fatal(err)
		}
	}
	undrain := func() {
		t.Helper()
		if _, err := b.UndrainCell(b.limit(), "cell-1", "ann"); err != nil {
			t.Fatal(err)
		}
	}
	drain()
	told := a.next()
	failed := api.Applied{Stream: a.id, Seq: told.Seq, Error: "disk full"}
	if err := b.Acknowledge(b.limit(), a.cell, failed); err != nil {
		t.Fatal(err)
	}
	if err := a.report(nil); err != nil { // the cell is looked at again
		t.Fatal(err)
	}
	a.silent()
	b.becomes(1, "10.1.0.0/16 draining connected")
	undrain()
	a.ackUpTo(told.Seq) // of a message that no longer holds
	if msg := a.next(); msg.Draining == nil || *msg.Draining {
		t.Errorf("taken back: %+v", msg)
	}
	a.ack()
	drain()
	undrain()
	if msg := a.next(); msg.Draining == nil || *msg.Draining {
		t.Errorf("begun and taken back before it was sent: %+v", msg)
	}
	a.ack()
	b.becomes(1, "10.1.0.0/16 connected")

	// Of a cell that is away, over a restart, and by the snapshot.
	a.stream.Close()
	drain()
	b.becomes(1, "10.1.0.0/16 draining")
	b.restart(gormstore.Options{})
	a.bench = b
	a.open("192.0.2.1")
	if a.last.Draining == nil || !*a.last.Draining {
		t.Errorf("after a restart the snapshot says nothing of the drain: %+v", a.last)
	}
	b.becomes(1, "10.1.0.0/16 draining connected")
	a.ack()
	b.becomes(1, "drained")
	b.restart(gormstore.Options{})
	b.becomes(1, "drained")
}

// TestDrainOfAnExpiredCell: nothing is waited for, be the lease expired before the
// drain or during it; other cells keep hearing from nobody there.
func TestDrainOfAnExpiredCell(t *testing.T) {
	b := start(t)
	b.cellNumber(1).stream.Close()
	two := b.cellNumber(2, on(2, 1, "app"))
	two.stream.Close()
	expire := func(n int) {
		t.Helper()
		renewals, err := b.store.Renewals(b.limit())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range renewals {
			if r.Cell != flows.CellID(fmt.Sprint("cell-", n)) {
				continue
			}
			if _, err := b.store.Write(b.limit(), controller.ExpireLeases{Leases: []controller.Renewal{r}}); err != nil {
				t.Fatal(err)
			}
		}
		b.allow("x", fmt.Sprint("y", n), 80) // the log is read
	}
	drain := func(n int) {
		t.Helper()
		if _, err := b.DrainCell(b.limit(), flows.CellID(fmt.Sprint("cell-", n)), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	expire(1)
	b.becomes(1, "10.1.0.0/16 expired")
	drain(1)
	b.becomes(1, "drained")
	drain(2)
	b.becomes(2, "10.2.0.0/16 draining")
	expire(2)
	b.becomes(2, "drained")
	if got := b.lease(2, api.LeaseRequest{Subnet: "10.2.0.0/16", Containers: 1}); !strings.HasPrefix(got, "conflict: cell cell-2 was drained at ") {
		t.Errorf("it is back, and asks for its lease: %s", got)
	}
	b.restart(gormstore.Options{})
	b.becomes(1, "drained")
	b.becomes(2, "drained")
}

// keep looks as often as a replica does for d, and returns when that is over.
func (b *bench) keep(k *controller.LeaseKeeper, d time.Duration) {
	b.Helper()
	for end := b.ahead + d; b.ahead < end; {
		b.ahead += k.Interval()
		if err := k.Look(b.limit(), time.Now().Add(b.ahead)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestExpiry: a cell that is away too long is in no table and waited for by
// nobody; one that is connected stays, whatever the clock says. It gets the same
// subnet when it is back, and the others know it when its switch is in step.
func TestExpiry(t *testing.T) {
	b := start(t)
	one, two := b.cellNumber(1), b.cellNumber(2, on(2, 1, "app"))
	b.settled(map[*agent]string{two: "app"})
	one.until(func() bool { return one.has("cell/cell-2") })
	k := controller.NewLeaseKeeper(b.Controller, time.Hour)
	b.keep(k, 3*time.Hour)
	b.becomes(2, "10.2.0.0/16 connected")
	two.stream.Close()
	r := b.allow("x", "app", 80)
	if got := b.owing(r, true); got != "[cell-2]" {
		t.Errorf("applied-all: %s owes", got)
	}
	waited := make(chan []flows.CellID)
	go func() { waited <- b.WaitApplied(b.limit(), r, true) }()
	b.keep(k, 12*time.Minute)
	b.becomes(2, "10.2.0.0/16")
	b.keep(k, 9*time.Minute)
	b.becomes(2, "10.2.0.0/16 expired")
	if pending := <-waited; pending != nil {
		t.Errorf("a wait for a cell whose lease has expired: %v is pending", pending)
	}
	one.until(func() bool { return !one.has("cell/cell-2") })
	if endpoints, err := b.Endpoints(b.limit()); err != nil || len(endpoints) != 0 {
		t.Errorf("endpoints %v, %v", endpoints, err)
	}
	if _, err := b.Open(b.limit(), "cell-2", api.Hello{VTEP: "192.0.2.2"}); api.KindOf(err) != api.ErrConflict {
		t.Errorf("a stream without a lease: %v", err)
	}

	if got := b.lease(2, api.LeaseRequest{Subnet: "10.2.0.0/16", Containers: 1}); got != "10.2.0.0/16" {
		t.Errorf("it is back: %s", got)
	}
	two.open("192.0.2.2", on(2, 1, "app"))
	if !two.has("cell/cell-1") || !two.has("endpoint/c1") {
		t.Errorf("its table has %v", two.table)
	}
	b.becomes(2, "10.2.0.0/16 returning connected")
	b.cellNumber(3).ack() // who is back is looked for again
	one.until(func() bool { return one.has("cell/cell-3") })
	one.silent()
	b.becomes(2, "10.2.0.0/16 returning connected")
	two.ack()
	one.until(func() bool { return one.has("cell/cell-2") })
	b.becomes(2, "10.2.0.0/16 connected")
}

// TestExpiredWhileConnected: another replica may have done it, when this one
// could not renew for too long. The cell's stream ends, and it asks again.
func TestExpiredWhileConnected(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1)
	renewals, err := b.store.Renewals(b.limit())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Write(b.limit(), controller.ExpireLeases{Leases: renewals}); err != nil {
		t.Fatal(err)
	}
	b.allow("x", "y", 80) // the log is read
	if !a.over() {
		t.Error("the stream goes on")
	}
	b.becomes(1, "10.1.0.0/16 expired")
	back := b.cellNumber(1)
	back.ack()
	b.becomes(1, "10.1.0.0/16 connected")
}

// TestGroupIDsOfCellsThatLeft: who has left may know a freed id as what it was,
// so an id is not given again before the others have stopped accepting from it;
// and when it is back it is not accepted from before it knows better.
func TestGroupIDsOfCellsThatLeft(t *testing.T) {
	b := start(t)
	one, two, id := leftBy(b)
	two.next()
	two.ack()
	b.tidy(0)
	b.is("old", id+" quarantined", "unused")
	two.stream.Close()
	b.tidy(over)
	b.is("old", id+" quarantined", "while a cell with a lease is away")
	renewals, err := b.store.Renewals(b.limit())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Write(b.limit(), controller.ExpireLeases{Leases: renewals[1:]}); err != nil {
		t.Fatal(err)
	}
	b.allow("x", "y", 80) // the log is read
	b.becomes(2, "10.2.0.0/16 expired")
	b.tidy(over)
	b.is("old", id+" quarantined", "while cell-1 accepts from the cell that left")
	one.until(func() bool { return !one.has("cell/cell-2") })
	one.ack()
	b.tidy(4 * time.Minute)
	b.is("old", id+" quarantined", "before the time is over, from when it does not")
	b.tidy(over)
	b.is("old", "", "after the quarantine")
	b.allow("stays", "new", 80)
	b.is("new", id, "the lowest free id")

	two.bench = b
	if got := b.lease(2, api.LeaseRequest{Subnet: "10.2.0.0/16", Containers: 1}); got != "10.2.0.0/16" {
		t.Fatal(got)
	}
	b.revoke("stays", "new", 80)
	b.tidy(over)
	b.is("new", id, "while nothing is known of the cell that is back")
	if one.has("cell/cell-2") {
		t.Error("cell-1 accepts from a cell that has a table of long ago")
	}
}

// TestRemoveCell: at once, unless the cell is connected.
func TestRemoveCell(t *testing.T) {
	b := start(t)
	one, two := b.cellNumber(1), b.cellNumber(2)
	one.until(func() bool { return one.has("cell/cell-2") })
	if _, err := b.RemoveCell(b.limit(), "cell-2", "ann"); api.KindOf(err) != api.ErrConflict || !strings.Contains(err.Error(), "cell cell-2 is connected: drain it (weft cells drain cell-2)") {
		t.Errorf("a cell that is connected: %v", err)
	}
	two.stream.Close()
	if _, err := b.RemoveCell(b.limit(), "cell-2", "ann"); err != nil {
		t.Fatal(err)
	}
	one.until(func() bool { return !one.has("cell/cell-2") })
	b.becomes(2, "none")
	for _, each := range []func() (api.Revision, error){
		func() (api.Revision, error) { return b.RemoveCell(b.limit(), "cell-2", "ann") },
		func() (api.Revision, error) { return b.DrainCell(b.limit(), "cell-2", "ann") },
		func() (api.Revision, error) { return b.UndrainCell(b.limit(), "cell-2", "ann") },
	} {
		if _, err := each(); api.KindOf(err) != api.ErrNotFound {
			t.Errorf("of a cell that is gone: %v", err)
		}
	}
	if _, err := b.DrainCell(b.limit(), "Cell 2", "ann"); api.KindOf(err) != api.ErrInvalid {
		t.Errorf("of what is no cell: %v", err)
	}
	b.cellNumber(2)
	one.until(func() bool { return one.has("cell/cell-2") })
}

// TestLeaseRequests that make no sense are told so.
func TestLeaseRequests(t *testing.T) {
	b := start(t)
	for want, request := range map[string]api.LeaseRequest{
		`invalid: subnet "10.1.0.1/16": must be`:      {Subnet: "10.1.0.1/16"},
		`invalid: subnet "fd00::/64": must be`:        {Subnet: "fd00::/64"},
		`invalid: subnet "banana": must be`:           {Subnet: "banana"},
		`invalid: containers -1: must be 0 or more`:   {Subnet: "10.1.0.0/16", Containers: -1},
		`invalid: containers 3: without subnet: must`: {Containers: 3},
	} {
		if got := b.lease(1, request); !strings.HasPrefix(got, want) {
			t.Errorf("%+v: %s, want %s", request, got, want)
		}
	}
	b.becomes(1, "none")
}
