package flows

// Table judge: which pair of groups does policy judge?

const judgeEach = 100 // the cases exclude each other

// judge puts the opener's group into source and the server's into destination,
// whichever way the packet travels, so that policy needs one flow for both
// directions; or passes what another cell judges.
func (b *builder) judge() {
	at := stage{TableJudge, judgeEach, BaseCookie(TableJudge)}
	// The sender's group moves to destination as it is now; the label's copy
	// may be of an earlier app at the same address.
	b.add(at, []term{class.is(classReply)},
		source.to(destination.nxm()), source.from(labelSource.nxm()), gotoTable(TablePolicy))
	b.add(at, []term{class.is(classElsewhere).and(delivery.is(deliveryLocal))}, gotoTable(TableOutput))
	for _, c := range []uint32{classOriginal, classGlare} {
		b.add(at, []term{class.is(c).and(delivery.is(deliveryLocal))}, gotoTable(TablePolicy))
		b.add(at, []term{class.is(c).and(delivery.is(deliveryTunnel))}, gotoTable(TableOutput))
	}
}
