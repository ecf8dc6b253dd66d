package controller_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// tick looks once, d after the last time, at what can be freed and released.
func (b *bench) tick(d time.Duration) {
	b.Helper()
	b.ahead += d
	if err := b.keeper.Tidy(b.limit(), time.Now().Add(b.ahead)); err != nil {
		b.Fatal(err)
	}
}

// tidy frees and releases what can be, when d goes by and nothing happens.
func (b *bench) tidy(d time.Duration) {
	b.Helper()
	b.tick(0)
	b.tick(d)
}

// group describes an app's id, "" for none: "3", "3 quarantined".
func (b *bench) group(app string) string {
	b.Helper()
	groups, err := b.Groups(b.limit())
	if err != nil {
		b.Fatal(err)
	}
	for _, g := range groups {
		if g.App == app {
			return strings.TrimSpace(fmt.Sprintf("%d %s", g.Group, g.State))
		}
	}
	return ""
}

// is fails unless the app's id is as wanted.
func (b *bench) is(app, want, when string) {
	b.Helper()
	if got := b.group(app); got != want {
		b.Errorf("%s: the id of %s is %q, want %q", when, app, got, want)
	}
}

// leftBy gives "old" an id, lets its only container on cell-2 be known to both
// cells' switches, and then go.
func leftBy(b *bench) (one, two *agent, id string) {
	one, two = b.cellNumber(1, on(1, 1, "stays")), b.cellNumber(2, on(2, 1, "old"))
	b.settled(map[*agent]string{one: "stays", two: "old"})
	id = b.group("old")
	if err := two.report(nil, "c1"); err != nil {
		b.Fatal(err)
	}
	return one, two, id
}

// over is beyond every quarantine of these tests.
const over = time.Hour

// TestGroupIDGoesRound: freed when the last container is gone, kept for its app
// through the quarantine, and then given to the next app.
func TestGroupIDGoesRound(t *testing.T) {
	b := start(t)
	one, two, id := leftBy(b)
	two.next()
	two.ack()
	b.revoke("outside", "nowhere", 1)
	b.tidy(0)
	b.is("old", id+" quarantined", "after its last container")
	b.is("stays", one.groupOf("c1"), "while its container runs")
	b.tidy(4 * time.Minute)
	b.is("old", id+" quarantined", "before the time is over")
	b.restart(gormstore.Options{})
	b.is("old", id+" quarantined", "after a restart of the controller")
	b.tidy(over)
	b.is("old", id+" quarantined", "while no cell has said what its switch holds")
	one.open("192.0.2.1", on(1, 1, "stays"))
	two.open("192.0.2.2")
	one.ack()
	b.tidy(over)
	b.is("old", id+" quarantined", "while one of the cells has not")
	two.ack()
	b.tidy(over)
	b.is("old", "", "after the quarantine")
	b.is("outside", "", "after the quarantine")

	b.allow("stays", "new", 80)
	b.is("new", id, "the lowest free id")
}

// groupOf is the group id that packets of a container get, 0 for none.
func (a *agent) groupOf(container string) string {
	a.Helper()
	return a.groupIn(a.table, container)
}

// groupIn is groupOf by a table that the cell had.
func (a *agent) groupIn(table map[string]flows.Fragment, container string) string {
	a.Helper()
	for _, flow := range table["endpoint/"+container].Flows {
		if load, _, is := strings.Cut(flow.Actions, "->NXM_NX_REG0[0..15]"); is && flow.Table == flows.TableClassify {
			group, err := strconv.ParseUint(strings.TrimPrefix(load, "load:"), 0, 16)
			if err != nil {
				a.Fatal(err)
			}
			return fmt.Sprint(group)
		}
	}
	a.Fatalf("no flow of %s loads its group: %v", container, table["endpoint/"+container])
	return ""
}

// TestHeldBackCell: an id is not given to another app while a cell's switch may
// still know it as the old app's, whatever holds that cell back.
func TestHeldBackCell(t *testing.T) {
	for name, hold := range map[string]func(*bench, *agent) (letGo func()){
		"connected, reads, does not acknowledge": func(b *bench, two *agent) func() {
			two.next() // the container is gone: the agent knows, its switch does not
			return two.ack
		},
		"connected, does not read": func(b *bench, two *agent) func() {
			return func() { two.next(); two.ack() }
		},
		"connected, cannot apply": func(b *bench, two *agent) func() {
			two.next()
			failed := api.Applied{Stream: two.id, Seq: two.last.Seq, Error: "bundle refused"}
			if err := b.Acknowledge(b.limit(), two.cell, failed); err != nil {
				b.Fatal(err)
			}
			return two.ack
		},
		"disconnected after the id was freed": func(b *bench, two *agent) func() {
			b.tidy(0)
			two.stream.Close()
			return func() { two.open("192.0.2.2"); two.ack() }
		},
		"connected again, before its snapshot is in force": func(b *bench, two *agent) func() {
			b.tidy(0)
			two.stream.Close()
			two.open("192.0.2.2")
			return two.ack
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			one, two, id := leftBy(b)
			letGo := hold(b, two)
			b.tidy(0)
			b.is("old", id+" quarantined", "held back")
			for range 3 { // other changes go on, and cell-1 follows them
				b.allow("stays", "stays", 80)
				one.next()
				one.ack()
				b.revoke("stays", "stays", 80)
				one.next()
				one.ack()
				b.tidy(over)
			}
			b.is("old", id+" quarantined", "held back, though the time is over")
			b.allow("stays", "new", 80)
			if got := b.group("new"); got == id || got == "" {
				t.Fatalf("the new app has id %q, which cell-2 still knows as the old app's", got)
			}
			letGo()
			b.tidy(4 * time.Minute)
			b.is("old", id+" quarantined", "four minutes after the cell has caught up")
			b.tidy(2 * time.Minute)
			b.is("old", "", "six minutes after the cell has caught up")
			b.allow("stays", "newer", 80)
			b.is("newer", id, "after the cell has caught up")
		})
	}
}

