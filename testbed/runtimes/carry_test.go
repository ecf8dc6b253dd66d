package runtimes

import (
	"fmt"

	"github.com/weft-sdn/weft/flows"
)

// carryMarks makes the mark of packets from the host reach the bridge. Between
// the kernel's datapath and its host the mark stays with the packet; a tap
// device, which is what the bridge's own port is on OVS's userspace datapath,
// has no room for it. Here it crosses in the frame's source MAC, which the bridge
// does not look at in what its host sends: nftables puts it there as the packet
// leaves, and two flows before all others take it out again. The agent would
// remove them when it next compares the bridge, which it is told to do seldom.
func (c *cell) carryMarks() {
	c.Helper()
	table, add := "", ""
	for _, mark := range []uint32{flows.HostMark | flows.AnswerMark, flows.HostMark} { // the more particular first
		mac := fmt.Sprintf("0e:00:%02x:00:00:00", mark>>24)
		table += fmt.Sprintf("\t\tmeta mark & %#x == %#[1]x ether saddr set %s accept\n", mark, mac)
		add += fmt.Sprintf("table=0,priority=60000,in_port=LOCAL,dl_src=%s actions=load:%#x->NXM_NX_PKT_MARK[],mod_dl_src:%s,resubmit(LOCAL,0)\n",
			mac, mark, flows.GatewayMAC)
	}
	c.write(c.path("carry.nft"), fmt.Sprintf(`table netdev carry {
	chain out {
		type filter hook egress device %q priority 0; policy accept;
%s	}
}
`, bridge, table))
	c.must("nft -f " + c.path("carry.nft"))
	c.sw.Ofctl(add, "add-flows", c.sw.Mgmt(bridge), "-")
}
