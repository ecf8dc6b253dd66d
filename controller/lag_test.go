package controller_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// laggard is an agent that reads, acknowledges, leaves and comes back as chance
// has it, on a cell whose switch holds what was last acknowledged.
type laggard struct {
	*agent
	n       int
	open    bool
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
	l.unheld = append(l.unheld, version{msg.Seq, maps.Clone(l.table)})
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

// step does one thing of its own choice.
func (l *laggard) step(random *rand.Rand) {
	choice := random.IntN(40)
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
	case !l.open && choice < 30:
	case !l.open:
		var all []api.Endpoint
		for i, app := range l.running {
			all = append(all, on(l.n, i, app))
		}
		stream, err := l.Open(l.limit(), l.cell, api.Hello{VTEP: fmt.Sprintf("192.0.2.%d", l.n), Endpoints: all})
		if err != nil {
			l.Fatal(err)
		}
		l.stream, l.open, l.unheld = stream, true, nil
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

// TestNoSwitchKnowsAnIDAsAnothers: whatever lags, leaves and comes back, with
// fewer ids than apps: no switch marks packets of one app with an id that is
// another app's.
func TestNoSwitchKnowsAnIDAsAnothers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	moved := 0 // ids that went from one app to another
	for range 6 {
		b := start(t)
		b.restart(gormstore.Options{MaxGroup: 3})
		var cells []*laggard
		for n := 1; n <= 2; n++ {
			l := &laggard{agent: b.cellNumber(n), n: n, open: true, running: map[int]string{}, apps: map[string]string{}}
			l.unheld = []version{{l.last.Seq, maps.Clone(l.table)}}
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
			for _, g := range groups {
				id := fmt.Sprint(g.Group)
				if owner[id] != "" && owner[id] != g.App {
					moved++
				}
				owner[id] = g.App
				for _, l := range cells {
					for app := range l.whose[id] {
						if app != g.App {
							t.Fatalf("id %s is %s's, and the switch of %s marks packets of %s with it", id, g.App, l.cell, app)
						}
					}
				}
			}
		}
	}
	t.Logf("%d ids went from one app to another", moved)
	if moved == 0 {
		t.Error("no id ever went to another app: this proves nothing")
	}
}
