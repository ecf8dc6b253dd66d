package ovn

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// Add adds a policy as an ACL and waits for the switch.
func (o *OVN) Add(ctx context.Context, p scene.Policy) error {
	uuids, err := o.commit(ctx, inSwitch, insert("ACL", "a", allow(p)), add("Port_Group", byUUID(o.groups[p.To]), "acls", "a"))
	if err == nil {
		o.acls[p] = uuids[0]
	}
	return err
}

// Remove takes back what Add added.
func (o *OVN) Remove(ctx context.Context, p scene.Policy) error {
	_, err := o.commit(ctx, inSwitch, take("Port_Group", byUUID(o.groups[p.To]), "acls", o.acls[p]))
	delete(o.acls, p)
	return err
}

// RemoteContainers adds containers to other cells, of apps that may reach this
// cell's, and takes each away again. Its time is until the switch lets it in.
func (o *OVN) RemoteContainers(ctx context.Context, f *gauge.Figures, bounds gauge.Bounds) error {
	flows, err := gauge.CountFlows(o.sw.Mgmt(bridge))
	if err != nil {
		return err
	}
	defer flows.Close()
	callers := o.scene.Callers()
	if len(callers) == 0 {
		return fmt.Errorf("scene %s: no policy reaches the measured cell", o.scene.Name)
	}
	var took []time.Duration
	added := 0
	err = bounds.Each(ctx, func(i int) error {
		before, err := flows.Count()
		if err != nil {
			return err
		}
		container, app := len(o.scene.Containers)+i, callers[i%len(callers)]
		begin := time.Now()
		uuids, err := o.commit(ctx, inSwitch, insert("Logical_Switch_Port", "p", o.port(container)),
			add("Logical_Switch", byUUID(o.network), "ports", "p"), add("Port_Group", byUUID(o.groups[app]), "ports", "p"))
		if err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		if _, err := o.sb.transact(ctx, o.bind(container, 1+i%len(o.chassis))); err != nil {
			return err
		}
		if _, err := o.commit(ctx, inSwitch); err != nil {
			return err
		}
		after, err := flows.Count()
		if err != nil {
			return err
		}
		added += after - before
		_, err = o.commit(ctx, inSwitch, take("Logical_Switch", byUUID(o.network), "ports", uuids[0]), take("Port_Group", byUUID(o.groups[app]), "ports", uuids[0]))
		return err
	})
	if err == nil {
		f.RemoteAdd, f.RemoteFlows = gauge.SpreadOf(took), float64(added)/float64(len(took))
	}
	return err
}

// Flows is how many flows the switch has.
func (o *OVN) Flows() (int, error) {
	counter, err := gauge.CountFlows(o.sw.Mgmt(bridge))
	if err != nil {
		return 0, err
	}
	defer counter.Close()
	return counter.Count()
}

// Bridge is the path of the bridge's OpenFlow socket.
func (o *OVN) Bridge() string { return o.sw.Mgmt(bridge) }

// Restart restarts ovn-controller as a package's upgrade does, so that it leaves
// its flows, and says how long it took from its start until it was in step.
func (o *OVN) Restart(ctx context.Context) (time.Duration, error) {
	if out, err := exec.CommandContext(ctx, "ovn-appctl", "-t", o.agentControl(), "exit", "--restart").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("ovn-appctl exit --restart: %w: %s", err, out)
	}
	if err := gauge.Reap(ctx, o.agent); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := o.startAgent(); err != nil {
		return 0, err
	}
	_, err := o.commit(ctx, inSwitch)
	return time.Since(begin), err
}
