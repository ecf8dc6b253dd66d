package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// probeTimeout bounds one probe. The first packet of a flow takes a few
// milliseconds in the emulated lab, and now and then a second.
const probeTimeout = 2 * time.Second

// Outcome is how an attempt to use a service ended, as an application sees it.
type Outcome int

// The outcomes.
const (
	Connected   Outcome = iota // the service's answer came back
	Refused                    // ECONNREFUSED: a TCP reset or ICMP port unreachable
	TimedOut                   // nothing came back
	Unreachable                // another ICMP error, or no route
	Odd                        // anything else: Answer.Err says what
)

func (o Outcome) String() string {
	return [...]string{"connected", "refused", "timed out", "unreachable", "odd"}[o]
}

// Answer is what came of one attempt.
type Answer struct {
	Outcome Outcome
	Took    time.Duration
	Err     error // nil if connected
}

func (a Answer) String() string {
	if a.Outcome == Odd || a.Outcome == Unreachable {
		return fmt.Sprintf("%v (%v)", a.Outcome, a.Err)
	}
	return fmt.Sprintf("%v after %.1f ms", a.Outcome, float64(a.Took.Microseconds())/1000)
}

func (a Answer) err() error {
	if a.Outcome == Connected {
		return nil
	}
	return a.Err
}

// Ask opens a connection (TCP) or sends a datagram (UDP) to the address, says
// a word and waits for its echo. What is, for example, "tcp/8080"; its port
// does not matter.
func (s *Station) Ask(to netip.AddrPort, what string) Answer {
	return s.askWithin(to, what, probeTimeout)
}

// AskTwice asks again when nothing came back: answers are limited in rate, and
// an emulated kernel is late now and then.
func (s *Station) AskTwice(to netip.AddrPort, what string) Answer {
	got := s.Ask(to, what)
	if got.Outcome == TimedOut {
		got = s.Ask(to, what)
	}
	return got
}

func (s *Station) askWithin(to netip.AddrPort, what string, limit time.Duration) Answer {
	start := time.Now()
	err := s.echo(to, protocolOf(what), limit)
	return Answer{Outcome: outcomeOf(err), Took: time.Since(start), Err: err}
}

func (s *Station) echo(to netip.AddrPort, protocol string, limit time.Duration) error {
	conn, err := s.dial(protocol, netip.AddrPort{}, to, limit)
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

func outcomeOf(err error) Outcome {
	var network net.Error
	switch {
	case err == nil:
		return Connected
	case errors.Is(err, unix.ECONNREFUSED):
		return Refused
	case errors.As(err, &network) && network.Timeout():
		return TimedOut
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EACCES):
		return Unreachable
	}
	return Odd
}
