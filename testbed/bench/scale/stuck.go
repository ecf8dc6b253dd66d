package scale

import (
	"context"
	"time"

	"github.com/weft-sdn/weft/testbed/fleet"
)

const (
	stuck    = 20 // agents that do not read, and as many that acknowledge late; fewer in a small fleet
	slowness = 5 * time.Second

	// How often all containers of the deaf agents' cells are replaced: at first
	// until neither a connection's window (4 MB) nor the controller's bound for a
	// stream (4,096 fragments) takes more, then while memory is watched.
	stuckTimes, moreTimes = 80, 40
	// The same of the slow ones', so that they owe acknowledgements.
	slowTimes = 5
)

// stuckAgents measures policy changes on other cells while some agents do not
// read what they are sent, though their cells change, and some acknowledge late.
func (r *run) stuckAgents(ctx context.Context) error {
	n := min(stuck, r.Cells/10)
	var deaf, slow, both []int
	for i := range n {
		deaf, slow = append(deaf, 2*i), append(slow, 2*i+1)
	}
	both = append(append(both, deaf...), slow...)
	if err := r.fleet.Behave(deaf, fleet.Manner{Deaf: true}); err != nil {
		return err
	}
	if err := r.fleet.Behave(slow, fleet.Manner{AckAfter: slowness}); err != nil {
		return err
	}
	r.Say("%d agents do not read, %d acknowledge after %v", len(deaf), len(slow), slowness)
	if err := r.fleet.Restart(deaf, stuckTimes); err != nil {
		return err
	}
	if err := r.fleet.Restart(slow, slowTimes); err != nil {
		return err
	}
	before, err := r.usage()
	if err != nil {
		return err
	}
	if r.result.Stuck, err = r.times(ctx, r.cluster.fresh(uncounted+changes/2, both), changesFor/3); err != nil {
		return err
	}
	if err := r.fleet.Restart(deaf, moreTimes); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	r.result.StuckAgents, r.result.StuckGrowth = len(deaf), after.memory.RSS-before.memory.RSS
	if err := r.fleet.Behave(both, fleet.Manner{}); err != nil {
		return err
	}
	return r.settle(ctx, r.Cells, startPatience)
}
