package openflow

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// field is something that flows match, set, load, move or output by. Text has
// up to three names for it, and the wire two.
type field struct {
	match  string // in matches, as ovs-fields(7) names it
	set    string // in set_field; "" where it cannot be set
	symbol string // in load, move and output, as OVS 3.1 prints it; "" where no flow has it there

	oxm  header // in matches and set_field
	nxm  header // in load, move and output
	bits int    // at most 128
	read reader // of its value in text

	place int // in fields: the order in matches
}

// header names a field on the wire: the first 4 bytes of a TLV, without whether
// there is a mask, and without its length.
type header struct {
	class  uint16
	number uint8 // 7 bits
}

// Classes of fields.
const (
	nxm0         = 0x0000 // NXM_OF_*: OpenFlow 1.0's
	nxm1         = 0x0001 // NXM_NX_*: Open vSwitch's
	basic        = 0x8000 // OXM_OF_*: OpenFlow's
	experimental = 0xffff // followed by whose it is
)

// onf is the experimenter of the one experimental field here, tcp_flags.
const onf = 0x4f4e4600

// fields are all that we know, in the order in which OVS 3.1 sends a match
// (nx_put_raw in lib/nx-match.c): prerequisites come before what needs them, or
// the switch refuses.
var fields = inOrder(slices.Concat(
	[]field{
		{match: "conj_id", oxm: header{nxm1, 37}, bits: 32, read: number},
		{match: "in_port", oxm: header{basic, 0}, bits: 32, read: port},
		{match: "dl_src", set: "eth_src", symbol: "NXM_OF_ETH_SRC", oxm: header{basic, 4}, nxm: header{nxm0, 2}, bits: 48, read: mac},
		{match: "dl_dst", set: "eth_dst", symbol: "NXM_OF_ETH_DST", oxm: header{basic, 3}, nxm: header{nxm0, 1}, bits: 48, read: mac},
		{match: "dl_type", oxm: header{basic, 5}, bits: 16, read: number},
		{match: "vlan_tci", oxm: header{basic, 6}, bits: 13, read: vlan}, // bit 12: there is a tag
		{match: "nw_src", set: "ip_src", symbol: "NXM_OF_IP_SRC", oxm: header{basic, 11}, nxm: header{nxm0, 7}, bits: 32, read: address},
		{match: "nw_dst", set: "ip_dst", symbol: "NXM_OF_IP_DST", oxm: header{basic, 12}, nxm: header{nxm0, 8}, bits: 32, read: address},
		{match: "nw_proto", oxm: header{basic, 10}, bits: 8, read: number},
		{match: "tcp_flags", oxm: header{experimental, 42}, bits: 12, read: flags(tcpFlags)},
		{match: "icmp_type", oxm: header{basic, 19}, bits: 8, read: number},
		{match: "icmp_code", oxm: header{basic, 20}, bits: 8, read: number},
		{match: "arp_op", set: "arp_op", oxm: header{basic, 21}, bits: 16, read: number},
		{match: "arp_spa", set: "arp_spa", symbol: "NXM_OF_ARP_SPA", oxm: header{basic, 22}, nxm: header{nxm0, 16}, bits: 32, read: address},
		{match: "arp_tpa", set: "arp_tpa", symbol: "NXM_OF_ARP_TPA", oxm: header{basic, 23}, nxm: header{nxm0, 17}, bits: 32, read: address},
		{match: "arp_sha", set: "arp_sha", symbol: "NXM_NX_ARP_SHA", oxm: header{basic, 24}, nxm: header{nxm1, 17}, bits: 48, read: mac},
		{match: "arp_tha", set: "arp_tha", symbol: "NXM_NX_ARP_THA", oxm: header{basic, 25}, nxm: header{nxm1, 18}, bits: 48, read: mac},
		{match: "tun_id", set: "tun_id", symbol: "NXM_NX_TUN_ID", oxm: header{basic, 38}, nxm: header{nxm1, 16}, bits: 64, read: number},
		{match: "tun_src", set: "tun_src", symbol: "NXM_NX_TUN_IPV4_SRC", oxm: header{nxm1, 31}, nxm: header{nxm1, 31}, bits: 32, read: address},
		{match: "tun_dst", set: "tun_dst", symbol: "NXM_NX_TUN_IPV4_DST", oxm: header{nxm1, 32}, nxm: header{nxm1, 32}, bits: 32, read: address},
		{match: "tun_gbp_id", set: "tun_gbp_id", symbol: "NXM_NX_TUN_GBP_ID", oxm: header{nxm1, 38}, nxm: header{nxm1, 38}, bits: 16, read: number},
		{match: "tun_gbp_flags", set: "tun_gbp_flags", symbol: "NXM_NX_TUN_GBP_FLAGS", oxm: header{nxm1, 39}, nxm: header{nxm1, 39}, bits: 8, read: number},
	},
	registers(),
	[]field{
		{match: "pkt_mark", set: "pkt_mark", symbol: "NXM_NX_PKT_MARK", oxm: header{nxm1, 33}, nxm: header{nxm1, 33}, bits: 32, read: number},
		{match: "ct_state", oxm: header{nxm1, 105}, bits: 32, read: flags(trackerStates)},
		{match: "ct_zone", oxm: header{nxm1, 106}, bits: 16, read: number},
		{match: "ct_mark", set: "ct_mark", symbol: "NXM_NX_CT_MARK", oxm: header{nxm1, 107}, nxm: header{nxm1, 107}, bits: 32, read: number},
		{match: "ct_label", set: "ct_label", symbol: "NXM_NX_CT_LABEL", oxm: header{nxm1, 108}, nxm: header{nxm1, 108}, bits: 128, read: number},
		{match: "ct_nw_src", oxm: header{nxm1, 120}, bits: 32, read: address},
		{match: "ct_nw_dst", oxm: header{nxm1, 121}, bits: 32, read: address},
		{match: "ct_nw_proto", oxm: header{nxm1, 119}, bits: 8, read: number},
		{match: "ct_tp_src", oxm: header{nxm1, 124}, bits: 16, read: number},
		{match: "ct_tp_dst", oxm: header{nxm1, 125}, bits: 16, read: number},
	},
))

func registers() []field {
	all := make([]field, 16)
	for i := range all {
		n := strconv.Itoa(i)
		h := header{nxm1, uint8(i)}
		all[i] = field{match: "reg" + n, set: "reg" + n, symbol: "NXM_NX_REG" + n, oxm: h, nxm: h, bits: 32, read: number}
	}
	return all
}

func inOrder(all []field) []field {
	for i := range all {
		all[i].place = i
	}
	return all
}

var (
	byMatch  = index(func(f *field) string { return f.match })
	bySet    = index(func(f *field) string { return f.set })
	bySymbol = index(func(f *field) string { return f.symbol })
)

func index(name func(*field) string) map[string]*field {
	found := map[string]*field{}
	for i := range fields {
		if n := name(&fields[i]); n != "" {
			found[n] = &fields[i]
		}
	}
	return found
}

// bytes is how many the value takes on the wire.
func (f *field) bytes() int { return (f.bits + 7) / 8 }

// append starts a TLV with size bytes of value and, if it is masked, mask.
func (h header) append(b []byte, masked bool, size int) []byte {
	number := h.number << 1
	if masked {
		number |= 1
	}
	b = binary.BigEndian.AppendUint16(b, h.class)
	if h.class == experimental {
		return binary.BigEndian.AppendUint32(append(b, number, uint8(4+size)), onf)
	}
	return append(b, number, uint8(size))
}
