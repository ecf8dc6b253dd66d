package flows

import (
	"slices"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Table output: deliver it, and remember the connection.

const outputEach = 100 // the cases exclude each other

// output delivers what was allowed. Only here are connections committed, so a
// denied packet leaves no entry behind.
func (b *builder) output(vni VNI) {
	at := stage{TableOutput, outputEach, BaseCookie(TableOutput)}
	// ip is the prerequisite of copying from its destination address.
	to := func(c, d uint32, more ...term) []term {
		return append(more, isIP, class.is(c).and(delivery.is(d)))
	}
	local := append(rewriteMACs(), ovs.OutputField(ofport.nxm()))

	// Delivered here, so judged here.
	allowed := []ovs.Action{
		source.to(labelSource.nxm()), destination.to(labelDestination.nxm()), judged.set(1),
	}
	b.add(at, to(classOriginal, deliveryLocal, tracked), slices.Concat([]ovs.Action{commit(allowed...)}, local)...)
	// An ICMP error is looked up as the connection that it is about, whoever
	// sends it: committing it would write its sender's group into that entry.
	b.add(at, to(classOriginal, deliveryLocal, related), local...)
	b.add(at, to(classGlare, deliveryLocal), slices.Concat(turn(allowed...), local)...)
	b.add(at, to(classReply, deliveryLocal), local...)
	b.add(at, to(classElsewhere, deliveryLocal), local...)

	// Sent to the cell that judges: the entry here proves only that we sent.
	question := sendTo(vni, source, 0)
	b.add(at, to(classOriginal, deliveryTunnel), slices.Concat([]ovs.Action{commit()}, question)...)
	b.add(at, to(classGlare, deliveryTunnel), slices.Concat(turn(), question)...)
	// A reply that we judged says so; its sender is the connection's server.
	b.add(at, to(classReply, deliveryTunnel), sendTo(vni, destination, gbpApplied)...)
}

// sendTo sends to the cell in vtep. Id and flags are always both set: a packet
// keeps what it came with, and a header without either has no GBP at all.
func sendTo(vni VNI, sender Register, gbpFlags uint32) []ovs.Action {
	return append(rewriteMACs(),
		ovs.SetField(hex(uint32(vni)), "tun_id"),
		sender.to("NXM_NX_TUN_GBP_ID[]"),
		ovs.SetField(hex(gbpFlags), "tun_gbp_flags"),
		vtep.to("NXM_NX_TUN_IPV4_DST[]"),
		ovs.Output(int(TunnelOFPort)))
}
