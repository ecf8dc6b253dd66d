package controller

import (
	"testing"

	"github.com/weft-sdn/weft/api"
)

// TestDebtsAreBounded: an agent that reads but never acknowledges costs a
// bounded list, and still owes every revision.
func TestDebtsAreBounded(t *testing.T) {
	l := &link{}
	for r := api.Revision(1); r <= 10*maxDebts; r++ {
		l.owe(2 * r) // odd revisions concern other cells
		if r%3 == 0 {
			l.sent(uint64(r))
		}
		if len(l.debts) > maxDebts {
			t.Fatalf("%d debts", len(l.debts))
		}
	}
	for r := api.Revision(1); r <= 10*maxDebts; r++ {
		if !l.owes(2 * r) {
			t.Fatalf("revision %d is forgotten", 2*r)
		}
	}
	last := api.Revision(20 * maxDebts)
	if l.owes(last-1) || l.owes(last+1) {
		t.Error("it owes a recent revision that did not concern it")
	}
	l.sent(99999)
	if !l.paid(99999, last) || len(l.debts) != 0 || l.owes(2) || l.confirmed != last {
		t.Errorf("after everything was acknowledged: %d debts, confirmed %d", len(l.debts), l.confirmed)
	}
}

// TestPaid: an acknowledgement pays what was sent up to it, and no more.
func TestPaid(t *testing.T) {
	l := &link{}
	l.owe(5)
	l.sent(1)
	l.owe(7)
	l.owe(7) // in one message with the first
	l.sent(2)
	l.owe(9)
	if l.paid(0, 9) || len(l.debts) != 3 {
		t.Errorf("an acknowledgement of nothing left %v", l.debts)
	}
	if !l.paid(1, 9) || l.owes(5) || !l.owes(7) || !l.owes(9) || l.confirmed != 6 {
		t.Errorf("after message 1: %v, confirmed %d", l.debts, l.confirmed)
	}
	if !l.paid(2, 9) || l.owes(7) || !l.owes(9) || l.confirmed != 8 {
		t.Errorf("after message 2: %v, confirmed %d", l.debts, l.confirmed)
	}
	if l.paid(3, 9) || !l.owes(9) {
		t.Errorf("message 3 was not sent, and paid: %v", l.debts)
	}
}

// TestNewLinkOwesEverything: nothing is known of what a switch holds.
func TestNewLinkOwesEverything(t *testing.T) {
	l := newLink("cell-1", 10)
	for _, r := range []api.Revision{0, 1, 10} {
		if !l.owes(r) {
			t.Errorf("it does not owe revision %d", r)
		}
	}
	if l.owes(11) {
		t.Error("it owes a revision that has not been")
	}
}
