package testbed

import (
	"encoding/binary"
	"net/netip"

	"github.com/weft-sdn/weft/flows"
)

// Frames are written by hand where a test wants to lie.

// The EtherTypes that tests forge.
const (
	EtherIPv4  = 0x0800
	EtherARP   = 0x0806
	EtherVLAN  = 0x8100
	EtherIPv6  = 0x86dd
	EtherLocal = 0x88b5 // for local experiments (IEEE 802)
)

// Ethernet makes a frame.
func Ethernet(dst, src flows.MAC, etherType uint16, payload []byte) []byte {
	b := append(append([]byte{}, dst[:]...), src[:]...)
	return append(binary.BigEndian.AppendUint16(b, etherType), payload...)
}

// Tagged returns the frame with a VLAN tag of the id, 12 bits.
func Tagged(frame []byte, id uint16) []byte {
	b := append([]byte{}, frame[:12]...)
	b = binary.BigEndian.AppendUint16(b, EtherVLAN)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, frame[12:]...)
}

// ARP says that an address is at a MAC: op 1 asks for the target, 2 answers it.
type ARP struct {
	Op                   uint16
	SenderMAC, TargetMAC flows.MAC
	SenderIP, TargetIP   netip.Addr
}

func (a ARP) payload() []byte {
	b := []byte{0, 1, EtherIPv4 >> 8, EtherIPv4 & 0xff, 6, 4}
	b = binary.BigEndian.AppendUint16(b, a.Op)
	b = append(append(b, a.SenderMAC[:]...), a.SenderIP.AsSlice()...)
	return append(append(b, a.TargetMAC[:]...), a.TargetIP.AsSlice()...)
}

// Frame makes the broadcast frame that a station with the MAC would send.
func (a ARP) Frame(from flows.MAC) []byte {
	return Ethernet(flows.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, from, EtherARP, a.payload())
}

// IPv4 is a packet, whole or a fragment.
type IPv4 struct {
	Src, Dst netip.Addr
	Protocol uint8
	ID       uint16 // which fragments belong together
	Offset   int    // of a fragment, in bytes: a multiple of 8
	More     bool   // fragments follow
	Payload  []byte
}

const moreFragments = 0x2000

// bytes writes the packet with its header's checksum.
func (p IPv4) bytes() []byte {
	fragment := uint16(p.Offset / 8)
	if p.More {
		fragment |= moreFragments
	}
	b := []byte{0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(p.Payload)))
	b = binary.BigEndian.AppendUint16(b, p.ID)
	b = binary.BigEndian.AppendUint16(b, fragment)
	b = append(b, 64, p.Protocol, 0, 0)
	b = append(append(b, p.Src.AsSlice()...), p.Dst.AsSlice()...)
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, p.Payload...)
}

// Frame makes the frame that the container's own stack would send.
func (c *Container) Frame(p IPv4) []byte {
	return Ethernet(flows.GatewayMAC, flows.MACOf(c.IP), EtherIPv4, p.bytes())
}

// UDP writes a datagram. Its checksum is optional over IPv4.
func UDP(src, dst uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// Datagram is a UDP packet with whatever addresses a test wants to lie about.
type Datagram struct {
	SrcMAC, DstMAC flows.MAC
	Src, Dst       netip.AddrPort
	Payload        []byte // nil for a word
}

// Datagram makes the honest datagram from one container to another's service.
func (c *Container) Datagram(to *Container, port uint16) Datagram {
	return Datagram{
		SrcMAC: flows.MACOf(c.IP), DstMAC: flows.GatewayMAC,
		Src: netip.AddrPortFrom(c.IP, 40000), Dst: netip.AddrPortFrom(to.IP, port),
	}
}

// Frame writes the Ethernet frame.
func (d Datagram) Frame() []byte {
	return Ethernet(d.DstMAC, d.SrcMAC, EtherIPv4, d.packet().bytes())
}

func (d Datagram) packet() IPv4 {
	payload := d.Payload
	if payload == nil {
		payload = []byte("forged")
	}
	return IPv4{Src: d.Src.Addr(), Dst: d.Dst.Addr(), Protocol: protocolUDP, Payload: UDP(d.Src.Port(), d.Dst.Port(), payload)}
}

// PortUnreachable is the container's ICMP error about a datagram, as if it had
// got that (RFC 792).
func (c *Container) PortUnreachable(about Datagram) IPv4 {
	const headers = 20 + 8
	payload := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, about.packet().bytes()[:headers]...)
	binary.BigEndian.PutUint16(payload[2:], checksum(payload))
	return IPv4{Src: c.IP, Dst: about.Src.Addr(), Protocol: protocolICMP, Payload: payload}
}

// checksum is the Internet checksum of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
