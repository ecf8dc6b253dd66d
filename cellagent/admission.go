package cellagent

import (
	"fmt"
	"time"
)

// closure is why the cell takes no new containers now. The zero value: it does.
type closure struct {
	reason  string
	limited bool // those that run may be cut off from others, too
}

// switchGrace is for how long the switch may be away, or take no flows, before
// the cell takes no containers: a restart of ovs-vswitchd is over by then.
const switchGrace = 5 * time.Second

// closure tells it from what the agent knows at now. Nothing of it touches a
// container that runs.
func (a *Agent) closure(now time.Time) closure {
	if a.denied != "" {
		return closure{"the controller gives the cell no lease: " + a.denied, true}
	}
	if reason := a.barred(); reason != "" {
		return closure{reason: reason}
	}
	if err := a.lease.expired(now); err != nil {
		return closure{err.Error(), true}
	}
	for _, what := range []struct {
		fault string
		grace time.Duration
		cuts  bool // off containers that run
	}{{"ovsdb", offlineGrace, false}, {"bridge", offlineGrace, false}, {"switch", switchGrace, true}, {"apply", switchGrace, false}} {
		if f := a.faults[what.fault]; f != nil && now.Sub(f.Since) > what.grace {
			return closure{what.fault + ": " + f.Text, what.cuts}
		}
	}
	if a.stream == nil && now.Sub(a.offlineSince) > offlineGrace {
		return closure{reason: a.absent()}
	}
	return closure{}
}

// barred says why the cell, in step with its controller, is to start no
// containers, or "". One that is being started is refused, too.
func (a *Agent) barred() string {
	switch {
	case a.cfg.SingleIPOnly:
		return "its only address is its own (single_ip_only)"
	case a.draining:
		return fmt.Sprintf("it is being drained (weft cells undrain %s ends that)", a.cfg.Cell)
	}
	return ""
}

// absent says that the controller is away, and why if that is known.
func (a *Agent) absent() string {
	return fmt.Sprintf("cell agent is not connected to the controller %s: %s", a.cfg.Controller, a.away())
}

// away says why no controller tells the cell what is wanted, "" while one does.
func (a *Agent) away() string {
	switch {
	case a.stream != nil && a.stream.id != "":
		return ""
	case a.faults["lease"] == nil && a.toOpen && a.mtu == 0:
		return "it has answered, and is asked what it wants once the bridge is made"
	}
	return a.why("lease", "stream", "ovsdb")
}
