package weft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
)

// restartPatience bounds a restart of the agent.
const restartPatience = 2 * time.Minute

// stopAgent stops it, and returns when the controller knows.
func (w *Weft) stopAgent(ctx context.Context) error {
	if err := gauge.Stop(ctx, w.agent); err != nil {
		return err
	}
	return w.controller.untilCell(ctx, cellAway)
}

// cellAway is what the controller says of a cell whose agent has gone.
func cellAway(cell api.Cell) bool { return !cell.Connected }

// Restart restarts weft-agent and says how long it took from its start until
// the controller knew it to be in step. The switch's flows must be untouched.
func (w *Weft) Restart(ctx context.Context) (time.Duration, error) {
	took, err := w.again(ctx, func() error { return nil })
	if err != nil {
		return 0, err
	}
	return took, w.untouched(ctx)
}

// untouched fails unless an agent that was restarted has changed nothing in a
// switch that holds the whole table. On a loaded machine the agent may give up
// its comparison, and is asked again.
func (w *Weft) untouched(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restartPatience)
	defer cancel()
	var s cellagent.Status
	err := gauge.Poll(ctx, 100*time.Millisecond, func() (is bool, err error) {
		s, err = w.status(ctx)
		return s.InStep || len(s.Missing)+len(s.Foreign) > 0, err
	})
	if err == nil && s.Counters.FlowMods == 0 && s.InStep {
		return nil
	}
	return fmt.Errorf("the restart changed %d flows; missing %d, foreign %d; faults %+v: %w", s.Counters.FlowMods, len(s.Missing), len(s.Foreign), s.Faults, cmp.Or(err, errors.New("it was to change nothing")))
}

// NewCells empties the cell's switch and the agent's folder, as they are on a
// new cell, and says how long the whole table takes from the agent's start.
func (w *Weft) NewCells(ctx context.Context, f *gauge.Figures, bounds gauge.Bounds) error {
	var took []time.Duration
	err := bounds.Each(ctx, func(int) error {
		one, err := w.again(ctx, func() error {
			_, err := w.sw.Run(ctx, "ovs-ofctl", "del-flows", bridge)
			if err == nil {
				err = os.RemoveAll(w.path("agent"))
			}
			return err
		})
		if err != nil {
			return err
		}
		took = append(took, one)
		n, err := w.Flows()
		if err == nil && n != f.Flows {
			err = fmt.Errorf("the new cell has %d flows, want %d", n, f.Flows)
		}
		return err
	})
	f.NewCell = gauge.SpreadOf(took)
	return err
}

// again stops the agent, calls meanwhile, and starts it.
func (w *Weft) again(ctx context.Context, meanwhile func() error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, restartPatience)
	defer cancel()
	if err := w.stopAgent(ctx); err != nil {
		return 0, err
	}
	if err := meanwhile(); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := w.startAgent(); err != nil {
		return 0, err
	}
	err := w.controller.inStep(ctx)
	return time.Since(begin), err
}
