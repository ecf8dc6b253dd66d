package datapath

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// sampleTime is how long one sample takes: short, because what disturbs them
// comes and goes within seconds.
const sampleTime = 250 * time.Millisecond

// patience is how long a single call may block. Nothing that works needs it.
const patience = 3 * time.Second

// serve starts the pair's own servers. They end with the lab.
func (p pair) serve() error {
	return p.server.in(func() error {
		short, err := socketAt(p.server, unix.SOCK_STREAM, shortPort)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := unix.Listen(short, 128); err != nil {
			return fmt.Errorf("%s: listen: %w", p.name, err)
		}
		echo, err := socketAt(p.server, unix.SOCK_DGRAM, echoPort)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for range shortWorkers {
			go answerShort(short)
		}
		go answerEcho(echo)
		return nil
	})
}

// socketAt makes a blocking socket of the end, bound to the port (0: any). We
// use the kernel's calls and not package net: its poller costs more than the
// datapath that is to be measured.
func socketAt(e end, kind int, port uint16) (int, error) {
	s, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := unix.Bind(s, &unix.SockaddrInet4{Addr: e.ip.As4(), Port: int(port)}); err != nil {
		return 0, fmt.Errorf("bind %s port %d: %w", e.ip, port, err)
	}
	return s, nil
}

// connected makes a client's socket that talks to the server's port.
func (p pair) connected(kind int, port uint16) (int, error) {
	s, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} { // the latter limits connect, too
		if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, option, &limit); err != nil {
			unix.Close(s)
			return 0, fmt.Errorf("timeout: %w", err)
		}
	}
	if err := retry(func() error { return unix.Connect(s, &unix.SockaddrInet4{Addr: p.server.ip.As4(), Port: int(port)}) }); err != nil {
		unix.Close(s)
		return 0, fmt.Errorf("connect to %s port %d: %w", p.server.ip, port, err)
	}
	return s, nil
}

// retry repeats a call that a signal of the Go runtime has interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func read(s int, buffer []byte) (n int, err error) {
	err = retry(func() error { n, err = unix.Read(s, buffer); return err })
	return n, err
}

func write(s int, data []byte) error {
	return retry(func() error { _, err := unix.Write(s, data); return err })
}

// shortWorkers is how many connections are open at a time.
const shortWorkers = 4

// connections returns how many TCP connections per second are opened, carry a
// byte each way and are closed.
func (p pair) connections() (perSecond float64, err error) {
	var done atomic.Int64
	var workers sync.WaitGroup
	errs := make(chan error, shortWorkers)
	start := time.Now()
	for range shortWorkers {
		workers.Go(func() {
			errs <- p.client.work(workCPU, func() error {
				for time.Since(start) < sampleTime {
					if err := p.connectOnce(); err != nil {
						return fmt.Errorf("short connection of %s: %w", p.name, err)
					}
					done.Add(1)
				}
				return nil
			})
		})
	}
	workers.Wait()
	took := time.Since(start)
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return float64(done.Load()) / took.Seconds(), err
}

// connectOnce is one short connection. The server closes first, so that the
// ports in TIME-WAIT are not the client's.
func (p pair) connectOnce() error {
	s, err := p.connected(unix.SOCK_STREAM, shortPort)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := write(s, []byte{1}); err != nil {
		return err
	}
	var buffer [2]byte
	for got := 0; ; {
		n, err := read(s, buffer[:])
		switch {
		case err != nil:
			return err
		case n == 0 && got == 1:
			return nil
		case n == 0:
			return fmt.Errorf("closed after %d bytes, want 1", got)
		}
		got += n
	}
}

// answerShort answers connections one after the other.
func answerShort(listener int) {
	pinForGood()
	var buffer [1]byte
	for {
		s, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			continue // that client reports what it lacks
		}
		if n, err := read(s, buffer[:]); err == nil && n == 1 {
			write(s, buffer[:])
		}
		unix.Close(s)
	}
}

// roundTrip returns the median time of a datagram of one byte and its echo, in
// microseconds.
func (p pair) roundTrip() (micros float64, err error) {
	var times []float64
	err = p.client.work(workCPU, func() error {
		s, err := p.connected(unix.SOCK_DGRAM, echoPort)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		var answer [1]byte
		for start, number := time.Now(), byte(0); time.Since(start) < sampleTime; number++ {
			sent := time.Now()
			if err := write(s, []byte{number}); err != nil {
				return fmt.Errorf("datagram of %s: %w", p.name, err)
			}
			if _, err := read(s, answer[:]); err != nil || answer[0] != number {
				return fmt.Errorf("datagram of %s: sent %d, got %d, %w", p.name, number, answer[0], err)
			}
			times = append(times, float64(time.Since(sent).Nanoseconds())/1e3)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	slices.Sort(times)
	return quantile(times, 0.5), nil
}

// answerEcho sends every datagram back.
func answerEcho(s int) {
	pinForGood()
	var buffer [64]byte
	for {
		n, from, err := unix.Recvfrom(s, buffer[:], 0)
		if err != nil {
			continue // an earlier answer's ICMP error
		}
		unix.Sendto(s, buffer[:n], 0, from)
	}
}
