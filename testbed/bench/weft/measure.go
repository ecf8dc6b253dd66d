package weft

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// applied waits for the switches of all cells that are connected.
var applied = api.Wait{For: api.WaitApplied, Timeout: 30 * time.Second}

// Add adds a policy and waits for the switch.
func (w *Weft) Add(ctx context.Context, p scene.Policy) error {
	change, err := w.controller.client.AddPolicies(ctx, w.bodies(p), applied)
	return confirmed(change, err)
}

// Remove takes it back and waits for the switch.
func (w *Weft) Remove(ctx context.Context, p scene.Policy) error {
	change, err := w.controller.client.RemovePolicies(ctx, w.bodies(p), applied)
	return confirmed(change, err)
}

func confirmed(change api.Change, err error) error {
	if err == nil && len(change.Pending) > 0 {
		return fmt.Errorf("revision %d is not applied on %v after %v", change.Revision, change.Pending, applied.Timeout)
	}
	return err
}

// RemoteContainers adds containers to another cell, of apps that may reach the
// measured cell's, and takes each away again. Its time is from the report of the
// container until that cell has been told the container's flows.
func (w *Weft) RemoteContainers(ctx context.Context, f *gauge.Figures, bounds gauge.Bounds) error {
	const cell = 1
	on := slices.DeleteFunc(slices.Clone(w.scene.Containers), func(c scene.Container) bool { return c.Cell != cell })
	o, err := w.join(ctx, cell, on)
	if err != nil {
		return err
	}
	callers := w.scene.Callers()
	if len(callers) == 0 {
		return fmt.Errorf("scene %s: no policy reaches the measured cell", w.scene.Name)
	}
	before, err := w.status(ctx)
	if err != nil {
		return err
	}
	var took []time.Duration
	var bytes []uint64
	err = bounds.Each(ctx, func(i int) error {
		heard, err := w.heard()
		if err != nil {
			return err
		}
		container := o.endpoint(fmt.Sprintf("more-%d", i), w.scene.Apps[callers[i%len(callers)]], len(on))
		begin := time.Now()
		if err := o.report(ctx, api.EndpointsReport{Up: []api.Endpoint{container}}); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		if err := o.report(ctx, api.EndpointsReport{Down: []string{container.Container}}); err != nil {
			return err
		}
		now, err := w.heard()
		bytes = append(bytes, now-heard)
		return err
	})
	if err != nil {
		return err
	}
	after, err := w.status(ctx)
	if err != nil {
		return err
	}
	slices.Sort(bytes)
	f.RemoteAdd, f.RemoteBytes = gauge.SpreadOf(took), float64(bytes[len(bytes)/2])
	f.RemoteFlows = float64(after.Counters.FlowMods-before.Counters.FlowMods) / float64(len(took))
	return o.leave()
}

// report tells the controller, and waits until it has told the cell what
// follows from that.
func (o *other) report(ctx context.Context, r api.EndpointsReport) error {
	r.Stream = o.id
	if err := o.client.Report(ctx, r); err != nil {
		return err
	}
	select {
	case m := <-o.told:
		if m.Refused != nil && len(*m.Refused) > 0 {
			return fmt.Errorf("the controller refuses the container: %s", (*m.Refused)[0].Reason)
		}
		return nil
	case <-time.After(startPatience):
		return fmt.Errorf("the controller has told the cell nothing of its container within %v", startPatience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Flows is how many flows the switch has.
func (w *Weft) Flows() (int, error) {
	counter, err := gauge.CountFlows(w.Bridge())
	if err != nil {
		return 0, err
	}
	defer counter.Close()
	return counter.Count()
}

// Bridge is the path of the bridge's OpenFlow socket.
func (w *Weft) Bridge() string { return w.sw.Mgmt(bridge) }
