package testbed

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// atOnce is how many probes are under way at one time: enough to keep both of
// the lab's CPUs busy while some wait, few enough that none waits for a CPU
// until it times out.
const atOnce = 24

// trial is one cell of a truth table.
type trial struct {
	from, to *Container
	what     string
	want     Outcome
	got      Answer
}

func (t trial) String() string {
	return fmt.Sprintf("%s (%s) -> %s (%s) on %s: want %v, got %v",
		t.from.ID, t.from.Cell.name, t.to.ID, t.to.Cell.name, t.what, t.want, t.got)
}

// Truth says what a truth table held.
type Truth struct {
	Connected, Refused int
	Median, Slowest    time.Duration // of the refused, from the attempt to the error
}

func (t Truth) String() string {
	return fmt.Sprintf("%d connected, %d refused (in the median after %.1f ms, at most %.1f ms)",
		t.Connected, t.Refused, float64(t.Median.Microseconds())/1000, float64(t.Slowest.Microseconds())/1000)
}

// TruthTable tries every ordered pair of the containers on each of what, for
// example "tcp/8080", and holds that exactly the allowed ones connect and that
// all others are refused, at the latest when the flow caches have followed the
// tables. Every container listens on all of it.
func (b *Bed) TruthTable(what []string, containers []*Container, allowed func(from, to *Container, what string) bool) Truth {
	b.Helper()
	for _, c := range containers {
		for _, w := range what {
			c.Serve(w)
		}
	}
	trials := pairs(what, containers)
	for i := range trials {
		t := &trials[i]
		t.want = Refused
		if allowed(t.from, t.to, t.what) {
			t.want = Connected
		}
	}
	if probeAll(toProbe(trials)); len(wrongOf(trials)) > 0 {
		b.settle() // a policy may have changed just before
		probeAll(wrongOf(trials))
	}
	var wrong []string
	for _, t := range wrongOf(trials) {
		wrong = append(wrong, t.String())
	}
	if len(wrong) > 0 {
		first := wrongOf(trials)[0]
		b.Fatalf("%d of %d are not as policy says:\n%s\n%s", len(wrong), len(trials),
			strings.Join(wrong[:min(len(wrong), 40)], "\n"), b.explain(first.from, first.to, first.what))
	}
	return summary(trials)
}

// pairs orders the trials so that neighbours have different senders: answers
// are limited in rate by sender.
func pairs(what []string, containers []*Container) []trial {
	var all []trial
	for _, w := range what {
		for distance := 1; distance < len(containers); distance++ {
			for i, from := range containers {
				all = append(all, trial{from: from, to: containers[(i+distance)%len(containers)], what: w})
			}
		}
	}
	return all
}

// toProbe are all trials.
func toProbe(trials []trial) (all []*trial) {
	for i := range trials {
		all = append(all, &trials[i])
	}
	return all
}

// wrongOf are those that did not end as they should.
func wrongOf(trials []trial) []*trial {
	return slices.DeleteFunc(toProbe(trials), func(t *trial) bool { return t.got.Outcome == t.want })
}

// probeAll tries every one, a second time if nothing came back.
func probeAll(trials []*trial) {
	next := make(chan *trial)
	var wait sync.WaitGroup
	for range atOnce {
		wait.Go(func() {
			for t := range next {
				t.got = t.from.Ask(addressOf(t.to, t.what), t.what)
				if t.got.Outcome == TimedOut {
					t.got = t.from.Ask(addressOf(t.to, t.what), t.what)
				}
			}
		})
	}
	for _, t := range trials {
		next <- t
	}
	close(next)
	wait.Wait()
}

func summary(trials []trial) Truth {
	var truth Truth
	var refused []time.Duration
	for _, t := range trials {
		if t.got.Outcome == Connected {
			truth.Connected++
		} else {
			refused = append(refused, t.got.Took)
		}
	}
	slices.SortFunc(refused, cmp.Compare)
	if truth.Refused = len(refused); truth.Refused > 0 {
		truth.Median, truth.Slowest = refused[len(refused)/2], refused[len(refused)-1]
	}
	return truth
}
