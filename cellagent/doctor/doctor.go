package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// Cell is what the agent knows of itself.
type Cell struct {
	Name       string
	Bridge     string
	Userspace  bool         // datapath: netdev: a cell alone, without a tunnel
	UnderlayIP netip.Addr   // the cell's VTEP
	Lease      netip.Prefix // not valid before there is one
	Tunnel     string       // name of the bridge's VXLAN port
	UDPPort    uint16       // of the tunnel; 0 before there is a lease
	Peers      []netip.Addr // VTEPs of the other cells
	HostOn     bool         // rules, devices and route of the host's side were made
	HostOff    string       // why not, where they cannot be
	HostDue    bool         // they should be, and are not
	Ofctl      string       // name or path of ovs-ofctl; "" for its name
	Faults     []Fault      // what the agent cannot do at present
}

// Sources are where the agent has its knowledge from.
type Sources struct {
	DB    *mirror.Client // nil while ovsdb-server has never answered
	Rules interface {
		// InStep reports whether the host's rules are as they were loaded.
		InStep(context.Context) (bool, error)
	}
}

// Facts are all that Judge depends on. The zero value of a field is what its
// check says; a check that is in Failed has none.
type Facts struct {
	Cell   Cell
	Failed map[string]error // by check: why it could not be looked at

	Missing    []program
	Switch     Switch
	TunnelPort TunnelPort
	Underlay   Underlay
	Containers []Container // that are attached to the bridge, as far as they have a network device
	Devices    []Device    // by which packets to other cells leave
	Returns    []Return
	Forwarding Forwarding
	Tracking   Tracking
	Closed     []string // forward chains of others that let nothing of ours pass
}

// The checks, by the names that findings carry. A name stays the same for good:
// people look for it in logs.
const (
	Programs        = "programs"
	Datapath        = "datapath"
	FlowRestoreWait = "flow-restore-wait"
	TunnelUDPPort   = "tunnel-port"
	UnderlayMTU     = "underlay-mtu"
	Offload         = "offload"
	ReversePath     = "rp_filter"
	IPForward       = "ip_forward"
	Notrack         = "notrack"
	ForwardPolicy   = "forward-policy"
	Agent           = "agent" // not of the host: what the agent says of itself
)

// check is one thing to look at.
type check struct {
	name  string
	look  func(context.Context, Sources, *Facts) error
	judge func(Facts) []api.Finding
}

// checks are in the order in which they depend on each other: each may use what
// earlier ones have seen.
var checks = []check{
	{Programs, lookPrograms, judgePrograms},
	{Datapath, lookSwitch, judgeDatapath},
	{FlowRestoreWait, lookNothing, judgeFlowRestoreWait},
	{TunnelUDPPort, lookTunnelPort, judgeTunnelPort},
	{UnderlayMTU, lookUnderlay, judgeUnderlay},
	{Offload, lookDevices, judgeDevices},
	{ReversePath, lookReturns, judgeReturns},
	{IPForward, lookForwarding, judgeForwarding},
	{Notrack, lookTracking, judgeTracking},
	{ForwardPolicy, lookFirewalls, judgeFirewalls},
	{Agent, lookNothing, judgeAgent},
}

// Look reads what all checks need. What cannot be looked at is in Facts.Failed.
func Look(ctx context.Context, cell Cell, from Sources) Facts {
	f := Facts{Cell: cell, Failed: map[string]error{}}
	for _, c := range checks {
		if err := c.look(ctx, from, &f); err != nil {
			f.Failed[c.name] = err
		}
	}
	return f
}

// lookNothing is of checks that judge what another one has seen.
func lookNothing(context.Context, Sources, *Facts) error { return nil }

// Judge says of every check what is, and what to do where that is not well.
func Judge(f Facts) []api.Finding {
	var all []api.Finding
	for _, c := range checks {
		if err := f.Failed[c.name]; err != nil {
			all = append(all, warning(c.name, sight(err), "could not be looked at: %v", err))
			continue
		}
		all = append(all, c.judge(f)...)
	}
	return all
}

// sight says what to do about a look that failed: looks read netlink, conntrack,
// files of /proc and, by the program nft, the host's rules.
func sight(err error) string {
	var ended *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "apt-get install nftables"
	case errors.Is(err, fs.ErrPermission):
		return "run weft-agent as root, in the host's namespaces"
	case errors.Is(err, context.DeadlineExceeded):
		return "the host was too slow to answer: look again with weft doctor"
	case errors.As(err, &ended):
		return "run weft-agent as root; nft list ruleset, as root, shows whether the program works"
	case errors.Is(err, ovsdb.ErrNotConnected):
		return "systemctl status openvswitch-switch"
	}
	return "look again with weft doctor; if it stays so, the kernel lacks what the error names"
}

// hostless is the finding of a check of what the agent makes on the host, where it
// has not.
func (c Cell) hostless(check string) []api.Finding {
	if c.HostDue {
		return []api.Finding{warning(check, "see to the other findings first", "not known: weft-agent has not made the host's side")}
	}
	return []api.Finding{fine(check, "not needed: the host's side is off")}
}

func fine(check, format string, args ...any) api.Finding {
	return api.Finding{Check: check, Level: api.LevelOK, Text: fmt.Sprintf(format, args...)}
}

func warning(check, remedy, format string, args ...any) api.Finding {
	return api.Finding{Check: check, Level: api.LevelWarning, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

func failure(check, remedy, format string, args ...any) api.Finding {
	return api.Finding{Check: check, Level: api.LevelError, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}
