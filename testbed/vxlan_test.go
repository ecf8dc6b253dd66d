package testbed

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// What is forged decodes to what was meant, and a packet seen on the wire with
// identity 10001 to what Open vSwitch said of it.
func TestForgedPacketDecodes(t *testing.T) {
	inner := Datagram{
		SrcMAC: flows.GatewayMAC, DstMAC: flows.MACOf(netip.MustParseAddr("10.255.2.2")),
		Src: netip.MustParseAddrPort("10.255.1.2:40000"), Dst: netip.MustParseAddrPort("10.255.2.2:8080"),
	}
	got, ok := decodeVXLAN(underlayFrame(Forge(10001, inner).Applied().Payload()))
	want := Packet{
		OuterSrc: netip.MustParseAddr("172.31.0.1"), OuterDst: netip.MustParseAddr("172.31.0.2"),
		Flags: [2]byte{0x88, 0x08}, Group: 10001, VNI: 1, Src: inner.Src, Dst: inner.Dst, Protocol: protocolUDP,
	}
	if !ok || got != want {
		t.Errorf("got %v (%v)\nwant %v", got, ok, want)
	}
	if !got.PolicyApplied() {
		t.Error("policy-applied bit was not decoded")
	}
}

// Without the G bit there is no group id, whatever the bits say.
func TestGroupNeedsItsFlag(t *testing.T) {
	e := Forge(7, Datagram{Src: netip.MustParseAddrPort("10.255.1.2:1"), Dst: netip.MustParseAddrPort("10.255.2.2:2")})
	e.Flags[0] = flagVNI
	if got, ok := decodeVXLAN(underlayFrame(e.Payload())); !ok || got.Group != 0 {
		t.Errorf("got %v (%v), want group id 0", got, ok)
	}
}

// No cut-off frame is decoded, and none makes the decoder panic.
func TestShortFramesAreNotDecoded(t *testing.T) {
	inner := Datagram{Src: netip.MustParseAddrPort("10.255.1.2:1"), Dst: netip.MustParseAddrPort("10.255.2.2:2")}
	frame := underlayFrame(Forge(7, inner).Payload())
	headers := len(frame) - len(inner.Frame()) + ethernetLen + 20
	for n := range headers {
		if p, ok := decodeVXLAN(frame[:n]); ok {
			t.Errorf("%d of %d bytes decoded to %v", n, headers, p)
		}
	}
}

// RFC 1071's own example, and that a header with its checksum sums to zero.
func TestChecksum(t *testing.T) {
	if got := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("got %#04x, want %#04x", got, ^uint16(0xddf2))
	}
}

// underlayFrame wraps a VXLAN payload as it travels from cell 1 to cell 2.
func underlayFrame(vxlan []byte) []byte {
	b := make([]byte, 12, 64+len(vxlan))
	b = binary.BigEndian.AppendUint16(b, EtherIPv4)
	b = append(b, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocolUDP, 0, 0, 172, 31, 0, 1, 172, 31, 0, 2)
	b = binary.BigEndian.AppendUint16(b, 55555)
	b = binary.BigEndian.AppendUint16(b, vxlanPort)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(vxlan)))
	b = append(b, 0, 0)
	return append(b, vxlan...)
}
