package flows

import "github.com/digitalocean/go-openvswitch/ovs"

// Table judge: who judges it, and between whom?

const (
	judgeNobody = 110 // a sender without identity, to another cell
	judgeErrors = 105 // an ICMP error that would else be for policy
	judgeEach   = 100 // the cases exclude each other
)

// judge sends each packet to the table that judges it, or past all of them if
// somebody else does. For policy it puts the opener's group into source and the
// server's into destination, whichever way the packet travels, so that policy
// needs one flow for both directions.
func (b *builder) judge() {
	at := stage{TableJudge, judgeEach, BaseCookie(TableJudge)}
	// No policy is for a container without identity, on whichever cell. Denied
	// here it needs no tunnel, and what says there that it is nobody is forged.
	for _, c := range []uint32{classOriginal, classGlare} {
		b.add(stage{TableJudge, judgeNobody, at.cookie},
			[]term{source.group(0), class.is(c).and(delivery.is(deliveryTunnel))}, deny(ReasonPolicy)...)
	}
	// The sender's group moves to destination as it is now; the label's copy
	// may be of an earlier app at the same address.
	turn := func(next TableID) []ovs.Action {
		return []ovs.Action{source.to(destination.nxm()), source.from(labelSource.nxm()), gotoTable(next)}
	}
	b.add(at, []term{class.is(classReply)}, turn(TablePolicy)...)
	about := stage{TableJudge, judgeErrors, at.cookie}
	b.add(about, []term{related, class.is(classReply)}, turn(TableErrors)...)
	b.add(about, []term{related, class.is(classOriginal).and(delivery.is(deliveryLocal))}, gotoTable(TableErrors))
	for _, way := range []struct {
		class, delivery uint32
		next            TableID
	}{
		{classOriginal, deliveryLocal, TablePolicy},
		{classOriginal, deliveryTunnel, TableOutput}, // the receiver's cell judges
		{classOriginal, deliveryHost, TableEgress},
		{classReturn, deliveryLocal, TableEgress},
		{classGlare, deliveryLocal, TablePolicy},
		{classGlare, deliveryTunnel, TableOutput},
		{classElsewhere, deliveryLocal, TableOutput}, // the sender's cell has judged
		{classRefusal, deliveryLocal, TableOutput},
		{classRefusal, deliveryTunnel, TableOutput},
	} {
		b.add(at, []term{class.is(way.class).and(delivery.is(way.delivery))}, gotoTable(way.next))
	}
	// The host's rules have judged: between the host and a container, and
	// nobody else.
	b.add(at, []term{class.is(classHost).and(delivery.is(deliveryLocal)).and(origin.is(originHost))}, gotoTable(TableOutput))
	b.add(at, []term{class.is(classHost).and(delivery.is(deliveryHost)).and(origin.is(originContainer))}, gotoTable(TableOutput))
}
