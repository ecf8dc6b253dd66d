package gormstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// tell writes, and returns what came of it: the revision, or why not.
func (f *fleet) tell(cmd controller.Command) string {
	f.Helper()
	revision, err := f.Write(f.Context(), cmd)
	if err != nil {
		return fmt.Sprintf("%s: %v", api.KindOf(err), err)
	}
	return fmt.Sprint(revision)
}

// TestDrain: a drain is kept, and what comes of it: the lease ends, and the cell
// gets no other before somebody lets it in.
func TestDrain(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		f.ask(1, controller.GrantLease{})
		f.ask(2, controller.GrantLease{})
		drain, undrain := controller.DrainCell{Cell: "cell-1", By: "ann"}, controller.UndrainCell{Cell: "cell-1", By: "bob"}
		f.are(
			[3]string{f.tell(controller.DrainCell{Cell: "cell-9"}), `not found: there is no cell "cell-9": weft cells shows`, "an unknown cell"},
			[3]string{f.tell(controller.UndrainCell{Cell: "cell-9"}), `not found: there is no cell "cell-9"`, "an unknown cell"},
			[3]string{f.tell(undrain), "0", "a cell that is not drained"},
			[3]string{f.tell(controller.ReleaseDrained{Cells: []flows.CellID{"cell-1", "cell-9"}}), "0", "nobody wanted that"},
			[3]string{f.tell(drain), "3", "a drain"},
			[3]string{f.tell(drain), "0", "the same again"},
			[3]string{f.has(1), "10.255.1.0/24 draining", "a drain"},
		)
		f.Store = reopen(t, f.Store, db)
		f.are(
			[3]string{f.has(1), "10.255.1.0/24 draining", "after a restart"},
			[3]string{f.ask(1, controller.GrantLease{}), "10.255.1.0/24 draining", "it reconnects"},
			[3]string{f.tell(undrain), "4", "taken back"},
			[3]string{f.has(1), "10.255.1.0/24", "taken back"},
			[3]string{f.tell(drain), "5", "and again"},
			[3]string{f.tell(controller.ReleaseDrained{Cells: []flows.CellID{"cell-1", "cell-2"}}), "6", "its last container has ended"},
			[3]string{f.has(1), "drained", "its last container has ended"},
			[3]string{f.has(2), "10.255.2.0/24", "another cell"},
			[3]string{f.tell(drain), "0", "it has been drained"},
			[3]string{f.ask(1, controller.GrantLease{Subnet: subnet("10.255.1.0/24"), Containers: 1}),
				"conflict: cell cell-1 was drained at 2026-01-02T03:04:05Z: `weft cells undrain cell-1` lets it in again", "it asks for a lease"},
			[3]string{f.ask(3, controller.GrantLease{}), "10.255.1.0/24", "its subnet is free"},
		)
		f.Store = reopen(t, f.Store, db)
		f.are(
			[3]string{f.has(1), "drained", "after a restart"},
			[3]string{f.tell(undrain), "8", "let in again"},
			[3]string{f.has(1), "none", "let in again"},
			[3]string{f.ask(1, controller.GrantLease{}), "10.255.3.0/24", "it asks for a lease"},
		)
		want := "9 cell-1 lease of cell cell-1: 10.255.3.0/24 at 192.0.2.1\n8 bob cell cell-1 is not to be drained any more\n7 cell-3 lease of cell cell-3: 10.255.1.0/24 at 192.0.2.3\n" +
			"6 controller cell cell-1 drained: its lease of 10.255.1.0/24 has ended\n5 ann cell cell-1 is to be drained\n4 bob cell cell-1 is not to be drained any more\n3 ann cell cell-1 is to be drained"
		if got := strings.ReplaceAll(audit(t, f.Store, api.AuditQuery{Limit: 7}), " +0 -0 ~0 false", ""); got != want {
			t.Errorf("audit:\n%s\nwant\n%s", got, want)
		}
	})
}

// TestDrainOfACellThatIsAway: nobody waits for the word of one whose lease has
// expired: it has been drained with the drain, or with the expiry.
func TestDrainOfACellThatIsAway(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		for n := 1; n <= 4; n++ {
			f.ask(n, controller.GrantLease{})
		}
		f.expire(1)
		do(t, f.Store, controller.DrainCell{Cell: "cell-1", By: "ann"})
		do(t, f.Store, controller.DrainCell{Cell: "cell-2", By: "ann"})
		f.are([3]string{f.has(1), "drained", "its lease had expired"}, [3]string{f.has(2), "10.255.2.0/24 draining", "its lease is in force"})
		f.expire(2)
		f.expire(3)
		if err := f.db.Create(&drainRow{Cell: "cell-3"}).Error; err != nil { // as an older release left it
			t.Fatal(err)
		}
		f.are(
			[3]string{f.has(2), "drained", "it expired during the drain"},
			[3]string{f.tell(controller.DrainCell{Cell: "cell-3", By: "ann"}), "10", "a drain that was begun before, of an expired lease"},
			[3]string{f.has(3), "drained", "drained again"},
			[3]string{f.tell(controller.DrainCell{Cell: "cell-3", By: "ann"}), "0", "nothing is left to do"},
			[3]string{f.ask(5, controller.GrantLease{}), "10.255.1.0/24", "its subnet is free"},
			[3]string{f.ask(1, controller.GrantLease{Subnet: subnet("10.255.1.0/24"), Containers: 1}), "conflict: cell cell-1 was drained at", "back again"},
		)
		if got := audit(t, f.Store, api.AuditQuery{By: "ann", Limit: 9}); !strings.HasSuffix(got, "6 ann +0 -0 ~0 false cell cell-1 is to be drained; cell cell-1 drained: its lease of 10.255.1.0/24 has ended") {
			t.Errorf("audit:\n%s", got)
		}
		f.Store = reopen(t, f.Store, db)
		f.are([3]string{f.has(1), "drained", "after a restart"}, [3]string{f.has(2), "drained", "after a restart"})
	})
}

