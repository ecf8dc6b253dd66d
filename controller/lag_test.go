package controller_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// laggard is an agent that reads, acknowledges, leaves and comes back as chance
// has it, on a cell whose switch holds what was last acknowledged.
type laggard struct {
	*agent
	n       int
	open    bool
	expired int                        // how often its lease has
	out     bool                       // it has, and its switch has not been in step since
	away    int                        // steps that it stays away, then
	at      api.Revision               // of the switch's table
	lazy    bool                       // it acknowledges nothing for now
	running map[int]string             // container number -> app
	apps    map[string]string          // fragment key -> whose endpoint it is, as last reported
	unheld  []version                  // what was read and the switch does not hold yet
	holds   map[string]flows.Fragment  // the switch's table
	whose   map[string]map[string]bool // group id -> apps whose packets the switch marks with it
}

// version is the table after a message of the stream.
type version struct {
	seq   uint64
	at    api.Revision
	table map[string]flows.Fragment
}

// read takes what there is on the stream, for a moment.
func (l *laggard) read() {
	ctx, cancel := context.WithTimeout(l.Context(), 2*time.Millisecond)
	defer cancel()
	msg, err := l.stream.Next(ctx)
	if err != nil {
		return
	}
	if msg.Type == api.TypeSnapshot {
		l.table = map[string]flows.Fragment{}
		l.id = msg.Stream
	}
	for _, wire := range msg.Set {
		if l.table[wire.Key], err = api.FragmentFromWire(wire); err != nil {
			l.Fatal(err)
		}
	}
	for _, key := range msg.Remove {
		delete(l.table, key)
	}
	l.unheld = append(l.unheld, version{msg.Seq, api.Revision(msg.Revision), maps.Clone(l.table)})
}

// install makes the switch hold what was read, or some of it, and says so.
func (l *laggard) install(some int) {
	if some == 0 {
		return
	}
	now := l.unheld[some-1]
	if err := l.Acknowledge(l.limit(), l.cell, api.Applied{Stream: l.id, Seq: now.seq}); err != nil {
		return // replaced meanwhile
	}
	l.unheld, l.holds, l.whose = l.unheld[some:], now.table, map[string]map[string]bool{}
	l.at, l.out = now.at, false
	for i := range 4 {
		key := string(flows.EndpointKey(on(l.n, i, "").Container))
		if _, has := l.holds[key]; !has {
			continue
		}
		if group := l.groupIn(l.holds, on(l.n, i, "").Container); group != "0" {
			if l.whose[group] == nil {
				l.whose[group] = map[string]bool{}
			}
			l.whose[group][l.apps[key]] = true
		}
	}
}

// expire ends the cell's lease, as for one that has been away for too long. Its
// switch goes on with what it holds.
func (l *laggard) expire() {
	renewals, err := l.store.Renewals(l.limit())
	if err != nil {
		l.Fatal(err)
	}
	of := slices.DeleteFunc(renewals, func(r controller.Renewal) bool { return r.Cell != l.cell })
	if _, err := l.store.Write(l.limit(), controller.ExpireLeases{Leases: of}); err != nil {
		l.Fatal(err)
	}
	if len(of) > 0 {
		l.expired, l.out, l.away = l.expired+1, true, 60
	}
}

// knows reports whether the switch sends to another cell and accepts from it.
func (l *laggard) knows(other *laggard) bool {
	_, has := l.holds[string(flows.PeerKey(other.cell))]
	return has
}

// inStep notes the revision of the switch's table if that has nothing for it to
// be told: then no message does.
func (l *laggard) inStep() {
	cells, err := l.Cells(l.limit())
	if err != nil {
		l.Fatal(err)
	}
	for _, c := range cells {
		if c.Cell == string(l.cell) && c.Connected && !c.Behind {
			l.at = max(l.at, api.Revision(c.Applied))
		}
	}
}

// ownerAt is the app whose an id is as of a revision, "" for nobody's: then no
// table of that revision has a policy for it.
func (b *bench) ownerAt(id string, at api.Revision) (app string) {
	b.Helper()
	changes, err := b.store.Changes(b.limit(), 0)
	if err != nil {
		b.Fatal(err)
	}
	for _, change := range changes {
		if change.Revision > at {
			break
		}
		for _, ev := range change.Events {
			switch ev := ev.(type) {
			case controller.GroupAssigned:
				if fmt.Sprint(ev.Group) == id {
					app = string(ev.App)
				}
			case controller.GroupFreed:
				if fmt.Sprint(ev.Group) == id {
					app = ""
				}
			}
		}
	}
	return app
}