// TestNewCellHoldsBack: a cell that joins during the quarantine counts as well,
// until its switch is in step.
func TestNewCellHoldsBack(t *testing.T) {
	b := start(t)
	_, two, id := leftBy(b)
	two.next()
	two.ack()
	b.tidy(0)
	b.tidy(4 * time.Minute)
	three := b.cellNumber(3)
	b.tick(2 * time.Minute)
	b.is("old", id+" quarantined", "with a new cell of which nothing is known")
	three.ack()
	b.tick(0)
	b.is("old", "", "when that is in step")
}

// TestQuickRestartFreesNothing: an app whose containers are back by the next look
// keeps its id; one that is gone at two looks in a row does not.
func TestQuickRestartFreesNothing(t *testing.T) {
	b := start(t)
	_, two, id := leftBy(b)
	b.tick(0)
	b.is("old", id, "gone for a moment")
	if err := two.report([]api.Endpoint{on(2, 2, "old")}); err != nil {
		t.Fatal(err)
	}
	b.tick(0)
	if err := two.report(nil, "c2"); err != nil {
		t.Fatal(err)
	}
	b.tick(0)
	b.is("old", id, "gone for a moment, again")
	b.tick(0)
	b.is("old", id+" quarantined", "gone at two looks in a row")
}

// TestAwayCellBlocksFreeing: of a cell that is away nobody knows what runs
// there, so no id is freed until it is back.
func TestAwayCellBlocksFreeing(t *testing.T) {
	b := start(t)
	one, two, id := leftBy(b)
	two.next()
	two.ack()
	one.stream.Close()
	b.tidy(over)
	b.is("old", id, "while cell-1 is away")
	one.open("192.0.2.1", on(1, 1, "stays"), on(1, 2, "old")) // it started one meanwhile
	one.ack()
	b.tidy(over)
	b.is("old", id, "with a container on the cell that was away")
	one.stream.Close()
	one.open("192.0.2.1", on(1, 1, "stays"))
	b.tidy(0)
	b.is("old", id, "before the cell's switch is in step")
	one.ack()
	b.tidy(0)
	b.is("old", id+" quarantined", "when it is")
}

// TestAppComesBack: with its old id, at once for a policy, and for a container
// as soon as that is durable.
func TestAppComesBack(t *testing.T) {
	b := start(t)
	_, two, id := leftBy(b)
	two.next()
	two.ack()
	b.tidy(0)
	b.is("old", id+" quarantined", "gone")
	if err := two.report([]api.Endpoint{on(2, 2, "old")}); err != nil {
		t.Fatal(err)
	}
	two.until(func() bool { return two.has("endpoint/c2") && two.groupOf("c2") == id })
	two.ack()
	b.tidy(over)
	b.is("old", id, "back")
	if err := two.report(nil, "c2"); err != nil {
		t.Fatal(err)
	}
	b.tidy(0)
	b.is("old", id+" quarantined", "gone again")
	b.allow("stays", "old", 80)
	b.is("old", id, "named by a policy")
	two.next()
	two.ack()
	b.tidy(over)
	b.is("old", id, "while a policy names it")
}

// churn makes one container without an app of the cell come and another go, and
// reads what that changes.
func (a *agent) churn(up int, down ...string) {
	a.Helper()
	if err := a.report([]api.Endpoint{on(2, up, "")}, down...); err != nil {
		a.Fatal(err)
	}
	a.next()
}

// TestBusyCellMovesOn: a cell whose containers never stop coming and going is
// never quite in step, and still shown to have passed the freeing.
func TestBusyCellMovesOn(t *testing.T) {
	b := start(t)
	_, two, id := leftBy(b)
	two.next()
	two.ack()
	b.tidy(0)
	two.churn(10)
	for i := 11; i < 14; i++ { // before the last one is acknowledged there is more
		two.churn(i, on(2, i-1, "").Container)
		two.ackUpTo(two.last.Seq - 1)
	}
	b.tidy(over)
	b.is("old", "", id+" was freed long ago")
}

// TestOldAcknowledgement: one of a message from before the freeing says nothing
// of it, though there is a later one under way that would.
func TestOldAcknowledgement(t *testing.T) {
	b := start(t)
	one, two := b.cellNumber(1), b.cellNumber(2, on(2, 1, "old"))
	one.next() // cell-2 is there
	one.ack()
	b.settled(map[*agent]string{two: "old"})
	id := b.group("old")
	two.churn(5)
	n := two.last.Seq
	two.churn(6)
	two.ackUpTo(n)
	if err := two.report(nil, "c1"); err != nil {
		t.Fatal(err)
	}
	b.tidy(0)
	two.churn(7)
	two.ackUpTo(n + 1)
	b.tidy(over)
	b.is("old", id+" quarantined", "while the switch still has its container")
	two.ackUpTo(n + 2)
	b.tidy(over)
	b.is("old", "", "when the switch has it no more")
}
