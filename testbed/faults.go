package testbed

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// KillAgent ends the cell's agent as a crash would, with SIGKILL.
func (c *Cell) KillAgent() {
	c.bed.Helper()
	c.bed.must(c.agent.stop(syscall.SIGKILL))
}

// StartAgent starts the cell's agent and returns when it is connected.
func (c *Cell) StartAgent() {
	c.bed.Helper()
	c.bed.must(c.startAgent())
	c.bed.must(c.awaitConnected())
}

// AwaitConnected returns when the controller lists the cell as connected.
func (c *Cell) AwaitConnected() {
	c.bed.Helper()
	c.bed.must(c.awaitConnected())
}

// RestartVswitchd ends ovs-vswitchd with SIGKILL and starts it again. Its
// flows are gone then.
func (c *Cell) RestartVswitchd() {
	c.bed.Helper()
	c.bed.must(c.ovs.stopVswitchd(syscall.SIGKILL))
	c.bed.must(c.ovs.startVswitchd())
}

// WipeFlows deletes every flow of the bridge behind the agent's back.
func (c *Cell) WipeFlows() {
	c.bed.Helper()
	_, err := c.ovs.run("ovs-ofctl", "-O", "OpenFlow14", "del-flows", bridgeName)
	c.bed.must(err)
}

// Installed is what a switch holds at one moment: each flow with its age.
type Installed struct {
	cell  *Cell
	taken time.Time
	flows map[string]time.Duration // flow without statistics -> how long it is there
}

// Snapshot records the cell's flows, to compare later.
func (c *Cell) Snapshot() Installed {
	c.bed.Helper()
	s, err := c.snapshot()
	c.bed.must(err)
	return s
}

func (c *Cell) snapshot() (Installed, error) {
	s := Installed{cell: c, taken: time.Now(), flows: map[string]time.Duration{}}
	lines, err := c.ovs.dumpFlows("")
	for _, line := range lines {
		age, err := time.ParseDuration(field(line, "duration"))
		if err != nil {
			return s, fmt.Errorf("flow without duration: %s", line)
		}
		s.flows[withoutStatistics(line)] = age
	}
	return s, err
}

// withoutStatistics removes what changes while a flow only sits there.
func withoutStatistics(line string) string {
	var kept []string
	for _, word := range strings.Split(line, ", ") {
		key, _, _ := strings.Cut(word, "=")
		if !slices.Contains([]string{"duration", "n_packets", "n_bytes", "idle_age", "hard_age"}, key) {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, ", ")
}

// Untouched holds that the switch has exactly the flows of the snapshot, and
// that none of them was installed anew since.
func (s Installed) Untouched() {
	bed := s.cell.bed
	bed.Helper()
	now := s.cell.Snapshot()
	for flow := range now.flows {
		if _, ok := s.flows[flow]; !ok {
			bed.Errorf("%s: new flow %s", s.cell.name, flow)
		}
	}
	// A flow's clock starts at zero when it is added, also over an equal one.
	passed := now.taken.Sub(s.taken)
	for flow, age := range s.flows {
		later, ok := now.flows[flow]
		switch {
		case !ok:
			bed.Errorf("%s: flow is gone: %s", s.cell.name, flow)
		case later < age+passed/2:
			bed.Errorf("%s: flow was installed again (it was %s old, %s later it is %s old): %s", s.cell.name, age, passed, later, flow)
		}
	}
}

// SameFlows returns an error unless the switch answers and has exactly the
// flows of the snapshot, however often installed.
func (s Installed) SameFlows() error {
	now, err := s.cell.snapshot()
	if err != nil {
		return err
	}
	for flow := range now.flows {
		if _, ok := s.flows[flow]; !ok {
			return fmt.Errorf("%s: new flow %s", s.cell.name, flow)
		}
	}
	for flow := range s.flows {
		if _, ok := now.flows[flow]; !ok {
			return fmt.Errorf("%s: flow is gone: %s", s.cell.name, flow)
		}
	}
	return nil
}
