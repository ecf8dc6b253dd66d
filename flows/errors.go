package flows

import "github.com/digitalocean/go-openvswitch/ovs"

// Table errors: is the ICMP error between the two apps whose connection it is
// about?

const (
	errorsEach   = 100
	errorsSameID = 1 // of the conjunction
	errorsBits   = 2 // that one of its clauses compares: as many flows as for one, and half as many clauses
)

// errors lets an ICMP error pass whose sender is of the app that has its part in
// the connection which it quotes, and denies what strangers send: whoever guesses
// a connection can quote it. What travels as the connection was opened must be for
// the server's app, too; to what travels back judge has given the opener's group
// of the label, and the tracker lets it only to the opener's address.
//
// OVS cannot compare a register with a label, so a conjunction does: it has a
// clause for each two bits of both groups, which holds where they are the same.
func (b *builder) errors() {
	at := stage{TableErrors, errorsEach, BaseCookie(TableErrors)}
	b.add(at, []term{conjunctionHolds(errorsSameID), judged.is(judgedPolicy)}, gotoTable(TableOutput))
	pairs := []struct{ now, then Register }{{source, labelSource}, {destination, labelDestination}}
	width := int(source.High) + 1
	clauses := len(pairs) * width / errorsBits
	clause := 0
	for _, p := range pairs {
		for low := 0; low < width; low += errorsBits {
			clause++
			mask := uint32(1<<errorsBits-1) << low
			for value := range uint32(1 << errorsBits) {
				b.add(at, []term{p.now.bits(value<<low, mask), p.then.bits(value<<low, mask<<p.then.Low)},
					ovs.Conjunction(errorsSameID, clause, clauses))
			}
		}
	}
}
