package cellagent

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent/conntrack"
	"github.com/weft-sdn/weft/cellagent/flowlog"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// notices are the agent's helpers that work beside its loop: the flow log, and
// what clears the connection tracker. They see its state as it publishes it.
type notices struct {
	log     *flowlog.Log
	tracker *tracker
	seen    atomic.Pointer[view]

	hash    flows.Hash                 // of the table in seen
	since   flows.Hash                 // of the one that differs from what is wanted in the fragments changed
	changed map[flows.FragmentKey]bool // nil: none has been heard of since
	ports   []ovsdb.Port               // in seen
	swept   uint64                     // switch connection for which the tracker was swept
	logs    bool                       // the flow log runs
}

// hear notes the fragments that a message changed in the table with a hash.
func (n *notices) hear(before flows.Hash, changed []flows.FragmentKey) {
	if n.changed == nil {
		n.since, n.changed = before, make(map[flows.FragmentKey]bool, len(changed))
	}
	for _, key := range changed {
		n.changed[key] = true
	}
}

// startNotices starts the helpers, but for the flow log: see publish.
func (a *Agent) startNotices() {
	n := &a.notices
	n.seen.Store(&view{})
	fault := func(what string, err error) { a.post(a.lifetime, func() { a.fault(what, err) }) }
	n.log = flowlog.New(flowlog.Config(a.cfg.FlowLog), flowlog.Cell{
		Name: a.cfg.Cell, Names: groupNames{a.client}, Fault: fault, Refused: refusedPackets,
		Local: func(addr netip.Addr) (flowlog.Local, bool) {
			local, here := n.seen.Load().local[addr]
			return local, here
		},
		Cause: func(from, to flows.GroupID, p flows.Protocol, port uint16) (flows.Cookie, bool) {
			return n.seen.Load().cause(from, to, p, port)
		},
	})
	a.spawn(n.reopenOnHangup)
	overlay := func() bool { return !a.alone() && conntrack.Supported() }
	n.tracker = newTracker(n.seen.Load, overlay, func(err error) { fault("conntrack", err) })
	a.spawn(n.tracker.run)
}

// reopenOnHangup is for whoever rotates the log: SIGHUP opens the file anew.
func (n *notices) reopenOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			n.log.Reopen()
		}
	}
}

// publish shows the helpers what is wanted and what is there, before the switch
// is brought to it, and has the tracker forget the containers that left.
func (a *Agent) publish() {
	n := &a.notices
	if a.hostOn() && !n.logs { // before that, nobody logs anything that is ours
		n.logs = true
		a.spawn(n.log.Run)
	}
	same := len(a.ports) == len(n.ports) && (len(a.ports) == 0 || &a.ports[0] == &n.ports[0])
	old := n.seen.Load()
	if !same || a.want.hash != n.hash || a.want.complete != old.complete || a.lease.subnet != old.lease {
		changed := n.changed
		if n.since != n.hash || old.policies == nil {
			changed = nil
		}
		next := old.judging(a.want, changed)
		if !a.narrow || !same || a.lease.subnet != old.lease {
			next = next.among(a.lease.subnet, a.ports, a.seen.endpoints, a.want)
		}
		n.seen.Store(next)
		n.hash, n.ports = a.want.hash, a.ports
		n.changed = nil
		n.tracker.forget(old.leaving(next))
	}
	// Nobody knows what the tracker holds of before the agent's start, or of
	// policies that went with the flows that a switch lost.
	if a.linked && a.held != nil && a.want.complete && n.swept != a.counts.SwitchConnections {
		n.swept = a.counts.SwitchConnections
		n.tracker.sweep()
	}
}

// groupNames asks the controller.
type groupNames struct{ client *api.AgentClient }

// Apps implements flowlog.Names.
func (g groupNames) Apps(ctx context.Context, ids []flows.GroupID) (map[flows.GroupID]flows.AppID, error) {
	numbers := make([]uint16, len(ids))
	for i, id := range ids {
		numbers[i] = uint16(id)
	}
	groups, err := g.client.Groups(ctx, numbers)
	apps := make(map[flows.GroupID]flows.AppID, len(groups))
	for _, group := range groups {
		apps[flows.GroupID(group.Group)] = flows.AppID(group.App)
	}
	return apps, err
}

// refusedElement is an element of the set in which the host's rules count each
// sender's denied packets, as nft lists it.
var refusedElement = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+)(?: [a-z]+ [0-9a-z]+)*? counter packets (\d+)`)

// refusedPackets reads how many packets of each sender were denied.
func refusedPackets(ctx context.Context) (map[netip.Addr]uint64, error) {
	out, err := exec.CommandContext(ctx, "nft", "-n", "list", "set", "bridge", "weft", "denied").Output()
	if err != nil {
		return nil, fmt.Errorf("nft list set bridge weft denied: %w", err)
	}
	return refusedOf(string(out)), nil
}

func refusedOf(listing string) map[netip.Addr]uint64 {
	counts := map[netip.Addr]uint64{}
	for _, m := range refusedElement.FindAllStringSubmatch(listing, -1) {
		addr, err := netip.ParseAddr(m[1])
		n, err2 := strconv.ParseUint(m[2], 10, 64)
		if err == nil && err2 == nil {
			counts[addr] = n
		}
	}
	return counts
}
