package testbed

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// HalfOpen is a TCP connection that gets no further than its first packets,
// because one side does not hear the other: its kernel sends again after 1, 3
// and 7 seconds.
type HalfOpen struct {
	from, to *Container
	what     string
	arrivals [2]*Sniffer // at the client, at the server
	ended    chan error  // of the client's attempt
	deaf     Party
}

// DeafServer opens a connection to a server that hears no client.
func (c *Container) DeafServer(to *Container, what string) *HalfOpen {
	c.bed.Helper()
	listener := net.ListenConfig{Control: deafen}
	c.bed.must(to.Do(func() error {
		l, err := listener.Listen(background(), "tcp", addressOf(to, what).String())
		if err == nil {
			c.bed.Cleanup(func() { l.Close() })
		} else if errors.Is(err, unix.EADDRINUSE) {
			return nil // the same server, for another client
		}
		return err
	}))
	return c.open(to, what, to, &net.Dialer{})
}

// DeafClient opens a connection whose client does not hear the server accept.
func (c *Container) DeafClient(to *Container, what string) *HalfOpen {
	c.bed.Helper()
	to.Serve(what)
	return c.open(to, what, c, &net.Dialer{Control: deafen})
}

// open sends the first packet and waits until it has arrived.
func (c *Container) open(to *Container, what string, deaf Party, dialer *net.Dialer) *HalfOpen {
	c.bed.Helper()
	h := &HalfOpen{from: c, to: to, what: what, deaf: deaf, ended: make(chan error, 1)}
	h.arrivals = [2]*Sniffer{c.Sniff(), to.Sniff()}
	dialer.Timeout = 2 * patience
	remote := addressOf(to, what).String()
	go func() {
		h.ended <- c.Do(func() error {
			conn, err := dialer.Dial("tcp", remote)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}()
	c.bed.must(c.bed.Eventually(func() error {
		if h.count() == 0 {
			return fmt.Errorf("%s to %s on %s: no packet has arrived", c.ID, to.ID, what)
		}
		return nil
	}))
	return h
}

// count returns how many packets have arrived at the side that is deaf to
// them.
func (h *HalfOpen) count() int {
	if h.deaf == Party(h.from) {
		return h.arrivals[0].segments(h.to.IP, h.port(), flagSYN|flagACK)
	}
	return h.arrivals[1].segments(h.from.IP, h.port(), flagSYN)
}

func (h *HalfOpen) port() uint16 { return addressOf(h.to, h.what).Port() }

// Refused holds that from now on nothing more of the connection arrives at
// either side, and that a client that hears it is told when its kernel sends
// again.
func (h *HalfOpen) Refused() {
	bed := h.from.bed
	bed.Helper()
	before := h.count()
	err := bed.Eventually(func() error {
		if h.arrivals[0].segments(h.to.IP, h.port(), flagRST) == 0 {
			return errors.New("the client has not been refused")
		}
		return nil
	})
	if err != nil {
		bed.Errorf("%s to %s on %s: %v", h.from.ID, h.to.ID, h.what, err)
	}
	if got := h.count() - before; got > 0 {
		bed.Errorf("%s to %s on %s: %d more packets have arrived", h.from.ID, h.to.ID, h.what, got)
	}
	if h.deaf == Party(h.from) {
		return
	}
	select {
	case err := <-h.ended:
		if !errors.Is(err, unix.ECONNREFUSED) {
			bed.Errorf("%s to %s on %s: want connection refused, got %v", h.from.ID, h.to.ID, h.what, err)
		}
	case <-time.After(patience):
		bed.Errorf("%s to %s on %s: the client still waits", h.from.ID, h.to.ID, h.what)
	}
}

// deafen makes a socket drop whatever comes to it, before TCP sees it: a
// program for the kernel's packet filter that keeps no byte.
func deafen(_, _ string, conn syscall.RawConn) error {
	keepNothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var result error
	err := conn.Control(func(fd uintptr) {
		result = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: 1, Filter: &keepNothing[0]})
	})
	return errors.Join(err, result)
}

// CarriesData reports whether a frame is a UDP datagram or a TCP segment with
// something in it.
func CarriesData(frame []byte) bool {
	p, ok := decodeIPv4(frame)
	switch {
	case !ok:
		return false
	case p.protocol == protocolUDP:
		return true
	case p.protocol != protocolTCP || len(p.payload) < 20:
		return false
	}
	header := int(p.payload[12]>>4) * 4
	return len(p.payload) > header
}
