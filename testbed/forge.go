package testbed

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// SendRaw puts a frame on the container's interface as it is, past its own
// network stack.
func (c *Container) SendRaw(d Datagram) {
	c.bed.Helper()
	c.bed.must(c.SendFrame(d.Frame()))
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

// Payload returns what the tunnel's UDP datagram carries.
func (e Encapsulated) Payload() []byte {
	b := append([]byte{}, e.Flags[:]...)
	b = binary.BigEndian.AppendUint16(b, e.Group)
	b = binary.BigEndian.AppendUint32(b, e.VNI<<8)
	return append(b, e.Inner.Frame()...)
}

// SendTunnel sends the packet to a cell's tunnel end from the station, whose
// address need not be a cell's.
func (s *Station) SendTunnel(to *Cell, e Encapsulated) {
	s.bed.Helper()
	s.bed.must(s.Do(func() error { return sendUDP(to.vtep, e.Payload()) }))
}

// SendTunnel sends the packet to another cell's tunnel end, from this cell's.
func (c *Cell) SendTunnel(to *Cell, e Encapsulated) {
	c.bed.Helper()
	c.bed.must(c.Do(func() error { return sendUDP(to.vtep, e.Payload()) }))
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
