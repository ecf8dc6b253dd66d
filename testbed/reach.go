package testbed

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// patience is how long the bed waits for what must come about. The lab's
// emulated CPUs may have to share the machine's with others; what comes sooner
// is not waited for.
const patience = 60 * time.Second

// Reaches holds that a party's service answers another one, now or within a
// few seconds. The service is started if there is none.
func (b *Bed) Reaches(from, to Party, what string) {
	b.Helper()
	to.self().Serve(what)
	if err := b.Eventually(func() error { return from.self().Probe(to, what) }); err != nil {
		b.Fatalf("%s does not reach %s on %s, but should: %v\n%s", from.self().ID, to.self().ID, what, err, b.explain(from, to, what))
	}
}

// Blocked holds that a party cannot reach another one's service, which does
// listen; at the latest when the flow caches have followed the tables.
func (b *Bed) Blocked(from, to Party, what string) {
	b.Helper()
	to.self().Serve(what)
	for range 2 {
		if err := from.self().Probe(to, what); err != nil {
			return
		}
		b.settle()
	}
	b.Fatalf("%s reaches %s on %s, but should not\n%s", from.self().ID, to.self().ID, what, b.explain(from, to, what))
}

// Refused holds that a party is told at once that it cannot reach another
// one's service, which does listen, and returns how long that took.
func (b *Bed) Refused(from, to Party, what string) time.Duration {
	b.Helper()
	to.self().Serve(what)
	got := from.self().AskTwice(addressOf(to, what), what)
	if got.Outcome != Refused {
		b.Fatalf("%s to %s on %s: want refused, got %v\n%s", from.self().ID, to.self().ID, what, got, b.explain(from, to, what))
	}
	return got.Took
}

// Matrix probes every ordered pair of the containers and holds that exactly
// those reach each other for which allowed is true.
func (b *Bed) Matrix(what string, containers []*Container, allowed func(from, to *Container) bool) {
	b.Helper()
	b.TruthTable([]string{what}, containers, func(from, to *Container, _ string) bool { return allowed(from, to) })
}

// Eventually polls until the condition holds and returns its last error when
// the bed's patience is at its end.
func (b *Bed) Eventually(condition func() error) error {
	return await(patience, nil, condition)
}

// settle returns when no datapath forwards any longer by what its tables do
// not say any more: Open vSwitch answers a bundle first, and then goes through
// the flows that it has cached.
func (b *Bed) settle() {
	b.Helper()
	errs := make([]error, len(b.cells))
	var wait sync.WaitGroup
	for i, c := range b.cells {
		wait.Go(func() {
			for range 2 { // the round that is under way may have begun before the change
				if _, err := c.ovs.run("ovs-appctl", "-T", "60", "revalidator/wait"); err != nil {
					errs[i] = fmt.Errorf("%s: %w", c.name, err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.must(errors.Join(errs...))
}

// Probe opens a connection (TCP) or sends a datagram (UDP) and returns nil if
// the service's answer comes back.
func (s *Station) Probe(to Party, what string) error {
	return s.ProbeWithin(to, what, probeTimeout)
}

// ProbeWithin is Probe with a time limit for the connection and for the answer.
func (s *Station) ProbeWithin(to Party, what string, limit time.Duration) error {
	return s.askWithin(addressOf(to, what), what, limit).err()
}

// addressOf returns the party's address with the first port of what.
func addressOf(to Party, what string) netip.AddrPort {
	_, ports, err := parseWhat(what)
	to.self().bed.must(err)
	return netip.AddrPortFrom(to.self().IP, uint16(ports.Start))
}

// protocolOf returns tcp of "tcp/8080".
func protocolOf(what string) string {
	protocol, _, _ := strings.Cut(what, "/")
	return protocol
}

// ErrorFrom sends a datagram to a port where nobody listens and returns nil if
// the other side's ICMP error comes back.
func (s *Station) ErrorFrom(by Party, what string) error {
	if got := s.Ask(addressOf(by, what), what); got.Outcome != Refused {
		return fmt.Errorf("want connection refused, got %v", got)
	}
	return nil
}
