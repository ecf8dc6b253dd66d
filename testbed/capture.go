package testbed

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Capture records the VXLAN packets that cross the underlay.
type Capture struct {
	bed     *Bed
	socket  *os.File
	mu      sync.Mutex // guards packets
	packets []Packet
}

// Capture starts recording. It ends with the test.
func (b *Bed) Capture() *Capture {
	b.Helper()
	bridge, err := netlink.LinkByName(underlayBridge)
	b.must(err)
	all := int(htons(unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
	b.must(err)
	index := bridge.Attrs().Index
	b.must(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}))
	// Promiscuous: the bridge shows what it forwards only then.
	b.must(unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}))
	c := &Capture{bed: b, socket: os.NewFile(uintptr(fd), "capture")}
	b.Cleanup(func() { c.socket.Close() })
	go c.read()
	return c
}

func (c *Capture) read() {
	frame := make([]byte, 65536)
	for {
		n, err := c.socket.Read(frame)
		if errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			return // closed
		}
		if p, ok := decodeVXLAN(frame[:n]); ok {
			c.mu.Lock()
			c.packets = append(c.packets, p)
			c.mu.Unlock()
		}
	}
}

// Packets returns those recorded so far between two containers, in one
// direction.
func (c *Capture) Packets(from, to *Container) []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var some []Packet
	for _, p := range c.packets {
		if p.Src.Addr() == from.IP && p.Dst.Addr() == to.IP {
			some = append(some, p)
		}
	}
	return some
}

// Answers returns those recorded so far, between whomever, that are neither
// UDP nor part of a TCP connection: ICMP errors and resets.
func (c *Capture) Answers() []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var some []Packet
	for _, p := range c.packets {
		if p.Protocol == protocolICMP || p.Reset {
			some = append(some, p)
		}
	}
	return some
}

// Await returns the first packet between two containers, in one direction.
func (c *Capture) Await(from, to *Container) Packet {
	c.bed.Helper()
	err := c.bed.Eventually(func() error {
		if len(c.Packets(from, to)) == 0 {
			return fmt.Errorf("no packet from %s to %s on the underlay", from.ID, to.ID)
		}
		return nil
	})
	c.bed.must(err)
	return c.Packets(from, to)[0]
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
