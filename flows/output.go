package flows

import (
	"slices"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Table output: deliver it, and remember the connection.

const (
	outputLogged = 110 // the first packet of a connection that is to be logged
	outputEach   = 100 // the cases exclude each other
)

// output delivers what was allowed. Only here are connections committed, so a
// denied packet leaves no entry behind.
func (b *builder) output(vni VNI) {
	b.outputLocal()
	b.outputHost()
	b.outputTunnel(vni)
}

// way is a class and how it is delivered, with what else the flow matches. IP
// is the prerequisite of copying from the destination address.
func way(c, d uint32, more ...term) []term {
	return append(more, isIP, class.is(c).and(delivery.is(d)))
}

// outputs adds a flow that does one list of actions after the other.
func (b *builder) outputs(match []term, actions ...[]ovs.Action) {
	b.add(stage{TableOutput, outputEach, BaseCookie(TableOutput)}, match, slices.Concat(actions...)...)
}

// outputLocal delivers to a container here. What policy judged is remembered
// as judged here, with both groups. An ICMP error is looked up as the
// connection that it is about, whoever sends it: committing it would write its
// sender's group into that entry.
func (b *builder) outputLocal() {
	deliver := []ovs.Action{
		fromGateway(), macHigh.to("NXM_OF_ETH_DST[32..47]"), macLow.to("NXM_OF_ETH_DST[0..31]"), ovs.OutputField(ofport.nxm()),
	}
	policy := []ovs.Action{
		source.to(labelSource.nxm()), destination.to(labelDestination.nxm()), judged.set(judgedPolicy),
	}
	remember := []ovs.Action{commit(policy...)}
	b.outputs(way(classOriginal, deliveryLocal, tracked), remember, deliver)
	b.outputLogged(classOriginal, deliveryLocal, ReasonPolicyAccepted, remember, deliver)
	b.outputs(way(classOriginal, deliveryLocal, related), deliver)
	b.outputs(way(classGlare, deliveryLocal), turn(policy...), deliver)
	b.outputs(way(classHost, deliveryLocal, tracked), []ovs.Action{commit(judged.set(judgedHost))}, deliver)
	b.outputs(way(classHost, deliveryLocal, related), deliver)
	for _, c := range []uint32{classReply, classElsewhere, classReturn, classRefusal} {
		b.outputs(way(c, deliveryLocal), deliver)
	}
}

// outputHost hands to the host what leaves the overlay, or answers the host.
// LOCAL has the gateway's MAC.
func (b *builder) outputHost() {
	deliver := []ovs.Action{ovs.SetField(GatewayMAC.String(), "eth_dst"), toHost}
	remember := []ovs.Action{commit(judged.set(judgedEgress))}
	b.outputs(way(classOriginal, deliveryHost, tracked), remember, deliver)
	b.outputLogged(classOriginal, deliveryHost, ReasonEgressAccepted, remember, deliver)
	b.outputs(way(classOriginal, deliveryHost, related), deliver)
	b.outputs(way(classHost, deliveryHost), []ovs.Action{replyMark}, deliver)
}

// outputTunnel sends to the cell in vtep. What that cell judges leaves an
// entry here that proves only that we sent. Where we judged, or refused, the
// applied bit says so; the sender of a reply is the connection's server.
func (b *builder) outputTunnel(vni VNI) {
	question, verdict := sendTo(vni, source, 0), sendTo(vni, destination, gbpApplied)
	b.outputs(way(classOriginal, deliveryTunnel), []ovs.Action{commit()}, question)
	b.outputs(way(classGlare, deliveryTunnel), turn(), question)
	b.outputs(way(classReply, deliveryTunnel), verdict)
	b.outputs(way(classRefusal, deliveryTunnel), sendTo(vni, source, gbpApplied))
}

// outputLogged is the flow for the first packet of a connection that is to be
// logged: the host gets a copy. The kernel calls a connection new until it is
// answered; that it is known tells its mark.
func (b *builder) outputLogged(c, d uint32, why Reason, then ...[]ovs.Action) {
	b.add(stage{TableOutput, outputLogged, BaseCookie(TableOutput)},
		[]term{opening, judged.is(judgedNot), isIP, class.is(c).and(delivery.is(d)).and(logged.is(1))},
		slices.Concat(notice(source, destination, why), slices.Concat(then...))...)
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
