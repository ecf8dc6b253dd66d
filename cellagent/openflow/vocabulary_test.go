package openflow

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// writer makes random flows of everything that the encoder knows, in canonical
// text: terms in OVS's order, each with what it needs.
type writer struct{ *rand.Rand }

func (w writer) one(of ...string) string { return of[w.IntN(len(of))] }
func (w writer) sometimes() bool         { return w.IntN(4) == 0 }

func hex(n int) string { return bigHex(uint64(n)) }

func bigHex(n uint64) string {
	if n == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(n, 16)
}

// masked is a value of some bits, with a mask or without.
func (w writer) masked(bits int) string {
	all := ^uint64(0) >> (64 - bits)
	mask := w.Uint64() & all
	if w.IntN(2) == 0 || mask == 0 || mask == all {
		return bigHex(w.Uint64() & all)
	}
	return fmt.Sprintf("%s/%#x", bigHex(w.Uint64()&mask), mask)
}

func (w writer) label() string {
	return fmt.Sprintf("0x%x%016x/0x%x%016x", 5, w.Uint64(), 0xf, ^uint64(0))
}

func (w writer) ip() string {
	a := netip.AddrFrom4([4]byte{10, byte(w.IntN(256)), byte(w.IntN(256)), byte(w.IntN(256))})
	if length := 1 + w.IntN(32); length < 32 {
		return netip.PrefixFrom(a, length).Masked().String()
	}
	return a.String()
}

func (w writer) mac() string {
	return fmt.Sprintf("ee:ee:%02x:%02x:%02x:%02x", w.IntN(256), w.IntN(256), w.IntN(256), w.IntN(256))
}

func (w writer) macs() string {
	return w.one(w.mac(), "01:00:00:00:00:00/01:00:00:00:00:00", "ee:ee:00:00:00:00/ff:ff:00:00:00:00")
}

// port is one that connection tracking knows: a number, or some of its bits.
func (w writer) port() string {
	if low := w.IntN(16); low > 0 {
		mask := 0xffff &^ (1<<low - 1)
		return fmt.Sprintf("%#x/%#x", w.IntN(1<<16)&mask, mask)
	}
	return strconv.Itoa(w.IntN(1 << 16))
}

// flags asks about some flags, in their order, and never about all: OVS has
// another text for that.
func (w writer) flags(names []string) string {
	var out strings.Builder
	left := w.IntN(len(names))
	for i, n := range names {
		if i != left && w.IntN(3) == 0 {
			out.WriteString(w.one("+", "-") + n)
		}
	}
	if out.Len() == 0 {
		return "+" + names[0]
	}
	return out.String()
}

// flow is a random one in its own priority, so that any number are in a table.
func (w writer) flow(priority int) flows.Flow {
	protocol := w.one("", "arp", "ip", "ip", "tcp", "udp", "icmp")
	match := w.match(protocol)
	if w.IntN(8) == 0 && !strings.Contains(match, "conj_id") {
		return flows.Flow{Table: flows.TableClassify, Priority: uint16(priority), Match: match,
			Actions: fmt.Sprintf("conjunction(%d,%d/3),conjunction(%d,2/2)", w.Uint32()>>1, 1+w.IntN(3), w.IntN(9))}
	}
	f := flows.Flow{Table: flows.TableClassify, Priority: uint16(priority), Cookie: flows.Cookie(w.Uint64()), Match: match}
	f.Actions = w.actions(protocol)
	return f
}

func (w writer) match(protocol string) string {
	var terms []string
	add := func(format string, args ...any) { terms = append(terms, fmt.Sprintf(format, args...)) }
	maybe := func(name string, value func() string) {
		if w.sometimes() {
			add("%s=%s", name, value())
		}
	}
	whole := func(bits int) func() string { return func() string { return w.masked(bits) } }
	maybe("pkt_mark", whole(32))
	maybe("conj_id", func() string { return strconv.Itoa(1 + w.IntN(1<<30)) })
	w.tracked(protocol, add, maybe)
	if protocol != "" {
		add("%s", protocol)
	}
	for i := range 16 {
		maybe(fmt.Sprintf("reg%d", i), whole(32))
	}
	maybe("tun_id", whole(64))
	maybe("tun_src", w.ip)
	maybe("tun_dst", w.ip)
	maybe("tun_gbp_id", func() string { return strconv.Itoa(1 + w.IntN(1<<16-1)) })
	maybe("tun_gbp_flags", func() string { return hex(1 + w.IntN(255)) })
	maybe("in_port", func() string { return w.one("1", "65279", "LOCAL") })
	maybe("vlan_tci", func() string { return w.one("0x1000/0x1000", "0x0000/0x1fff", "0x1004/0x1ff4") })
	maybe("dl_src", w.macs)
	maybe("dl_dst", w.macs)
	if protocol == "arp" {
		maybe("arp_spa", w.ip)
		maybe("arp_tpa", w.ip)
		maybe("arp_op", func() string { return w.one("1", "2") })
		maybe("arp_sha", w.macs)
		maybe("arp_tha", w.macs)
		return strings.Join(terms, ",")
	}
	if protocol != "" {
		maybe("nw_src", w.ip)
		maybe("nw_dst", w.ip)
	}
	switch protocol {
	case "":
		maybe("dl_type", func() string { return w.one("0x88cc", "0x8902") })
	case "ip":
		maybe("nw_proto", func() string { return w.one("2", "47", "255") })
	case "icmp":
		maybe("icmp_type", func() string { return strconv.Itoa(w.IntN(256)) })
		maybe("icmp_code", func() string { return strconv.Itoa(w.IntN(256)) })
	case "tcp":
		maybe("tcp_flags", func() string { return w.flags(tcpFlags) })
	}
	return strings.Join(terms, ",")
}

