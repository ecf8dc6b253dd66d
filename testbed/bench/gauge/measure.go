package gauge

import (
	"context"
	"fmt"
	"time"

	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// Process is a program of a system that runs.
type Process struct {
	Name string
	PID  int
}

// System is a cluster that holds a scene, of which one cell is real.
type System interface {
	// Add returns when the cell's switch is known to hold the policy, Remove when
	// it is known not to.
	Add(ctx context.Context, p scene.Policy) error
	Remove(ctx context.Context, p scene.Policy) error
	// Processes are all that a policy change may cost CPU time in.
	Processes() []Process
}

// uncounted are the changes before those that count: connections are opened,
// statements prepared, caches filled.
const uncounted = 3

// Policies adds policies to a system and takes each back at once, so that it
// always has as many as its scene says.
func (f *Figures) Policies(ctx context.Context, s System, policies []scene.Policy, bounds Bounds) error {
	bounds.Most = min(bounds.Most, len(policies)-uncounted)
	var add, del []time.Duration
	change := func(i int) error {
		for _, do := range []struct {
			change func(context.Context, scene.Policy) error
			took   *[]time.Duration
		}{{s.Add, &add}, {s.Remove, &del}} {
			begin := time.Now()
			if err := do.change(ctx, policies[i]); err != nil {
				return err
			}
			*do.took = append(*do.took, time.Since(begin))
		}
		return nil
	}
	for i := range uncounted {
		if err := change(i); err != nil {
			return err
		}
	}
	add, del = nil, nil
	before, err := cpuOf(s.Processes())
	if err != nil {
		return err
	}
	if err := bounds.Each(ctx, func(i int) error { return change(uncounted + i) }); err != nil {
		return err
	}
	after, err := cpuOf(s.Processes())
	if err != nil {
		return err
	}
	f.PolicyAdd, f.PolicyDel, f.CPU = SpreadOf(add), SpreadOf(del), map[string]float64{}
	for name, used := range after {
		f.CPU[name] = Milliseconds(used-before[name]) / float64(len(add)+len(del))
	}
	return f.remember(s.Processes())
}

func (f *Figures) remember(processes []Process) error {
	f.Memory = map[string]Memory{}
	for _, p := range processes {
		m, err := MemoryOf(p.PID)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		f.Memory[p.Name] = m
	}
	return nil
}

func cpuOf(processes []Process) (map[string]time.Duration, error) {
	used := map[string]time.Duration{}
	for _, p := range processes {
		cpu, err := CPU(p.PID)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		used[p.Name] = cpu
	}
	return used, nil
}

// Restarts calls restart, which says how long it took, within the bounds, and
// then as often again, at most three times, while the flows of the bridge with
// this socket are counted: those do not count for the time.
func (f *Figures) Restarts(ctx context.Context, socket string, bounds Bounds, restart func(context.Context) (time.Duration, error)) error {
	var took []time.Duration
	err := bounds.Each(ctx, func(int) error {
		one, err := restart(ctx)
		took = append(took, one)
		return err
	})
	if err != nil {
		return err
	}
	f.Restart = SpreadOf(took)
	const watched = 3
	bounds.Least, bounds.Most = 1, min(watched, bounds.Most)
	stop, err := Lowest(socket)
	if err != nil {
		return err
	}
	failed := bounds.Each(ctx, func(int) error {
		_, err := restart(ctx)
		return err
	})
	f.RestartLowest, err = stop()
	if failed != nil {
		return failed
	}
	return err
}
