package controller_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// settled acknowledges all that a cell has to be told, once its apps have groups.
func (b *bench) settled(agents map[*agent]string) {
	b.Helper()
	for a, app := range agents {
		for !b.grouped(app) {
			a.next()
		}
	}
	now := b.allow("outside", "nowhere", 1) // every earlier change is in front of this one
	for a := range agents {
		a.ack()
		for b.behind(a.cell, now) {
			a.next()
			a.ack()
		}
	}
}

// behind reports whether the cell owes anything up to a revision.
func (b *bench) behind(cell flows.CellID, revision api.Revision) bool {
	cells, err := b.Cells(b.limit())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range cells {
		if c.Cell == string(cell) {
			return c.Applied < uint64(revision)
		}
	}
	b.Fatalf("no cell %s", cell)
	return false
}

// TestWaitIsForAffectedCells: a stuck agent holds up the writes that concern
// its cell, and no others.
func TestWaitIsForAffectedCells(t *testing.T) {
	b := start(t)
	one, two := b.cellNumber(1, on(1, 1, "one")), b.cellNumber(2, on(2, 1, "two"))
	b.settled(map[*agent]string{one: "one", two: "two"})

	stuck := b.allow("two", "one", 80) // cell-1 says nothing from here on
	if got := b.owing(stuck, false); got != "[cell-1]" {
		t.Errorf("%s owes revision %d", got, stuck)
	}
	other := b.allow("one", "two", 80)
	two.next()
	two.ack()
	if got := b.owing(other, true); got != "[]" {
		t.Errorf("%s owes revision %d, which does not concern cell-1", got, other)
	}
	if again := b.allow("two", "one", 80); again != stuck {
		t.Errorf("adding it again is revision %d, not %d", again, stuck)
	}
	mixed, err := b.AddPolicies(b.limit(), append(policy("two", "one", 80), policy("two", "two", 80)...), api.Order{By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	two.next()
	two.ack()
	if got := b.owing(mixed, false); got != "[cell-1]" {
		t.Errorf("%s owes a request of which one policy was there, but not yet applied", got)
	}
	if gone := b.revoke("two", "one", 81); b.owing(gone, false) != "[cell-1]" {
		t.Errorf("removing what is not there is revision %d: the cell owes what made it so", gone)
	}
	one.next()
	one.ack()
	for _, r := range []api.Revision{stuck, mixed} {
		if got := b.owing(r, true); got != "[]" {
			t.Errorf("%s owes revision %d", got, r)
		}
	}
}

// TestWaitForDisconnected: applied leaves out cells that are not connected;
// applied-all does not, and a cell that comes back is waited for.
func TestWaitForDisconnected(t *testing.T) {
	b := start(t)
	a, other := b.cellNumber(1, on(1, 1, "app")), b.cellNumber(2, on(2, 1, "other"))
	b.settled(map[*agent]string{a: "app", other: "other"})
	a.stream.Close()
	other.stream.Close()
	r := b.allow("x", "app", 80)
	if got := b.owing(r, false); got != "[]" {
		t.Errorf("applied: %s owes", got)
	}
	if got := b.owing(r, true); got != "[cell-1]" {
		t.Errorf("applied-all: %s owes, though cell-2 does not host the app", got)
	}
	a.open("192.0.2.1", on(1, 1, "app"))
	if got := b.owing(r, false); got != "[cell-1]" {
		t.Errorf("connected again: %s owes", got)
	}
	a.ack()
	if got := b.owing(r, true); got != "[]" {
		t.Errorf("after the snapshot's acknowledgement: %s owes", got)
	}
}

// TestWaitEndsWithTheStream: a wait does not hang on a cell that has left.
func TestWaitEndsWithTheStream(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 1, "app"))
	r := b.allow("x", "app", 80)
	waited := make(chan []flows.CellID)
	go func() { waited <- b.WaitApplied(b.limit(), r, false) }()
	a.stream.Close()
	if pending := <-waited; pending != nil {
		t.Errorf("pending %v", pending)
	}
}

// TestWaitAfterRestart: a controller that has just started believes no cell to
// hold anything, and knows no cell's endpoints.
func TestWaitAfterRestart(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 1, "app"))
	before := b.allow("x", "app", 80)
	b.restart(gormstore.Options{})
	if got := b.owing(before, true); got != "[cell-1]" {
		t.Errorf("after a restart %s owes what it had not confirmed", got)
	}
	r := b.allow("y", "app", 80)
	if b.owing(r, true) != "[cell-1]" || b.owing(r, false) != "[]" {
		t.Errorf("a cell that has not said hello: applied-all %s, applied %s", b.owing(r, true), b.owing(r, false))
	}
	a.bench = b
	a.open("192.0.2.1", on(1, 1, "app"))
	a.ack()
	if got := b.owing(r, true); got != "[]" {
		t.Errorf("after hello and acknowledgement %s owes", got)
	}
	if n := a.rules("app"); n != 2 {
		t.Errorf("%d of 2 policies survived", n)
	}
}

