package doctor

import (
	"github.com/weft-sdn/weft/api"
)

// Fault is something that the agent cannot do at present, by its own account.
type Fault struct {
	What string // as weft-agent status calls it
	Text string
}

// cure is what to do about faults of a name, and whether what works now goes on
// all the same.
type cure struct {
	remedy string
	mild   bool
}

// cures of the agent's faults. For one that is not here the log says more.
var cures = map[string]cure{
	"answers":       {"modprobe nft_reject_bridge, and have it loaded at boot (/etc/modules-load.d)", true},
	"apply":         {"install the program that it names, if it names one; else /var/log/openvswitch/ovs-vswitchd.log says why the switch took no flows", false},
	"bridge":        {"the finding on datapath, tunnel-port or underlay-mtu says what to do", false},
	"conntrack":     {"run weft-agent as root, with CAP_NET_ADMIN; journalctl -u weft-agent says more", true},
	"disk":          {"is state_dir writable for weft-agent, and is there room on its disk?", true},
	"flow log":      {"journalctl -u weft-agent says more", true},
	"flow log file": {"is the folder of flow_log.file writable for weft-agent, and is there room on its disk?", true},
	"host network":  {"the finding on programs says what is missing; else try nft list ruleset, as root", false},
	"lease":         {"is the controller running, and does this cell reach it? The key controller of the agent's file has its address", false},
	"lease expired": {"connect the cell to its controller again, or drain it: weft cells drain", false},
	"message":       {"the agent asks for everything anew; where it stays so, the controller's log says more", true},
	"ovsdb":         {"systemctl status openvswitch-switch; is the key ovsdb in the agent's file right?", false},
	"stream":        {"is the controller running, and does this cell reach it? The key controller of the agent's file has its address", false},
	"subnet file":   {"is the folder of subnet_file writable for weft-agent, and is there room on its disk?", false},
	"switch":        {"systemctl restart openvswitch-switch; /var/log/openvswitch/ovs-vswitchd.log says why", false},
}

// judgeAgent is about what the agent tells, which has been looked at by itself.
func judgeAgent(f Facts) []api.Finding {
	if len(f.Cell.Faults) == 0 {
		return []api.Finding{fine(Agent, "weft-agent does all that it has to do")}
	}
	var all []api.Finding
	for _, x := range f.Cell.Faults {
		known, is := cures[x.What]
		switch {
		case !is:
			all = append(all, failure(Agent, "journalctl -u weft-agent says more", "%s: %s", x.What, x.Text))
		case known.mild:
			all = append(all, warning(Agent, known.remedy, "%s: %s", x.What, x.Text))
		default:
			all = append(all, failure(Agent, known.remedy, "%s: %s", x.What, x.Text))
		}
	}
	return all
}
