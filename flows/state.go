package flows

// Table state: original direction, reply or invalid: who judges it?

const (
	stateInvalid = 100 // belongs to no connection and cannot open one
	stateReply   = 90  // answers a connection that somebody judged
	stateGlare   = 80  // looks like an answer, but nobody judged the question
	stateForward = 70  // travels as the connection was opened, or opens one
)

// state classes every tracked packet. An entry here proves only that somebody
// sent: the sending cell commits before the destination's cell has judged. So
// a reply counts as one only if this cell judged the connection (its mark), or
// the sender's cell says that it did (the applied bit). RELATED packets (ICMP
// errors) carry the mark, label and direction of the connection that they are
// about, and so take the same flows; but not its tuple: see errors.
func (b *builder) state() {
	at := func(priority uint16) stage { return stage{TableState, priority, BaseCookie(TableState)} }
	next := gotoTable(TableDestination)

	b.add(at(stateInvalid), []term{invalid}, drop)

	b.add(at(stateReply), []term{backward, judged.is(judgedPolicy), origin.is(originContainer)},
		class.set(classReply), next)
	b.add(at(stateReply), []term{backward, judged.is(judgedNot), origin.is(originTunnel).and(applied.is(1))},
		class.set(classElsewhere), next)
	b.add(at(stateReply), []term{backward, judged.is(judgedEgress), origin.is(originHost)},
		class.set(classReturn), next)
	b.add(at(stateReply), []term{backward, judged.is(judgedHost), origin.is(originContainer)},
		class.set(classHost), next)

	// Both sides sent at once, or this cell has lost its memory. In a zone
	// without entries the packet is the first of a connection of its own:
	// policy then judges its own protocol and port, not those of a question
	// that nobody allowed. The host has a memory of its own, and sends no
	// answer to what it has not seen: from there it is dropped.
	for _, from := range []uint32{originContainer, originTunnel} {
		b.add(at(stateGlare), []term{backward, origin.is(from)},
			class.set(classGlare), track(ZoneGlare, TableDestination))
		b.add(at(stateForward), []term{forward, origin.is(from)}, class.set(classOriginal), next)
	}
	// The host's tracker may remember a connection longer than the bridge's: of
	// a container that is gone, or of a rule. It opens nothing here.
	b.add(at(stateGlare), []term{onward, origin.is(originHost), hostAnswered}, drop)
	b.add(at(stateForward), []term{forward, origin.is(originHost)}, class.set(classHost), next)
}
