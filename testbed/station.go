package testbed

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/flows"
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

// Port returns the station's address with the port of what.
func (s *Station) Port(what string) netip.AddrPort { return addressOf(s, what) }

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

// Dial opens a UDP socket to the address that stays until the test ends, from a
// port of the station's: 0 lets the kernel choose.
func (s *Station) Dial(port uint16, to netip.AddrPort) net.Conn {
	s.bed.Helper()
	conn, err := s.dial("udp", netip.AddrPortFrom(s.IP, port), to, probeTimeout)
	s.bed.must(err)
	s.bed.Cleanup(func() { conn.Close() })
	return conn
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

// DNS returns the cell under the address of its DNS server, which its
// containers may ask.
func (c *Cell) DNS() *Station { return c.Host().At(dnsAddress) }

// Service returns the cell under the address of tcp/8301, a service that its
// containers may use.
func (c *Cell) Service() *Station { return c.Host().At(hostService.Addr()) }

// PinGateway makes the container's neighbour entry for its gateway permanent,
// so that no ARP of its own comes between a test's frames.
func (c *Container) PinGateway() {
	c.bed.Helper()
	c.bed.must(c.Do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return fmt.Errorf("find eth0 of %s: %w", c.ID, err)
		}
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: eth0.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: flows.GatewayIP.AsSlice(), HardwareAddr: flows.GatewayMAC[:],
		})
	}))
}

// SNMP returns a counter of the station's IPv4 stack, such as ReasmFails of
// /proc/net/snmp.
func (s *Station) SNMP(name string) uint64 {
	s.bed.Helper()
	var data []byte
	s.bed.must(s.Do(func() (err error) {
		data, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	}))
	lines := strings.Split(string(data), "\n")
	names, values := strings.Fields(lines[0]), strings.Fields(lines[1])
	n, err := strconv.ParseUint(values[slices.Index(names, name)], 10, 64)
	s.bed.must(err)
	return n
}

// Sysctl sets a kernel parameter of the station's namespace until the test
// ends, such as net/ipv4/ipfrag_time.
func (s *Station) Sysctl(name, value string) {
	s.bed.Helper()
	path := filepath.Join("/proc/sys", name)
	var before []byte
	write := func(value string) error {
		return s.Do(func() error { return os.WriteFile(path, []byte(value), 0o644) })
	}
	s.bed.must(s.Do(func() (err error) {
		before, err = os.ReadFile(path)
		return err
	}))
	s.bed.must(write(value))
	s.bed.Cleanup(func() { s.bed.must(write(string(before))) })
}

// closeServices ends what Serve started.
func (s *Station) closeServices() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, service := range s.services {
		service.close()
		delete(s.services, what)
	}
}
