package flows

import (
	"fmt"
	"iter"
	"math/bits"
	"net/netip"
	"strconv"
)

// prefixes yields the fewest prefixes that cover exactly the addresses first to
// last: each the largest aligned block that starts at the first one left. At
// most 62.
func prefixes(first, last netip.Addr) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		next, end := uint64(ipv4(first)), uint64(ipv4(last)) // uint64: the address after 255.255.255.255
		for next <= end {
			length := 32 - min(32, bits.TrailingZeros64(next))
			for next+1<<(32-length)-1 > end {
				length++
			}
			at := netip.AddrFrom4([4]byte{byte(next >> 24), byte(next >> 16), byte(next >> 8), byte(next)})
			if !yield(netip.PrefixFrom(at, length)) {
				return
			}
			next += 1 << (32 - length)
		}
	}
}

// firstPacket matches what the first packet of the connection was besides its
// addresses, whichever direction this one travels. Of ICMP, the connection
// tracker has the type as source port and the code as destination port.
type firstPacket struct {
	protocol            Protocol
	source, destination maskedPort // the zero value is any
}

func (m firstPacket) term() term {
	return term{at: atCTTuple, needs: atIP, field: &m}
}

func (m *firstPacket) appendText(b []byte) []byte {
	b = strconv.AppendUint(append(b, "ct_nw_proto="...), uint64(m.protocol), 10)
	if m.source.mask != 0 {
		b = m.source.appendText(append(b, ",ct_tp_src="...))
	}
	if m.destination.mask != 0 {
		b = m.destination.appendText(append(b, ",ct_tp_dst="...))
	}
	return b
}

func (p maskedPort) appendText(b []byte) []byte {
	if p.mask == 0xffff {
		return strconv.AppendUint(b, uint64(p.value), 10)
	}
	return appendHex(append(appendHex(b, uint32(p.value)), '/'), uint32(p.mask))
}

// MarshalText implements ovs.Match.
func (m *firstPacket) MarshalText() ([]byte, error) { return m.appendText(nil), nil }

// GoString implements ovs.Match.
func (m *firstPacket) GoString() string {
	return fmt.Sprintf("&flows.firstPacket{%d, %#v, %#v}", m.protocol, m.source, m.destination)
}

// conjunctionHolds matches packets that each clause of a conjunction matches.
func conjunctionHolds(id int) term {
	return term{at: atConjID, field: word("conj_id=" + strconv.Itoa(id))}
}
