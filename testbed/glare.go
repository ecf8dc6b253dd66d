package testbed

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// glareRounds is how often both sides send at once.
const glareRounds = 10

// Glare lets two containers send to each other at the same time, each from the
// very port that the other sends to, so that to each cell the other's packets
// look like replies. It returns how many packets (UDP) or connections (TCP)
// arrived at either side.
func (c *Container) Glare(other *Container, what string) int {
	bed := c.Cell.bed
	bed.Helper()
	protocol, ports, err := parseWhat(what)
	bed.must(err)
	port := uint16(ports.Start)
	a, b := netip.AddrPortFrom(c.IP, port), netip.AddrPortFrom(other.IP, port)
	var arrived atomic.Int64
	var wait sync.WaitGroup
	side := c.glareUDP
	otherSide := other.glareUDP
	if protocol == "tcp" {
		side, otherSide = c.glareTCP, other.glareTCP
	}
	start := time.Now().Add(50 * time.Millisecond)
	wait.Go(func() { side(a, b, start, &arrived) })
	wait.Go(func() { otherSide(b, a, start, &arrived) })
	wait.Wait()
	return int(arrived.Load())
}

func (c *Container) glareUDP(local, remote netip.AddrPort, start time.Time, arrived *atomic.Int64) {
	bed := c.Cell.bed
	conn, err := c.dial("udp", local, remote, probeTimeout)
	if err != nil {
		bed.Errorf("%s: %v", c.ID, err)
		return
	}
	defer conn.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64)
		for {
			_, err := conn.Read(buffer)
			switch {
			case errors.Is(err, unix.ECONNREFUSED): // the other cell's answer
			case err != nil:
				return
			default:
				arrived.Add(1)
			}
		}
	}()
	time.Sleep(time.Until(start))
	for range glareRounds {
		if _, err := conn.Write([]byte{1}); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			bed.Errorf("%s: %v", c.ID, err)
		}
		time.Sleep(trafficPace)
	}
	time.Sleep(400 * time.Millisecond) // for what is under way
	conn.Close()
	<-done
}

// glareTCP opens connections from a fixed port; when both sides' SYNs cross,
// TCP makes one connection of them (RFC 9293, figure 7).
func (c *Container) glareTCP(local, remote netip.AddrPort, start time.Time, arrived *atomic.Int64) {
	time.Sleep(time.Until(start))
	for deadline := start.Add(2 * time.Second); time.Now().Before(deadline); {
		conn, err := c.dial("tcp", local, remote, time.Until(deadline))
		if err == nil {
			arrived.Add(1)
			conn.(*net.TCPConn).SetLinger(0) // free the port for the next round
			conn.Close()
		}
		time.Sleep(trafficPace)
	}
}
