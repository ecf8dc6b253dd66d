package doctor

import (
	"context"
	"fmt"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/conntrack"
	"github.com/weft-sdn/weft/flows"
)

// Tracking is whether the host tracks the connections of the tunnel's own
// packets. It must not: each peer and source port is one, and they fill the
// tracker that the containers' connections need.
type Tracking struct {
	InStep  bool // the host's rules are as the agent loaded them
	Entries int  // of the tunnel's UDP port in the host's zone
}

func lookTracking(ctx context.Context, from Sources, f *Facts) (err error) {
	if f.Cell.HostOn {
		if f.Tracking.InStep, err = from.Rules.InStep(ctx); err != nil {
			return err
		}
	}
	if f.Cell.Userspace || f.Cell.UDPPort == 0 {
		return nil
	}
	zone, err := conntrack.Open()
	if err != nil {
		return err
	}
	defer zone.Close()
	entries, err := zone.List(conntrack.Selection{Zone: conntrack.HostZone, Protocol: flows.UDP, Port: f.Cell.UDPPort})
	f.Tracking.Entries = len(entries)
	return err
}

func judgeTracking(f Facts) []api.Finding {
	t, tunnel := f.Tracking, f.TunnelPort.Made && !f.Cell.Userspace
	switch {
	case f.Cell.HostOn && !t.InStep:
		return []api.Finding{failure(Notrack, "weft-agent loads them again at each reconcile_interval; nft monitor shows who changes them",
			"the nftables tables inet weft and bridge weft are not as weft-agent loaded them")}
	case tunnel && f.Cell.HostDue:
		return f.Cell.hostless(Notrack)
	case tunnel && !f.Cell.HostOn:
		return []api.Finding{warning(Notrack, "run weft-agent in the network namespace of ovs-vswitchd; weft-agent status tells more",
			"the host's side is off (%s): its tracker sees the tunnel's packets, and containers reach nothing outside", f.Cell.HostOff)}
	case t.Entries > 0:
		return []api.Finding{warning(Notrack, fmt.Sprintf("they end by themselves within three minutes; or at once: conntrack -D -p udp --orig-port-dst %d", f.Cell.UDPPort),
			"the host's tracker has %d entries of UDP %d, from before the rules were loaded", t.Entries, f.Cell.UDPPort)}
	case !tunnel:
		return []api.Finding{fine(Notrack, "there is no tunnel to track")}
	}
	return []api.Finding{fine(Notrack, "the tables inet weft and bridge weft are as loaded, and the host tracks nothing of UDP %d", f.Cell.UDPPort)}
}
