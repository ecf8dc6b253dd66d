package flows

import (
	"fmt"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Table deny: who is told that it was denied, and why?

const (
	denyNobody = 110 // from a tunnel, without identity: forged
	denyEach   = 100 // the cases exclude each other
)

// deny is what a flow does with a packet that it denies.
func deny(why Reason) []ovs.Action {
	return []ovs.Action{reason.set(uint32(why)), gotoTable(TableDeny)}
}

// deny sends denied packets of containers to the host, which answers as the
// receiver would and logs. Not told to anybody: ICMP errors, what comes from
// outside to a container whose egress rule is gone, and from a tunnel what says
// that it is nobody's, which no cell sends.
func (b *builder) deny() {
	at := stage{TableDeny, denyEach, BaseCookie(TableDeny)}
	b.add(stage{TableDeny, denyNobody, at.cookie}, []term{source.group(0), origin.is(originTunnel)}, drop)
	why := reason.to("NXM_OF_ETH_SRC[24..31]")
	for _, c := range []uint32{classOriginal, classGlare} {
		b.add(at, []term{tracked, class.is(c)}, notice(source, destination, 0, why)...)
	}
	// judge has turned the groups of a reply.
	b.add(at, []term{tracked, class.is(classReply)},
		notice(destination, source, 0, why, ovs.Load(hex(noticeBackward), "NXM_OF_ETH_SRC[16..23]"))...)
}

// notice sends the packet to the host in a frame that says what Notice says.
func notice(from, to Register, why Reason, more ...ovs.Action) []ovs.Action {
	actions := []ovs.Action{
		ovs.SetField(fmt.Sprintf("ee:ee:%02x:00:00:00", uint8(why)), "eth_src"),
		ovs.SetField("ee:ee:00:00:00:00", "eth_dst"),
	}
	return append(append(actions, more...),
		from.to("NXM_OF_ETH_SRC[0..15]"), to.to("NXM_OF_ETH_DST[0..15]"), ovs.Output(int(DenyOFPort)))
}