// tracked adds what is known of the packet's connection.
func (w writer) tracked(protocol string, add func(string, ...any), maybe func(string, func() string)) {
	tuple := protocol != "" && protocol != "arp" && w.IntN(2) == 0
	if tuple {
		add("ct_state=%s", w.one("-rel-inv+trk", "+new-inv+trk-snat", "-inv+trk"))
	} else {
		// Whatever commits, the switch refuses for what is invalid.
		maybe("ct_state", func() string { return strings.Replace(w.flags(trackerStates), "+inv", "-inv", 1) })
	}
	maybe("ct_zone", func() string { return strconv.Itoa(w.IntN(1 << 16)) })
	maybe("ct_mark", func() string { return w.masked(32) })
	maybe("ct_label", w.label)
	if !tuple {
		return
	}
	maybe("ct_nw_src", w.ip)
	maybe("ct_nw_dst", w.ip)
	if w.IntN(2) == 0 {
		add("ct_nw_proto=%s", w.one("1", "6", "17"))
		maybe("ct_tp_src", w.port)
		maybe("ct_tp_dst", w.port)
	}
}

// actions are some that packets of the protocol can take.
func (w writer) actions(protocol string) string {
	if w.IntN(6) == 0 {
		return "drop"
	}
	var all []string
	for range 1 + w.IntN(5) {
		all = append(all, w.action(protocol))
	}
	if w.IntN(2) == 0 {
		all = append(all, "goto_table:"+w.one("portsec", "judge", "254"))
	}
	return strings.Join(all, ",")
}

func (w writer) action(protocol string) string {
	low := w.IntN(32)
	high := low + w.IntN(32-low)
	register := fmt.Sprintf("NXM_NX_REG%d[%d..%d]", w.IntN(16), low, high)
	if low == high {
		register = fmt.Sprintf("NXM_NX_REG%d[%d]", w.IntN(16), low)
	} else if high-low == 31 {
		register = fmt.Sprintf("NXM_NX_REG%d[]", w.IntN(16))
	}
	load := bigHex(w.Uint64() & (1<<(high-low+1) - 1))
	choices := []string{
		fmt.Sprintf("output:%d", 1+w.IntN(maxPort)), "LOCAL", "IN_PORT", "output:" + register,
		"load:" + load + "->" + register,
		"move:NXM_NX_REG1[0..15]->NXM_NX_TUN_GBP_ID[]", "move:NXM_NX_TUN_GBP_FLAGS[3]->NXM_NX_REG4[2]",
		"move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_TUN_IPV4_DST[]", "move:NXM_NX_TUN_ID[0..47]->NXM_OF_ETH_SRC[]",
		"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", "move:NXM_NX_CT_LABEL[96..127]->NXM_NX_REG3[]",
		"move:NXM_NX_CT_MARK[0..7]->NXM_NX_PKT_MARK[24..31]", "load:0x1->NXM_NX_PKT_MARK[27]",
		"set_field:" + w.mac() + "->" + w.one("eth_src", "eth_dst"),
		"set_field:" + hex(w.IntN(1<<30)) + "->" + w.one("tun_id", "pkt_mark", "reg0", "reg15"),
		"set_field:" + strconv.Itoa(w.IntN(1<<16)) + "->tun_gbp_id", "set_field:" + hex(w.IntN(256)) + "->tun_gbp_flags",
		"set_field:10.0.0.7->" + w.one("tun_src", "tun_dst"),
	}
	switch protocol {
	case "":
	case "arp":
		choices = append(choices, "set_field:2->arp_op", "set_field:10.0.0.7->"+w.one("arp_spa", "arp_tpa"),
			"set_field:"+w.mac()+"->"+w.one("arp_sha", "arp_tha"), "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
			"move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]")
	default:
		choices = append(choices, "set_field:10.0.0.7->"+w.one("ip_src", "ip_dst"), "move:NXM_OF_IP_DST[]->NXM_OF_ETH_DST[0..31]",
			"move:NXM_OF_IP_SRC[]->NXM_NX_REG0[]", "ct_clear", w.track(), w.track(), w.track())
	}
	return w.one(choices...)
}

func (w writer) track() string {
	var args, exec []string
	commits := w.IntN(2) == 0
	if commits {
		args = append(args, w.one("commit", "commit,force"))
	}
	if w.IntN(2) == 0 {
		args = append(args, "table="+w.one("state", "judge", "200"))
	}
	if w.IntN(3) > 0 {
		args = append(args, fmt.Sprint("zone=", 1+w.IntN(1<<16-1)))
	}
	for range w.IntN(4) {
		exec = append(exec, w.one("load:0x3->NXM_NX_CT_MARK[0..1]", "move:NXM_NX_REG0[0..15]->NXM_NX_CT_LABEL[16..31]",
			"set_field:"+hex(w.IntN(1<<30))+"->ct_mark", "set_field:0x50000000000000007->ct_label"))
	}
	if commits && len(exec) > 0 {
		args = append(args, "exec("+strings.Join(exec, ",")+")")
	}
	return "ct(" + strings.Join(args, ",") + ")"
}
