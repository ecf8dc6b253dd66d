package datapath

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// settleTime is how long a stream runs before its bytes count: what the other
// pair's had sent last is received, and this one's is at its speed again.
const settleTime = 100 * time.Millisecond

// stream is one TCP stream of iperf3, which is stopped between samples:
// starting it anew for each would take longer than the samples.
type stream struct {
	pair
	server, client *exec.Cmd
}

// startStream returns the stream when it has run for a moment, stopped.
func startStream(p pair) (*stream, error) {
	s := &stream{
		pair:   p,
		server: exec.Command("iperf3", "--server", "--forceflush", "--bind", p.server.ip.String(), "--port", strconv.Itoa(iperfPort)),
		client: exec.Command("iperf3", "--client", p.server.ip.String(), "--port", strconv.Itoa(iperfPort), "--time", "3600", "--interval", "0"),
	}
	if err := s.start(); err != nil {
		s.end()
		return nil, fmt.Errorf("start iperf3 of %s: %w", p.name, err)
	}
	return s, nil
}

func (s *stream) start() error {
	out, err := s.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.pair.server.work(sinkCPU, s.server.Start); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening") {
	}
	if err := lines.Err(); err != nil {
		return err
	}
	go io.Copy(io.Discard, out)
	if err := s.pair.client.work(workCPU, s.client.Start); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(settleTime) {
		switch received, err := s.received(); {
		case err != nil:
			return err
		case received > 1<<20:
			return s.client.Process.Signal(syscall.SIGSTOP)
		case time.Now().After(deadline):
			return errors.New("nothing arrives")
		}
	}
}

// received returns how many bytes the server's container has received.
func (s *stream) received() (bytes uint64, err error) {
	err = s.pair.server.in(func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			bytes = link.Attrs().Statistics.RxBytes
		}
		return err
	})
	return bytes, err
}

// sample returns what the stream carries, in Mbit/s at the receiver, headers
// included.
func (s *stream) sample() (mbits float64, err error) {
	if err := s.client.Process.Signal(syscall.SIGCONT); err != nil {
		return 0, fmt.Errorf("iperf3 of %s: %w", s.name, err)
	}
	defer s.client.Process.Signal(syscall.SIGSTOP)
	time.Sleep(settleTime)
	before, err := s.received()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	time.Sleep(sampleTime)
	after, err := s.received()
	took := time.Since(start)
	if err == nil && after == before {
		err = fmt.Errorf("iperf3 of %s: nothing arrives", s.name)
	}
	return float64(after-before) * 8 / 1e6 / took.Seconds(), err
}

// end kills both processes.
func (s *stream) end() {
	for _, cmd := range []*exec.Cmd{s.client, s.server} {
		if cmd.Process != nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
}
