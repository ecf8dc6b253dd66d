package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
)

// Switch is what OVSDB and the kernel tell of Open vSwitch.
type Switch struct {
	ovsdb.Status
	Kernel bool // the kernel has OVS's datapath
}

// datapathFamily is the generic netlink family of OVS's datapath: the kernel
// has one if it has the other, be it as a module or built in.
const datapathFamily = "ovs_datapath"

func lookSwitch(_ context.Context, from Sources, f *Facts) error {
	if from.DB != nil {
		f.Switch.Status = from.DB.Status(f.Cell.Bridge)
	}
	families, err := netlink.GenlFamilyList() // asking for the one by name would load the module
	if err != nil {
		return fmt.Errorf("list the kernel's netlink families: %w", err)
	}
	f.Switch.Kernel = slices.ContainsFunc(families, func(x *netlink.GenlFamily) bool { return x.Name == datapathFamily })
	return nil
}

func judgeDatapath(f Facts) []api.Finding {
	s, bridge := f.Switch, f.Cell.Bridge
	restart := "systemctl restart openvswitch-switch; /var/log/openvswitch/ovs-vswitchd.log says why"
	switch {
	case !s.Connected:
		return []api.Finding{failure(Datapath, "systemctl status openvswitch-switch; is the key ovsdb in the agent's file right?", "ovsdb-server does not answer")}
	case !f.Cell.Userspace && !s.Kernel:
		return []api.Finding{failure(Datapath, "modprobe openvswitch, and have it loaded at boot (/etc/modules-load.d)", "the kernel has no Open vSwitch datapath")}
	case !s.Bridge:
		return []api.Finding{failure(Datapath, "weft-agent status tells why the agent has not made it", "there is no bridge %s", bridge)}
	case s.Owner != f.Cell.Name:
		return []api.Finding{failure(Datapath, "set another bridge in the agent's file, or hand this one over: ovs-vsctl set bridge "+bridge+" external_ids:"+ovsdb.KeyOwner+"="+f.Cell.Name,
			"bridge %s belongs to %q, not to this cell, %q", bridge, s.Owner, f.Cell.Name)}
	case f.Cell.Userspace && s.DatapathType != ovsdb.DatapathUserspace:
		return []api.Finding{failure(Datapath, "stop the containers: without any, the agent makes it anew", "bridge %s is on the kernel's datapath, but the agent's file says datapath: netdev", bridge)}
	case !f.Cell.Userspace && s.DatapathType == ovsdb.DatapathUserspace:
		return []api.Finding{failure(Datapath, "stop the containers: without any, the agent makes it anew; or set datapath: netdev in the agent's file for a cell alone",
			"bridge %s is on the userspace datapath, whose VXLAN carries no group id", bridge)}
	case s.DatapathID == "":
		return []api.Finding{failure(Datapath, restart, "ovs-vswitchd has not made bridge %s", bridge)}
	case f.Cell.Userspace && f.Cell.HostOff == "": // the bridge's own port is a tap there, which carries no mark (ADR 0013)
		return []api.Finding{warning(Datapath, "leave datapath out of the agent's file on a host whose kernel has openvswitch",
			"bridge %s is on the userspace datapath, where packets lose the marks that host and bridge tell each other by: containers reach each other, but neither the host nor anything outside, and no mapped port leads to them", bridge)}
	case f.Cell.Userspace:
		return []api.Finding{fine(Datapath, "bridge %s is on the userspace datapath, as the agent's file says", bridge)}
	}
	return []api.Finding{fine(Datapath, "bridge %s is on the kernel's datapath", bridge)}
}

func judgeFlowRestoreWait(f Facts) []api.Finding {
	switch {
	case !f.Switch.Connected:
		return []api.Finding{warning(FlowRestoreWait, "systemctl status openvswitch-switch", "not known: ovsdb-server does not answer")}
	case f.Switch.FlowRestoreWait:
		return []api.Finding{failure(FlowRestoreWait, "ovs-vsctl remove open_vswitch . other_config flow-restore-wait",
			"other_config:flow-restore-wait is set: ovs-vswitchd handles no packet of a connection that is new to it, on any bridge")}
	}
	return []api.Finding{fine(FlowRestoreWait, "other_config:flow-restore-wait is not set")}
}
