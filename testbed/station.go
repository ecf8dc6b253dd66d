package testbed

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Station is a network namespace with an address, from which tests send and in
// which they serve: a container's, a cell's own, or that of a host outside.
type Station struct {
	ID string     // of the container, the cell or the host; also its namespace's name
	IP netip.Addr // its own; see At for others

	bed      *Bed
	in       ns.NetNS
	mu       sync.Mutex // guards services
	services map[string]*Service
}

// Party is a *Station or what has one: a *Container.
type Party interface{ self() *Station }

func (s *Station) self() *Station { return s }

// station makes a station whose services end with the test.
func (b *Bed) station(id string, ip netip.Addr, in ns.NetNS) *Station {
	s := &Station{ID: id, IP: ip, bed: b, in: in, services: map[string]*Service{}}
	b.Cleanup(s.closeServices)
	return s
}

// At returns the station under another of its addresses, with services of its
// own.
func (s *Station) At(ip netip.Addr) *Station { return s.bed.station(s.ID, ip, s.in) }

// Do calls f on a thread in the station's network namespace.
func (s *Station) Do(f func() error) error { return inNS(s.in, f) }

// dial opens a TCP or UDP socket from the station. A zero local address lets
// the kernel choose.
func (s *Station) dial(network string, local, remote netip.AddrPort, timeout time.Duration) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: timeout}
	switch {
	case !local.IsValid():
	case network == "tcp":
		dialer.LocalAddr = net.TCPAddrFromAddrPort(local)
	default:
		dialer.LocalAddr = net.UDPAddrFromAddrPort(local)
	}
	err = s.Do(func() error {
		conn, err = dialer.Dial(network, remote.String())
		return err
	})
	return conn, err
}

// SendFrame puts a frame on the station's eth0 as it is, past its own network
// stack.
func (s *Station) SendFrame(frame []byte) error {
	return s.Do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return fmt.Errorf("find eth0 of %s: %w", s.ID, err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a packet socket in %s: %w", s.ID, err)
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: eth0.Attrs().Index})
	})
}

// Host returns the cell itself as a station: its own processes, as a health
// check or a DNS server would be.
func (c *Cell) Host() *Station { return c.bed.station(c.name, c.vtep, c.in) }

// closeServices ends what Serve started.
func (s *Station) closeServices() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, service := range s.services {
		service.close()
		delete(s.services, what)
	}
}
