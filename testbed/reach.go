package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// probeTimeout bounds one probe. The first packet of a flow takes a few
	// milliseconds in the emulated lab; TCP sends a second SYN only after 1 s.
	probeTimeout = 700 * time.Millisecond
	// reachLimit is how long Reaches tries before it calls it blocked.
	reachLimit = 10 * time.Second
)

// Reaches holds that a container's service answers another container, now or
// within a few seconds. The service is started if there is none.
func (b *Bed) Reaches(from, to *Container, what string) {
	b.Helper()
	to.Serve(what)
	if err := b.Eventually(reachLimit, func() error { return from.Probe(to, what) }); err != nil {
		b.Fatalf("%s does not reach %s on %s, but should: %v\n%s", from.ID, to.ID, what, err, b.explain(from, to, what))
	}
}

// Blocked holds that a container cannot reach another one's service, which
// does listen.
func (b *Bed) Blocked(from, to *Container, what string) {
	b.Helper()
	to.Serve(what)
	if err := from.Probe(to, what); err == nil {
		b.Fatalf("%s reaches %s on %s, but should not\n%s", from.ID, to.ID, what, b.explain(from, to, what))
	}
}

// Matrix probes every ordered pair of the containers at once and holds that
// exactly those reach each other for which allowed is true.
func (b *Bed) Matrix(what string, containers []*Container, allowed func(from, to *Container) bool) {
	b.Helper()
	for _, c := range containers {
		c.Serve(what)
	}
	var wrong []string
	var first [2]*Container
	var mu sync.Mutex // guards both
	var wait sync.WaitGroup
	for _, from := range containers {
		for _, to := range containers {
			if from == to {
				continue
			}
			wait.Go(func() {
				want, err := allowed(from, to), error(nil)
				if want {
					err = b.Eventually(reachLimit, func() error { return from.Probe(to, what) })
				} else {
					err = from.Probe(to, what)
				}
				if (err == nil) == want {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				first = [2]*Container{from, to}
				wrong = append(wrong, fmt.Sprintf("%s -> %s: allowed %v, but: %v", from.ID, to.ID, want, err))
			})
		}
	}
	wait.Wait()
	if len(wrong) > 0 {
		b.Fatalf("on %s:\n%s\n%s", what, strings.Join(wrong, "\n"), b.explain(first[0], first[1], what))
	}
}

// Eventually polls until the condition holds and returns its last error if it
// never does within the limit.
func (b *Bed) Eventually(limit time.Duration, condition func() error) error {
	return await(limit, nil, condition)
}

// Probe opens a connection (TCP) or sends a datagram (UDP) and returns nil if
// the service's answer comes back.
func (c *Container) Probe(to *Container, what string) error {
	return c.ProbeWithin(to, what, probeTimeout)
}

// ProbeWithin is Probe with a time limit for the connection and for the answer.
func (c *Container) ProbeWithin(to *Container, what string, limit time.Duration) error {
	protocol, ports, err := parseWhat(what)
	if err != nil {
		return err
	}
	remote := netip.AddrPortFrom(to.IP, uint16(ports.Start))
	conn, err := c.dial(protocol, netip.AddrPort{}, remote, limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	word := []byte("weft?")
	if _, err := conn.Write(word); err != nil {
		return err
	}
	answer := make([]byte, len(word))
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, word) {
		return fmt.Errorf("answered %q to %q", answer, word)
	}
	return nil
}

// Refused sends a datagram to a port where nobody listens and returns nil if
// the other side's ICMP error comes back.
func (c *Container) Refused(by *Container, what string) error {
	protocol, ports, err := parseWhat(what)
	if err != nil {
		return err
	}
	conn, err := c.dial(protocol, netip.AddrPort{}, netip.AddrPortFrom(by.IP, uint16(ports.Start)), probeTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return fmt.Errorf("want connection refused, got %v", err)
}
