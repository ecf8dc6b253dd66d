package testbed

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/weft-sdn/weft/flows"
)

// Datagram is a UDP packet written by hand, with whatever addresses a test
// wants to lie about.
type Datagram struct {
	SrcMAC, DstMAC flows.MAC
	Src, Dst       netip.AddrPort
}

// Datagram makes the honest datagram from one container to another's service.
func (c *Container) Datagram(to *Container, port uint16) Datagram {
	return Datagram{
		SrcMAC: flows.MACOf(c.IP), DstMAC: flows.GatewayMAC,
		Src: netip.AddrPortFrom(c.IP, 40000), Dst: netip.AddrPortFrom(to.IP, port),
	}
}

// frame writes the Ethernet frame. UDP's checksum is optional over IPv4.
func (d Datagram) frame() []byte {
	payload := []byte("forged")
	b := append(d.DstMAC[:], d.SrcMAC[:]...)
	b = binary.BigEndian.AppendUint16(b, etherIPv4)
	ip := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(20+8+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, protocolUDP, 0, 0)
	b = append(b, d.Src.Addr().AsSlice()...)
	b = append(b, d.Dst.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(b[ip+10:], checksum(b[ip:]))
	b = binary.BigEndian.AppendUint16(b, d.Src.Port())
	b = binary.BigEndian.AppendUint16(b, d.Dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(b, 0, 0)
	return append(b, payload...)
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

// SendRaw puts a frame on the container's interface as it is, past its own
// network stack.
func (c *Container) SendRaw(d Datagram) {
	bed := c.Cell.bed
	bed.Helper()
	bed.must(c.SendFrame(d.frame()))
}

// Encapsulated is a VXLAN-GBP packet written by hand.
type Encapsulated struct {
	Flags [2]byte // the header's first two bytes
	Group uint16
	VNI   uint32
	Inner Datagram
}

// Forge makes the packet that an honest cell would send: G and I bits, VNI 1.
func Forge(group uint16, inner Datagram) Encapsulated {
	return Encapsulated{Flags: [2]byte{flagGBP | flagVNI, 0}, Group: group, VNI: 1, Inner: inner}
}

// Applied returns the packet with GBP's policy-applied bit.
func (e Encapsulated) Applied() Encapsulated {
	e.Flags[1] |= flagApplied
	return e
}

func (e Encapsulated) payload() []byte {
	b := append([]byte{}, e.Flags[:]...)
	b = binary.BigEndian.AppendUint16(b, e.Group)
	b = binary.BigEndian.AppendUint32(b, e.VNI<<8)
	return append(b, e.Inner.frame()...)
}

// SendTunnel sends the packet to the cell's tunnel end from the lab's own
// namespace, whose address no cell has.
func (b *Bed) SendTunnel(to *Cell, e Encapsulated) {
	b.Helper()
	b.must(sendUDP(to.vtep, e.payload()))
}

// SendTunnel sends the packet to another cell's tunnel end, from this cell's.
func (c *Cell) SendTunnel(to *Cell, e Encapsulated) {
	c.bed.Helper()
	c.bed.must(c.Do(func() error { return sendUDP(to.vtep, e.payload()) }))
}

func sendUDP(to netip.Addr, payload []byte) error {
	conn, err := net.Dial("udp", netip.AddrPortFrom(to, vxlanPort).String())
	if err != nil {
		return fmt.Errorf("forge a tunnel packet: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write(payload)
	return err
}
