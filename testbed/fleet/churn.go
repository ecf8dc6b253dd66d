package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
)

// churnPatience is how long is waited for the last changes of a churn.
const churnPatience = 30 * time.Second

// Churn is containers that come and go: in each change one container of a random
// cell ends, and another, of a random app, starts in its place.
type Churn struct {
	PerSecond int
	For       time.Duration
	Seed      uint64 // the same changes each time
}

// Churned is what became of it. The time of a change is from when it was due, be
// it reported late, until the controller has heard that its delta is applied.
type Churned struct {
	Changes   int
	Took      gauge.Spread // of those acknowledged; others were overtaken by the next change of the same container
	PerSecond float64      // acknowledged, until the last one was
}

// Churn changes containers at the given pace, however long each change takes, and
// waits for the last.
func (f *Fleet) Churn(ctx context.Context, c Churn) (Churned, error) {
	f.counts.taken()
	random := rand.New(rand.NewPCG(c.Seed, 0))
	n := int(float64(c.PerSecond) * c.For.Seconds())
	begin := time.Now()
	for i := range n {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(c.PerSecond))
		if err := sleepUntil(ctx, due); err != nil {
			return Churned{}, err
		}
		a, from := f.agents[random.IntN(len(f.agents))], f.agents[random.IntN(len(f.agents))]
		app := from.app(random)
		if !a.replace(random.IntN(len(a.containers)), app, due) {
			return Churned{}, fmt.Errorf("churn: %s has no stream: %s", a.id, f.Status().LastFault)
		}
	}
	for deadline := time.Now().Add(churnPatience); f.awaited() > 0; {
		if time.Now().After(deadline) {
			return Churned{}, fmt.Errorf("churn: %d of %d changes are not acknowledged %v after the last", f.awaited(), n, churnPatience)
		}
		if err := sleepUntil(ctx, time.Now().Add(time.Millisecond)); err != nil {
			return Churned{}, err
		}
	}
	took, spread := time.Since(begin), gauge.SpreadOf(f.counts.taken())
	return Churned{Changes: n, Took: spread, PerSecond: float64(spread.N) / took.Seconds()}, nil
}

// app is that of one of the cell's containers.
func (a *agent) app(random *rand.Rand) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.containers[random.IntN(len(a.containers))].App
}

// awaited counts the changes whose consequence is not acknowledged.
func (f *Fleet) awaited() int {
	n := 0
	for _, a := range f.agents {
		a.mu.Lock()
		if a.talk != nil {
			n += a.talk.open()
		}
		a.mu.Unlock()
	}
	return n
}

// open counts the changes that are under way.
func (t *talk) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.awaited) + len(t.carried)
}

// Restart has each of these cells replace all its containers, so many times, by
// others of the same apps. Whether its agent reads what comes of it or not, the
// controller hears of each time before the next, unless the agent has no stream:
// then its next hello says what runs.
func (f *Fleet) Restart(ctx context.Context, cells []int, times int) error {
	for range times {
		for _, cell := range cells {
			f.agents[cell].restart()
		}
		for _, cell := range cells {
			for !f.agents[cell].told() {
				if err := sleepUntil(ctx, time.Now().Add(time.Millisecond)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// restart replaces all containers.
func (a *agent) restart() {
	a.mu.Lock()
	running := slices.Clone(a.containers)
	a.mu.Unlock()
	for i, c := range running {
		a.replace(i, c.App, time.Time{})
	}
}

// told reports whether the controller has heard of all that changed on the cell,
// or will by the next hello.
func (a *agent) told() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.talk == nil || a.talk.told()
}

func sleepUntil(ctx context.Context, due time.Time) error {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}