// TestApplyError: what a cell could not apply is shown, and stays owed.
func TestApplyError(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 1, "app"))
	b.settled(map[*agent]string{a: "app"})
	r := b.allow("x", "app", 80)
	a.next()
	if err := b.Acknowledge(b.limit(), a.cell, api.Applied{Stream: a.id, Seq: a.last.Seq, Error: "bad actions"}); err != nil {
		t.Fatal(err)
	}
	cells, _ := b.Cells(b.limit())
	if b.owing(r, false) != "[cell-1]" || cells[0].Error != "bad actions" {
		t.Errorf("%s owes; cell %+v", b.owing(r, false), cells[0])
	}
	a.ack()
	cells, _ = b.Cells(b.limit())
	if b.owing(r, false) != "[]" || cells[0].Error != "" || cells[0].Applied != uint64(r) {
		t.Errorf("%s owes; cell %+v", b.owing(r, false), cells[0])
	}
}

// TestGroupIDsRunOut: a container whose app can have no id stays isolated;
// policies that need one are refused; everything else goes on.
func TestGroupIDsRunOut(t *testing.T) {
	b := start(t)
	b.restart(gormstore.Options{MaxGroup: 2})
	b.allow("one", "two", 80)
	a := b.cellNumber(1, on(1, 1, "three"), on(1, 2, "two"))
	if _, err := b.AddPolicies(b.limit(), append(policy("one", "two", 81), policy("one", "four", 80)...), api.Order{By: "test"}); api.KindOf(err) != api.ErrExhausted {
		t.Errorf("a policy for one app too many: %v", err)
	}
	r := b.allow("one", "two", 82)
	a.until(func() bool { return a.last.Revision == uint64(r) })
	if n := a.rules("two"); n != 2 {
		t.Errorf("%d ports of app two are open, want the two of its own", n)
	}
	endpoints, _ := b.Endpoints(b.limit())
	if endpoints[0].Group != 0 || endpoints[1].Group != 2 {
		t.Errorf("endpoints %+v", endpoints)
	}
}

// TestStoppedController: calls after the end fail at once, and say why.
func TestStoppedController(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1)
	if err := b.Drain(b.limit()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.stream.Next(b.limit()); api.KindOf(err) != api.ErrGone {
		t.Errorf("next while draining: %v", err)
	}
	if _, err := b.Open(b.limit(), "cell-1", api.Hello{VTEP: "192.0.2.1"}); api.KindOf(err) != api.ErrUnavailable {
		t.Errorf("open while draining: %v", err)
	}
	b.stop()
	b.stop = func() {}
	if _, err := b.Policies(b.limit(), api.Filter{}); api.KindOf(err) != api.ErrUnavailable {
		t.Errorf("policies after the end: %v", err)
	}
}

// slowStore is a database that takes its time, or does not answer. It keeps
// one cell and what was written.
type slowStore struct {
	write time.Duration

	mu   sync.Mutex
	down bool
	log  []controller.Change
}

func (s *slowStore) Load(context.Context) (controller.Snapshot, error) {
	return controller.Snapshot{Change: controller.Change{Events: []controller.Event{
		controller.LeaseGranted{Peer: flows.Peer{Cell: "cell-1", VTEP: addr("192.0.2.1"), Lease: prefix("10.1.0.0/16")}},
		controller.GroupAssigned{App: "app", Group: 1}, controller.GroupAssigned{App: "x", Group: 2},
	}}}, nil
}

func (s *slowStore) Changes(_ context.Context, after api.Revision) ([]controller.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errors.New("the database is down")
	}
	return s.log[after:], nil
}

func (s *slowStore) Write(_ context.Context, cmd controller.Command) (api.Revision, error) {
	time.Sleep(s.write)
	s.mu.Lock()
	defer s.mu.Unlock()
	revision := api.Revision(len(s.log) + 1)
	var events []controller.Event
	switch cmd := cmd.(type) {
	case controller.FreeGroups:
		for _, group := range cmd.Groups {
			events = append(events, controller.GroupFreed{Group: group, Revision: revision, At: time.Now()})
		}
	case controller.ReleaseGroups:
		for _, freed := range cmd.Groups {
			events = append(events, controller.GroupReleased{Group: freed.Group})
		}
	default:
		events = append(events, controller.PolicyAdded{From: "x", To: "app", Rule: flows.Rule{
			Policy: flows.PolicyID(revision), From: 2, To: 1, Protocol: flows.TCP, Ports: flows.PortRange{First: 80, Last: 80},
		}})
	}
	s.log = append(s.log, controller.Change{Revision: revision, Events: events})
	return revision, nil
}

