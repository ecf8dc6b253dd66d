package flows

import (
	"fmt"
	"net/netip"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// term is one field of a match. Terms are given in any order; the builder
// prints them in OVS's, each with the prerequisite that OVS wants: without it
// OVS drops a field silently and the flow matches everything.
type term struct {
	at    position
	needs position // atIP, atARP or none (0)
	field ovs.Match
}

// position orders terms as OVS 3.1 prints them (match_format in lib/match.c).
type position uint8

const (
	_ position = iota
	atPktMark
	atConjID
	atCTState
	atCTMark
	atCTLabel
	atCTDst
	atCTTuple
	atIP
	atARP
	atReg0
	atReg1
	atReg2
	atReg3
	atReg4
	atReg5
	atTunID
	atTunSrc
	atInPort
	atVLAN
	atDLSrc
	atNWSrc
	atNWDst
	atARPSPA
	atARPTPA
	atARPOp
	atARPSHA
	atICMPType
	atICMPCode
	atTCPFlags
)

// maxTerms bounds a match, prerequisites included.
const maxTerms = 12

// word is a field without a value, or one whose text is fixed: "ip", "arp".
type word string

var (
	isIP  = term{at: atIP, field: word("ip")}
	isARP = term{at: atARP, field: word("arp")}
	// isTCP and isICMP stand for isIP, and are prerequisites of what follows.
	isTCP           = term{at: atIP, field: word("tcp")}
	isICMP          = term{at: atIP, field: word("icmp")}
	tcpReset        = term{at: atTCPFlags, field: word("tcp_flags=+rst")}
	icmpUnreachable = term{at: atICMPType, field: word("icmp_type=3")}
	icmpPort        = term{at: atICMPCode, field: word("icmp_code=3")}
	// hostMarked is what the host's own rules let go to containers.
	hostMarked = term{at: atPktMark, needs: atIP, field: word("pkt_mark=" + hex(HostMark) + "/" + hex(HostMark))}
	// hostAnswered is what the host forwards as the answer to what a container asked.
	hostAnswered = term{at: atPktMark, needs: atIP, field: word("pkt_mark=" + hex(AnswerMark) + "/" + hex(AnswerMark))}
	// fromHost is the bridge's own port, the host's end.
	fromHost = term{at: atInPort, field: word("in_port=LOCAL")}
	// tagged is any 802.1Q or 802.1ad tag, of whatever VLAN and priority.
	tagged = term{at: atVLAN, field: word("vlan_tci=0x1000/0x1000")}
	// tracked is a connection's own packet, and the prerequisite of its original
	// tuple: without it OVS refuses ct_nw_proto and ct_tp_dst. A related packet
	// (an ICMP error) has none: OVS looks it up as if it belonged to no protocol
	// and port, whereas what it then caches does match the connection's other
	// packets, unless -rel or +rel tells the two apart.
	tracked = term{at: atCTState, needs: atIP, field: word("ct_state=-rel-inv+trk")}
	related = term{at: atCTState, needs: atIP, field: word("ct_state=+rel-inv+trk")}
	opening = term{at: atCTState, needs: atIP, field: word("ct_state=+new-rel-inv+trk")}
	onward  = term{at: atCTState, needs: atIP, field: word("ct_state=-rel-rpl-inv+trk")} // a connection's own, as it was opened
	invalid = term{at: atCTState, needs: atIP, field: word("ct_state=+inv+trk")}
	// forward and backward are the directions of a valid connection.
	forward  = term{at: atCTState, needs: atIP, field: word("ct_state=-rpl-inv+trk")}
	backward = term{at: atCTState, needs: atIP, field: word("ct_state=+rpl-inv+trk")}
)

func inPort(p OFPort) term {
	return term{at: atInPort, field: ovs.InPortMatch(int(p))}
}

func tunnelID(vni VNI) term {
	return term{at: atTunID, field: ovs.TunnelID(uint64(vni))}
}

func tunnelSource(vtep netip.Addr) term {
	return term{at: atTunSrc, field: ovs.TunnelSrc(vtep.String())}
}

func etherSource(mac string) term {
	return term{at: atDLSrc, field: ovs.DataLinkSource(mac)}
}

func ipSource(p netip.Prefix) term {
	return term{at: atNWSrc, needs: atIP, field: ovs.NetworkSource(prefixText(p))}
}

func ipDestination(p netip.Prefix) term {
	return term{at: atNWDst, needs: atIP, field: ovs.NetworkDestination(prefixText(p))}
}

func arpRequestFor(ip netip.Addr) []term {
	return []term{
		{at: atARPTPA, needs: atARP, field: ovs.ARPTargetProtocolAddress(ip.String())},
		{at: atARPOp, needs: atARP, field: ovs.ARPOperation(1)},
	}
}

func arpSender(ip netip.Addr, mac MAC) []term {
	return []term{
		{at: atARPSPA, needs: atARP, field: ovs.ARPSourceProtocolAddress(ip.String())},
		{at: atARPSHA, needs: atARP, field: ovs.ARPSourceHardwareAddress(mac[:])},
	}
}

// host is the prefix that holds ip alone.
func host(ip netip.Addr) netip.Prefix { return netip.PrefixFrom(ip, ip.BitLen()) }

// prefixText prints a prefix as OVS does: masked, and a single address bare.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.Masked().String()
}

// registerMatch matches bits of a register, or of the connection's mark or label.
type registerMatch struct {
	field       string
	value, mask uint32
}

// is matches one value of a field that shares its register.
func (r Register) is(value uint32) term {
	return r.bits(value, r.mask())
}

// group matches a field that is alone in its register, as the whole register.
func (r Register) group(g GroupID) term {
	return r.bits(uint32(g), ^uint32(0))
}

func (r Register) bits(value, mask uint32) term {
	at, m := atCTMark, &registerMatch{field: r.Field, value: value << r.Low, mask: mask}
	if n, ok := r.number(); ok {
		at = atReg0 + position(n)
	} else if r.Field == labelSource.Field {
		at = atCTLabel
	}
	return term{at: at, field: m}
}

// and joins two fields of one register to one term, as OVS has it.
func (t term) and(other term) term {
	a, b := t.field.(*registerMatch), other.field.(*registerMatch)
	return term{at: t.at, field: &registerMatch{a.field, a.value | b.value, a.mask | b.mask}}
}

// originalTuple matches the protocol and destination ports of the connection's
// first packet, whichever direction this one travels.
func originalTuple(p Protocol, ports maskedPort) term {
	return firstPacket{protocol: p, destination: ports}.term()
}

// appender is implemented by our own matches, which are many; it saves the
// library's way through fmt.
type appender interface{ appendText(b []byte) []byte }

func (w word) appendText(b []byte) []byte { return append(b, w...) }

func (m *registerMatch) appendText(b []byte) []byte {
	b = appendHex(append(append(b, m.field...), '='), m.value)
	if m.mask != ^uint32(0) {
		b = appendHex(append(b, '/'), m.mask)
	}
	return b
}

// MarshalText implements ovs.Match.
func (w word) MarshalText() ([]byte, error) { return []byte(w), nil }

// GoString implements ovs.Match.
func (w word) GoString() string { return fmt.Sprintf("flows.word(%q)", string(w)) }

// MarshalText implements ovs.Match.
func (m *registerMatch) MarshalText() ([]byte, error) { return m.appendText(nil), nil }

// GoString implements ovs.Match.
func (m *registerMatch) GoString() string {
	return fmt.Sprintf("&flows.registerMatch{%q, %#x, %#x}", m.field, m.value, m.mask)
}
