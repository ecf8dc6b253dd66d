package testbed

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Service answers every byte it receives with the same byte, on one port of a
// station, and counts by sender what came in.
type Service struct {
	closer   io.Closer
	mu       sync.Mutex // guards the rest
	received map[netip.Addr]int
	open     []net.Conn

	pushes    atomic.Bool  // instead of answering, send for ever
	swallow   atomic.Bool  // instead of answering, count
	swallowed atomic.Int64 // bytes
}

// Received returns how many packets (UDP) or connections (TCP) have come from
// the address.
func (s *Service) Received(from netip.Addr) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received[from]
}

// Total returns how many packets or connections have come from anywhere.
func (s *Service) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.received {
		n += m
	}
	return n
}

// Serve makes the station listen; a second call returns the same service. What
// is, for example, "tcp/8080".
func (c *Station) Serve(what string) *Service {
	bed := c.bed
	bed.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.services[what]; s != nil {
		return s
	}
	protocol, ports, err := parseWhat(what)
	bed.must(err)
	s := &Service{received: map[netip.Addr]int{}}
	address := netip.AddrPortFrom(c.IP, uint16(ports.Start)).String()
	bed.must(c.Do(func() error {
		if protocol == "tcp" {
			l, err := net.Listen("tcp", address)
			if err == nil {
				s.closer = l
				go s.accept(l)
			}
			return err
		}
		conn, err := net.ListenPacket("udp", address)
		if err == nil {
			s.closer = conn
			go s.answer(conn)
		}
		return err
	}))
	c.services[what] = s
	return s
}

func (s *Service) count(from net.Addr) {
	address, err := netip.ParseAddrPort(from.String())
	if err != nil {
		panic(fmt.Sprintf("testbed: sender %q: %v", from, err)) // net gives address and port
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received[address.Addr()]++
}

func (s *Service) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		s.count(conn.RemoteAddr())
		s.mu.Lock()
		s.open = append(s.open, conn)
		s.mu.Unlock()
		go s.echo(conn)
	}
}

// echo answers until either end goes away, which is what some tests do.
func (s *Service) echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		switch {
		case s.swallow.Load():
			s.swallowed.Add(int64(n))
			continue
		case s.pushes.Load():
			pushTCP(conn)
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (s *Service) answer(conn net.PacketConn) {
	buffer := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error for something sent earlier
		}
		s.count(from)
		if s.pushes.Load() {
			go pushUDP(from, conn)
			continue
		}
		conn.WriteTo(buffer[:n], from) // a lost answer is the prober's finding
	}
}

func (s *Service) close() {
	s.closer.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.open {
		conn.Close()
	}
}
