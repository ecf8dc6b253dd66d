package testbed

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// The VXLAN header with the group policy extension, 8 bytes:
//
//	0               1               2               3
//	G . . . I . . . . D . . A . . . |  group policy id, 16 bits  |
//	VXLAN network identifier, 24 bits               |  reserved  |
//
// See https://datatracker.ietf.org/doc/html/draft-smith-vxlan-group-policy.
const (
	vxlanPort      = 4789
	vxlanHeaderLen = 8
	flagGBP        = 0x80 // first byte, G: the group policy id is valid
	flagVNI        = 0x08 // first byte, I: the VNI is valid
	flagApplied    = 0x08 // second byte, A: policy has been applied
)

// Packet is one VXLAN packet, as it was on the underlay.
type Packet struct {
	OuterSrc, OuterDst netip.Addr
	Flags              [2]byte // the header's first two bytes, as on the wire
	Group              uint16  // group policy id; 0 without the G bit
	VNI                uint32  // 24 bits
	Src, Dst           netip.AddrPort
	Protocol           uint8 // inner IP protocol; ports are 0 unless TCP or UDP
	Reset              bool  // it is a TCP reset
}

// PolicyApplied reports whether the sending cell says that it has judged the
// packet's connection.
func (p Packet) PolicyApplied() bool { return p.Flags[1]&flagApplied != 0 }

func (p Packet) String() string {
	return fmt.Sprintf("%s > %s vxlan flags %02x %02x, group id %d (0x%04x), vni %d: %s > %s, protocol %d",
		p.OuterSrc, p.OuterDst, p.Flags[0], p.Flags[1], p.Group, p.Group, p.VNI, p.Src, p.Dst, p.Protocol)
}

const (
	ethernetLen  = 14
	protocolICMP = 1
	protocolTCP  = 6
	protocolUDP  = 17
)

// decodeVXLAN reads an Ethernet frame of the underlay. False if it is not VXLAN
// with an IPv4 packet inside.
func decodeVXLAN(frame []byte) (Packet, bool) {
	outer, ok := decodeIPv4(frame)
	if !ok || outer.protocol != protocolUDP || outer.dst.Port() != vxlanPort {
		return Packet{}, false
	}
	const udpLen = 8
	if len(outer.payload) < udpLen+vxlanHeaderLen {
		return Packet{}, false
	}
	header := outer.payload[udpLen:]
	inner, ok := decodeIPv4(header[vxlanHeaderLen:])
	if !ok {
		return Packet{}, false
	}
	p := Packet{
		OuterSrc: outer.src.Addr(), OuterDst: outer.dst.Addr(),
		Flags: [2]byte{header[0], header[1]}, VNI: binary.BigEndian.Uint32(header[4:]) >> 8,
		Src: inner.src, Dst: inner.dst, Protocol: inner.protocol,
	}
	p.Reset = inner.protocol == protocolTCP && len(inner.payload) > 13 && inner.payload[13]&flagRST != 0
	if header[0]&flagGBP != 0 {
		p.Group = binary.BigEndian.Uint16(header[2:])
	}
	return p, true
}

type ipv4 struct {
	src, dst netip.AddrPort
	protocol uint8
	payload  []byte // from the transport header on
}

func decodeIPv4(frame []byte) (ipv4, bool) {
	if len(frame) < ethernetLen+20 || binary.BigEndian.Uint16(frame[12:]) != EtherIPv4 {
		return ipv4{}, false
	}
	header := frame[ethernetLen:]
	length := int(header[0]&0x0f) * 4
	if header[0]>>4 != 4 || len(header) < length {
		return ipv4{}, false
	}
	p := ipv4{protocol: header[9], payload: header[length:]}
	src, dst := netip.AddrFrom4([4]byte(header[12:16])), netip.AddrFrom4([4]byte(header[16:20]))
	var sport, dport uint16
	if (p.protocol == protocolTCP || p.protocol == protocolUDP) && len(p.payload) >= 4 {
		sport, dport = binary.BigEndian.Uint16(p.payload), binary.BigEndian.Uint16(p.payload[2:])
	}
	p.src, p.dst = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	return p, true
}
