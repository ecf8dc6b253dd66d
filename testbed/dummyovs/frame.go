package dummyovs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Frame is an Ethernet frame with an IPv4 packet in it. Checksums are filled
// in: the connection tracker takes packets with wrong ones for invalid.
type Frame struct {
	EthSrc, EthDst   [6]byte
	Src, Dst         netip.Addr // IPv4
	Protocol         uint8      // 6 TCP, 17 UDP, 1 ICMP
	SrcPort, DstPort uint16     // of TCP and UDP; ICMP: type<<8|code, and nothing
	TCPFlags         uint8      // SYN, ACK…
	Payload          []byte
}

// TCP flags.
const (
	FIN = 0x01
	SYN = 0x02
	RST = 0x04
	ACK = 0x10
)

// IP protocol numbers.
const (
	ICMP = 1
	TCP  = 6
	UDP  = 17
)

// Bytes encodes the frame.
func (f Frame) Bytes() []byte {
	l4 := f.transport()
	b := append(append([]byte{}, f.EthDst[:]...), f.EthSrc[:]...)
	b = binary.BigEndian.AppendUint16(b, 0x0800)
	ip := []byte{0x45, 0}
	ip = binary.BigEndian.AppendUint16(ip, uint16(20+len(l4)))
	ip = append(ip, 0, 0, 0x40, 0, 64, f.Protocol, 0, 0) // id, don't fragment, ttl, checksum
	ip = append(append(ip, f.Src.AsSlice()...), f.Dst.AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	return append(append(b, ip...), l4...)
}

func (f Frame) transport() []byte {
	switch f.Protocol {
	case TCP:
		h := binary.BigEndian.AppendUint16(nil, f.SrcPort)
		h = binary.BigEndian.AppendUint16(h, f.DstPort)
		h = append(h, 0, 0, 0, 1, 0, 0, 0, 1, 5<<4, f.TCPFlags, 0x20, 0, 0, 0, 0, 0) // seq, ack, window, checksum, urgent
		h = append(h, f.Payload...)
		binary.BigEndian.PutUint16(h[16:], checksum(append(f.pseudoHeader(len(h)), h...)))
		return h
	case UDP:
		h := binary.BigEndian.AppendUint16(nil, f.SrcPort)
		h = binary.BigEndian.AppendUint16(h, f.DstPort)
		h = binary.BigEndian.AppendUint16(h, uint16(8+len(f.Payload)))
		h = append(append(h, 0, 0), f.Payload...)
		binary.BigEndian.PutUint16(h[6:], checksum(append(f.pseudoHeader(len(h)), h...)))
		return h
	case ICMP:
		h := append([]byte{byte(f.SrcPort >> 8), byte(f.SrcPort), 0, 0, 0, 0, 0, 0}, f.Payload...)
		binary.BigEndian.PutUint16(h[2:], checksum(h))
		return h
	}
	return f.Payload
}

// pseudoHeader is what TCP and UDP checksum besides themselves (RFC 9293, 3.1).
func (f Frame) pseudoHeader(length int) []byte {
	h := append(append(f.Src.AsSlice(), f.Dst.AsSlice()...), 0, f.Protocol)
	return binary.BigEndian.AppendUint16(h, uint16(length))
}

// checksum is the internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ParseFrame is the inverse of Bytes for TCP and UDP without IP options.
func ParseFrame(b []byte) (Frame, error) {
	var f Frame
	if len(b) < 14+20+8 || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[14] != 0x45 {
		return f, fmt.Errorf("frame of %d bytes is not IPv4 without options: %x", len(b), b)
	}
	copy(f.EthDst[:], b)
	copy(f.EthSrc[:], b[6:])
	ip := b[14:]
	f.Protocol = ip[9]
	f.Src, _ = netip.AddrFromSlice(ip[12:16])
	f.Dst, _ = netip.AddrFromSlice(ip[16:20])
	l4 := ip[20:binary.BigEndian.Uint16(ip[2:])]
	header := 8
	if f.Protocol == TCP {
		header = 20
		f.TCPFlags = l4[13]
	}
	f.SrcPort, f.DstPort = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
	f.Payload = l4[header:]
	return f, nil
}

// ARP is an ARP request or reply for IPv4 over Ethernet.
type ARP struct {
	EthSrc, EthDst       [6]byte
	Op                   uint16 // 1 request, 2 reply
	SenderMAC, TargetMAC [6]byte
	SenderIP, TargetIP   netip.Addr
}

// Bytes encodes the frame.
func (a ARP) Bytes() []byte {
	b := append(append([]byte{}, a.EthDst[:]...), a.EthSrc[:]...)
	b = append(b, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4)
	b = binary.BigEndian.AppendUint16(b, a.Op)
	b = append(append(b, a.SenderMAC[:]...), a.SenderIP.AsSlice()...)
	return append(append(b, a.TargetMAC[:]...), a.TargetIP.AsSlice()...)
}

// ParseARP is the inverse of Bytes.
func ParseARP(b []byte) (ARP, error) {
	var a ARP
	if len(b) < 42 || binary.BigEndian.Uint16(b[12:]) != 0x0806 {
		return a, fmt.Errorf("frame of %d bytes is not ARP: %x", len(b), b)
	}
	copy(a.EthDst[:], b)
	copy(a.EthSrc[:], b[6:])
	a.Op = binary.BigEndian.Uint16(b[20:])
	copy(a.SenderMAC[:], b[22:])
	a.SenderIP, _ = netip.AddrFromSlice(b[28:32])
	copy(a.TargetMAC[:], b[32:])
	a.TargetIP, _ = netip.AddrFromSlice(b[38:42])
	return a, nil
}