func (s *slowStore) Renewals(context.Context) ([]controller.Renewal, error) { return nil, nil }

func (s *slowStore) Healthy(context.Context) error { return nil }

func (s *slowStore) Shared() bool { return false }

func (s *slowStore) Audit(context.Context, api.AuditQuery) ([]api.AuditEntry, error) { return nil, nil }

func (s *slowStore) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// runSlow runs a controller over s inside a bubble of fake time, with the
// stream of cell-1 past its snapshot.
func runSlow(t *testing.T, s *slowStore, play func(t *testing.T, c *controller.Controller, st api.Stream, id string)) {
	synctest.Test(t, func(t *testing.T) {
		c, err := controller.New(t.Context(), s, overlay(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = c.Run(ctx) }() // Run has no other end than ctx's
		st, err := c.Open(ctx, "cell-1", api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{on(1, 1, "app")}})
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := st.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		play(t, c, st, snapshot.Stream)
		cancel()
		<-done
	})
}

// TestPublishWaitsForStore: no cell sees a policy before it is durable, and a
// slow database delays nobody but those who write.
func TestPublishWaitsForStore(t *testing.T) {
	runSlow(t, &slowStore{write: time.Minute}, func(t *testing.T, c *controller.Controller, st api.Stream, _ string) {
		began, written := time.Now(), time.Time{}
		go func() {
			if _, err := c.AddPolicies(t.Context(), policy("x", "app", 80), api.Order{By: "test"}); err != nil {
				t.Error(err)
			}
			written = time.Now()
		}()
		synctest.Wait()
		if _, err := c.Endpoints(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("a reader waited %v, %v", time.Since(began), err)
		}
		msg, err := st.Next(t.Context())
		if err != nil || msg.Revision != 1 || time.Since(began) != time.Minute {
			t.Errorf("message %+v after %v, %v", msg, time.Since(began), err)
		}
		synctest.Wait()
		if written.Sub(began) != time.Minute {
			t.Errorf("the write returned after %v", written.Sub(began))
		}
	})
}

// TestWaitWakesWithTheAcknowledgement: a wait under way ends at the moment that
// the last cell confirms, not later.
func TestWaitWakesWithTheAcknowledgement(t *testing.T) {
	runSlow(t, &slowStore{}, func(t *testing.T, c *controller.Controller, st api.Stream, id string) {
		r, err := c.AddPolicies(t.Context(), policy("x", "app", 80), api.Order{By: "test"})
		if err != nil {
			t.Fatal(err)
		}
		began, ended := time.Now(), time.Time{}
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if pending := c.WaitApplied(ctx, r, false); pending != nil {
				t.Errorf("pending %v", pending)
			}
			ended = time.Now()
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !ended.IsZero() {
			t.Error("the wait ended before the acknowledgement")
		}
		msg, err := st.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Acknowledge(t.Context(), "cell-1", api.Applied{Stream: id, Seq: msg.Seq}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if ended.Sub(began) != time.Minute {
			t.Errorf("the wait ended after %v", ended.Sub(began))
		}
	})
}

// TestLogDoesNotAnswer: a write that is durable is acknowledged though the log
// cannot be read; the cells get it when it can.
func TestLogDoesNotAnswer(t *testing.T) {
	s := &slowStore{down: true}
	runSlow(t, s, func(t *testing.T, c *controller.Controller, st api.Stream, _ string) {
		r, err := c.AddPolicies(t.Context(), policy("x", "app", 80), api.Order{By: "test"})
		if r != 1 || err != nil {
			t.Errorf("revision %d, %v", r, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if pending := c.WaitApplied(ctx, r, false); len(pending) != 1 {
			t.Errorf("pending %v while nothing can be known", pending)
		}
		s.set(false)
		if msg, err := st.Next(t.Context()); err != nil || msg.Revision != 1 {
			t.Errorf("message %+v, %v", msg, err)
		}
	})
}

// TestGroupsGoRoundByThemselves: nobody has to ask. Looked for every ten
// seconds, freed when unused twice, released five minutes after all know.
func TestGroupsGoRoundByThemselves(t *testing.T) {
	runSlow(t, &slowStore{}, func(t *testing.T, c *controller.Controller, _ api.Stream, id string) {
		if err := c.Acknowledge(t.Context(), "cell-1", api.Applied{Stream: id, Seq: 1}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, at := range []struct {
			seconds int
			want    string
		}{{19, "app x "}, {21, "app x quarantined "}, {329, "app x quarantined "}, {331, "app "}} {
			time.Sleep(time.Until(began.Add(time.Duration(at.seconds) * time.Second)))
			groups, err := c.Groups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, g := range groups {
				if got += g.App + " "; g.State != "" {
					got += g.State + " "
				}
			}
			if got != at.want {
				t.Errorf("after %d s: %s, want %s", at.seconds, got, at.want)
			}
		}
	})
}
