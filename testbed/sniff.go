package testbed

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Sniffer records what arrives at a station's eth0, whoever it is for; not
// what the station sends.
type Sniffer struct {
	fd     int
	ended  atomic.Bool   // by the test's end
	done   chan struct{} // closed when nothing reads any more
	mu     sync.Mutex    // guards frames
	frames [][]byte
}

// Sniff starts recording. It ends with the test.
func (s *Station) Sniff() *Sniffer {
	s.bed.Helper()
	sniffer := &Sniffer{done: make(chan struct{})}
	s.bed.must(s.Do(func() (err error) {
		sniffer.fd, err = packetSocket("eth0")
		return err
	}))
	go sniffer.read()
	s.bed.Cleanup(func() {
		sniffer.ended.Store(true)
		<-sniffer.done
		unix.Close(sniffer.fd)
	})
	return sniffer
}

// packetSocket opens a socket that sees every frame of an interface, and gives
// up on reading now and then.
func packetSocket(link string) (int, error) {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", link, err)
	}
	all := htons(unix.ETH_P_ALL)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return 0, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Attrs().Index}); err != nil {
		return 0, fmt.Errorf("bind to %s: %w", link, err)
	}
	return fd, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
}

func (s *Sniffer) read() {
	defer close(s.done)
	buffer := make([]byte, 65536)
	for !s.ended.Load() {
		n, from, err := unix.Recvfrom(s.fd, buffer, 0)
		link, ok := from.(*unix.SockaddrLinklayer)
		if err != nil || !ok || link.Pkttype == unix.PACKET_OUTGOING {
			continue // nothing for a while, or the station's own
		}
		s.mu.Lock()
		s.frames = append(s.frames, append([]byte{}, buffer[:n]...))
		s.mu.Unlock()
	}
}

// Frames returns what has arrived so far.
func (s *Sniffer) Frames() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte{}, s.frames...)
}

// TCP's flags (RFC 9293 section 3.1).
const (
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// segments returns how many TCP segments with the flags have arrived from the
// address, of connections to the port.
func (s *Sniffer) segments(from netip.Addr, port uint16, flags byte) int {
	n := 0
	for _, frame := range s.Frames() {
		p, ok := decodeIPv4(frame)
		its := ok && p.src.Addr() == from && (p.src.Port() == port || p.dst.Port() == port)
		if its && p.protocol == protocolTCP && len(p.payload) >= 14 && p.payload[13]&flags == flags {
			n++
		}
	}
	return n
}

// SourceOf returns who a frame's IPv4 packet says it is from; the zero address
// if it is none.
func SourceOf(frame []byte) netip.Addr {
	p, _ := decodeIPv4(frame)
	return p.src.Addr()
}

// ProtocolOf returns the protocol of a frame's IPv4 packet; 0 if it is none.
func ProtocolOf(frame []byte) uint8 {
	p, _ := decodeIPv4(frame)
	return p.protocol
}

// Describe says in a line what a frame is, for messages.
func Describe(frame []byte) string {
	if p, ok := decodeVXLAN(frame); ok {
		return p.String()
	}
	if p, ok := decodeIPv4(frame); ok {
		return fmt.Sprintf("%s > %s, protocol %d, %d bytes", p.src, p.dst, p.protocol, len(frame))
	}
	if len(frame) < ethernetLen {
		return fmt.Sprintf("%d bytes", len(frame))
	}
	return fmt.Sprintf("EtherType %#04x, %d bytes", binary.BigEndian.Uint16(frame[12:]), len(frame))
}