// step does one thing of its own choice.
func (l *laggard) step(random *rand.Rand) {
	choice := random.IntN(40)
	l.away--
	switch {
	case choice >= 3 && choice < 12: // a container ends, or another starts. Numbers are for one app each
		i := random.IntN(4)
		app := fmt.Sprintf("app-%d", (l.n+i)%5)
		var up []api.Endpoint
		var down []string
		if _, runs := l.running[i]; runs {
			delete(l.running, i)
			down = append(down, on(l.n, i, "").Container)
		} else {
			l.running[i] = app
			up = append(up, on(l.n, i, app))
		}
		l.apps[string(flows.EndpointKey(on(l.n, i, "").Container))] = app
		if l.open && l.id != "" {
			_ = l.report(up, down...) // Gone before the first snapshot was read: the next hello says it
		}
	case !l.open && l.away > 0:
	case !l.open && choice < 22 && l.away < -20:
		l.expire()
	case !l.open && choice < 30:
	case !l.open:
		if _, err := l.Lease(l.limit(), l.cell, api.LeaseRequest{VTEP: fmt.Sprintf("192.0.2.%d", l.n), Subnet: fmt.Sprintf("10.%d.0.0/16", l.n), Containers: len(l.running)}); err != nil {
			l.Fatal(err)
		}
		var all []api.Endpoint
		for i, app := range l.running {
			all = append(all, on(l.n, i, app))
		}
		stream, err := l.Open(l.limit(), l.cell, api.Hello{VTEP: fmt.Sprintf("192.0.2.%d", l.n), Endpoints: all})
		if err != nil {
			l.Fatal(err)
		}
		l.stream, l.open, l.unheld = stream, true, nil
		l.lazy = l.lazy || l.away > -30 // it has just been away for long: let the others be quicker
	case choice == 0:
		l.stream.Close()
		l.open = false
	case choice < 3:
		l.lazy = !l.lazy
	default:
		l.read()
		if !l.lazy {
			l.install(random.IntN(len(l.unheld) + 1))
		}
	}
}

// confusions fails the test if packets that a switch marks with an app's id are
// taken for another app's. It returns how many apps a switch knows by an id that
// is somebody else's now.
func confusions(t *testing.T, cells []*laggard, id, app string) (stale int) {
	t.Helper()
	for i, l := range cells {
		for old := range l.whose[id] {
			if old == app {
				continue
			}
			stale++
			other := cells[1-i]
			owner := other.ownerAt(id, other.at) // as its switch knows it
			if !l.out || l.knows(other) && other.knows(l) && owner != old && owner != "" {
				t.Fatalf("id %s is %s's, and the switch of %s marks packets of %s with it; it sends to %s: %v, and that accepts from it: %v",
					id, app, l.cell, old, other.cell, l.knows(other), other.knows(l))
			}
		}
	}
	return stale
}

// TestNoSwitchKnowsAnIDAsAnothers: whatever lags, leaves and comes back, with
// fewer ids than apps: no switch marks packets of one app with an id that is
// another app's, unless the lease of its cell has expired; and between that cell
// and one whose switch knows the id as the other app's nothing goes.
func TestNoSwitchKnowsAnIDAsAnothers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	moved := 0   // ids that went from one app to another
	expired := 0 // leases that did
	stale := 0   // switches that knew an id as another's, and were heard by nobody
	for round := 0; round < 12 || stale == 0 && round < 100; round++ {
		b := start(t)
		b.restart(gormstore.Options{MaxGroup: 3})
		var cells []*laggard
		for n := 1; n <= 2; n++ {
			l := &laggard{agent: b.cellNumber(n), n: n, open: true, running: map[int]string{}, apps: map[string]string{}}
			l.unheld = []version{{l.last.Seq, api.Revision(l.last.Revision), maps.Clone(l.table)}}
			cells = append(cells, l)
		}
		owner := map[string]string{}
		for range 400 {
			cells[random.IntN(len(cells))].step(random)
			if random.IntN(4) == 0 {
				b.tick(over)
			}
			groups, err := b.Groups(b.limit())
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range cells {
				l.inStep()
			}
			for _, g := range groups {
				id := fmt.Sprint(g.Group)
				if owner[id] != "" && owner[id] != g.App {
					moved++
				}
				owner[id] = g.App
				stale += confusions(t, cells, id, g.App)
			}
		}
		for _, l := range cells {
			expired += l.expired
		}
	}
	t.Logf("%d leases expired; %d times a switch that nobody hears knew an id as another's", expired, stale)
	t.Logf("%d ids went from one app to another", moved)
	if moved == 0 || expired == 0 || stale == 0 {
		t.Error("no id ever went to another app, no lease expired, or no cell that was away knew an id as another's: this proves nothing")
	}
}