// TestRemove forgets a cell, unless another controller may serve it.
func TestRemove(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		for n := 1; n <= 4; n++ {
			f.ask(n, controller.GrantLease{})
		}
		remove := func(n int, quiet time.Duration) string {
			t.Helper()
			return f.tell(controller.RemoveCell{Cell: flows.CellID(fmt.Sprintf("cell-%d", n)), By: "ann", Quiet: quiet})
		}
		f.now = f.now.Add(time.Minute)
		f.are(
			[3]string{remove(9, 0), `not found: there is no cell "cell-9"`, "an unknown cell"},
			[3]string{remove(1, 90*time.Second), "conflict: cell cell-1: its lease was renewed 1m0s ago, so another controller may have it connected: drain it (weft cells drain cell-1), or if it is dead try again when 30s have passed", "a cell that may live"},
			[3]string{remove(1, time.Minute), "5", "one that was silent for long enough"},
			[3]string{f.has(1), "none", "removed"},
			[3]string{remove(1, 0), `not found: there is no cell "cell-1"`, "removed"},
			[3]string{f.ask(1, controller.GrantLease{Subnet: subnet("10.255.1.0/24"), Containers: 2}), "10.255.1.0/24 returning", "it was not dead"},
		)
		f.expire(2)
		do(t, f.Store, controller.DrainCell{Cell: "cell-3", By: "ann"})
		do(t, f.Store, controller.DrainCell{Cell: "cell-4", By: "ann"})
		do(t, f.Store, controller.ReleaseDrained{Cells: []flows.CellID{"cell-4"}})
		f.are(
			[3]string{remove(2, time.Hour), "11", "an expired one"},
			[3]string{remove(3, 0), "12", "one that is to be drained"},
			[3]string{remove(4, 0), "conflict: cell cell-4 is drained, and its agent was heard of 0s ago: it would have a lease again at once; stop the agent", "one that has just been drained"},
		)
		f.now = f.now.Add(restless)
		f.are(
			[3]string{f.ask(4, controller.GrantLease{}), "conflict: cell cell-4 was drained at", "its agent runs"},
			[3]string{remove(4, 0), "conflict: cell cell-4 is drained, and its agent was heard of 0s ago", "its agent runs"},
			[3]string{f.has(4), "drained", "its agent runs"},
		)
		f.now = f.now.Add(restless)
		f.Store = reopen(t, f.Store, db)
		f.are(
			[3]string{remove(4, time.Hour), "13", "one that has been, and does not ask"},
			[3]string{f.ask(3, controller.GrantLease{}), "10.255.2.0/24", "nothing is known of it"},
			[3]string{f.ask(4, controller.GrantLease{}), "10.255.3.0/24", "nothing is known of it"},
		)
		if got := audit(t, f.Store, api.AuditQuery{By: "ann", Limit: 3}); got != "13 ann +0 -0 ~0 false cell cell-4 removed\n"+
			"12 ann +0 -0 ~0 false cell cell-3 removed: its lease of 10.255.3.0/24 has ended\n11 ann +0 -0 ~0 false cell cell-2 removed: its lease of 10.255.2.0/24 has ended" {
			t.Errorf("audit:\n%s", got)
		}
	})
}

// TestRemoveARenewalOfTheFuture: a clock that was ahead keeps no cell for ever,
// and one that is a little ahead opens none that lives.
func TestRemoveARenewalOfTheFuture(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		right, ahead := f.now, f.now.Add(2*time.Second)
		f.now = ahead
		f.ask(1, controller.GrantLease{})
		f.now = right
		remove := controller.RemoveCell{Cell: "cell-1", By: "ann", Quiet: 20 * time.Minute, Silent: right}
		f.are([3]string{f.tell(remove), "conflict: cell cell-1: its lease was renewed by a clock that is 2s ahead of this controller's, and another controller may have it connected: drain it (weft cells drain cell-1), or if it is dead try again when this controller has run for 20m0s", "nobody has seen that renewal stay"})
		remove.Silent = ahead
		f.are([3]string{f.tell(remove), "2", "somebody has"}, [3]string{f.has(1), "none", "removed"})
	})
}
