package weft

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

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

// heard is how many bytes weft-agent's connections to the controller have
// received: what the kernel counts, headers left out.
func (w *Weft) heard() (uint64, error) {
	dir := fmt.Sprintf("/proc/%d/fd", w.agent.PID)
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	its := map[string]bool{}
	for _, file := range files {
		if target, err := os.Readlink(dir + "/" + file.Name()); err == nil { // else it has just been closed
			its[target] = true
		}
	}
	sockets, err := netlink.SocketDiagTCPInfo(netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("read the kernel's TCP counters: %w", err)
	}
	var sum uint64
	found := false
	for _, s := range sockets {
		at := fmt.Sprintf("%v:%d", s.InetDiagMsg.ID.Destination, s.InetDiagMsg.ID.DestinationPort)
		if s.TCPInfo != nil && its[fmt.Sprintf("socket:[%d]", s.InetDiagMsg.INode)] && strings.HasSuffix(at, w.controller.internal) {
			sum += s.TCPInfo.Bytes_received
			found = true
		}
	}
	if !found {
		return 0, fmt.Errorf("the agent has no connection to %s", w.controller.internal)
	}
	return sum, nil
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

// cellAway is what the controller says of a cell whose agent has gone.
func cellAway(cell api.Cell) bool { return !cell.Connected }

// Restart restarts weft-agent and says how long it took from its start until
// the controller knew it to be in step. The switch's flows must be untouched.
func (w *Weft) Restart(ctx context.Context) (time.Duration, error) {
	took, err := w.again(ctx, func() error { return nil })
	if err != nil {
		return 0, err
	}
	s, err := w.status(ctx)
	if err == nil && (s.Counters.FlowMods != 0 || !s.InStep) {
		err = fmt.Errorf("the restart changed %d flows; in step: %v", s.Counters.FlowMods, s.InStep)
	}
	return took, err
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
