package testbed

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// trafficPace is the time between two packets of running traffic.
const trafficPace = 20 * time.Millisecond

// Traffic is an established connection that stays in use.
type Traffic struct {
	bed      *Bed
	from, to Party
	what     string
	sent     atomic.Int64
	received atomic.Int64
	ended    [2]atomic.Pointer[error] // why nothing more can come, or be sent
	conn     net.Conn
}

// Talk keeps a connection in use: the client sends a byte every 20 ms and the
// service answers it. It returns when the first answers have come.
func (b *Bed) Talk(from, to Party, what string) *Traffic {
	b.Helper()
	to.self().Serve(what)
	t := b.connect(from, to, what)
	go t.send()
	go t.receive()
	t.Runs()
	return t
}

// Push opens a connection on which only the server sends, every 20 ms, after
// one byte of the client.
func (b *Bed) Push(from, to Party, what string) *Traffic {
	b.Helper()
	to.self().Serve(what).pushes.Store(true)
	t := b.connect(from, to, what)
	_, err := t.conn.Write([]byte{1})
	b.must(err)
	go t.receive()
	t.Runs()
	return t
}

func pushUDP(to net.Addr, conn net.PacketConn) {
	for {
		if _, err := conn.WriteTo([]byte{1}, to); errors.Is(err, net.ErrClosed) {
			return
		}
		time.Sleep(trafficPace)
	}
}

func pushTCP(conn net.Conn) {
	for {
		if _, err := conn.Write([]byte{1}); err != nil {
			return
		}
		time.Sleep(trafficPace)
	}
}

func (b *Bed) connect(from, to Party, what string) *Traffic {
	b.Helper()
	protocol, ports, err := parseWhat(what)
	b.must(err)
	conn, err := from.self().dial(protocol, netip.AddrPort{}, netip.AddrPortFrom(to.self().IP, uint16(ports.Start)), patience)
	if err != nil {
		b.Fatalf("%s cannot connect to %s on %s: %v\n%s", from.self().ID, to.self().ID, what, err, b.explain(from, to, what))
	}
	b.Cleanup(func() { conn.Close() })
	return &Traffic{bed: b, from: from, to: to, what: what, conn: conn}
}

func (t *Traffic) send() {
	for {
		_, err := t.conn.Write([]byte{1})
		switch {
		case t.refused(err):
		case err != nil:
			t.ended[1].Store(&err)
			return
		default:
			t.sent.Add(1)
		}
		time.Sleep(trafficPace)
	}
}

func (t *Traffic) receive() {
	buffer := make([]byte, 4096)
	for {
		n, err := t.conn.Read(buffer)
		switch {
		case t.refused(err):
		case err != nil:
			t.ended[0].Store(&err)
			return
		default:
			t.received.Add(int64(n))
		}
	}
}

// refused tells the answer to a denied datagram, after which a socket may go
// on, from the end of the traffic.
func (t *Traffic) refused(err error) bool {
	return protocolOf(t.what) == "udp" && errors.Is(err, unix.ECONNREFUSED)
}

// Reset holds that the client is told that its connection has ended, instead
// of waiting for a peer that cannot answer any more.
func (t *Traffic) Reset() {
	t.bed.Helper()
	err := t.bed.Eventually(func() error {
		// The kernel tells it once, to the one that reads or the one that writes.
		var errs []error
		for i := range t.ended {
			if err := t.ended[i].Load(); err != nil {
				errs = append(errs, *err)
			}
		}
		told := errors.Join(errs...)
		if !errors.Is(told, unix.ECONNRESET) && !errors.Is(told, unix.ECONNREFUSED) {
			return fmt.Errorf("want connection reset, got %v", told)
		}
		return nil
	})
	if err != nil {
		t.bed.Fatalf("traffic from %s to %s on %s: %v", t.from.self().ID, t.to.self().ID, t.what, err)
	}
}

// Received returns how many bytes have come to the client. Each is a packet,
// unless TCP put several into one.
func (t *Traffic) Received() int64 { return t.received.Load() }

// Client returns the address and port that the client sends from.
func (t *Traffic) Client() netip.AddrPort {
	t.bed.Helper()
	client, err := netip.ParseAddrPort(t.conn.LocalAddr().String())
	t.bed.must(err)
	return client
}

// Runs holds that answers are coming in.
func (t *Traffic) Runs() {
	t.bed.Helper()
	before := t.Received()
	err := t.bed.Eventually(func() error {
		if now := t.Received(); now < before+3 {
			return fmt.Errorf("%d answers, then %d", before, now)
		}
		return nil
	})
	if err != nil {
		t.bed.Fatalf("traffic from %s to %s on %s has stopped: %v\n%s", t.from.self().ID, t.to.self().ID, t.what, err, t.bed.explain(t.from, t.to, t.what))
	}
}

// Stops holds that nothing more comes in, from now on or after at most the
// limit, and returns how long after the call the last answer came.
func (t *Traffic) Stops(limit time.Duration) time.Duration {
	t.bed.Helper()
	const silence = 20 * trafficPace
	start, last, changed := time.Now(), t.Received(), time.Duration(0)
	for {
		time.Sleep(trafficPace)
		elapsed := time.Since(start)
		if now := t.Received(); now != last {
			last, changed = now, elapsed
		}
		switch {
		case changed > limit:
			t.bed.Fatalf("traffic from %s to %s on %s still runs %s after it should have stopped\n%s",
				t.from.self().ID, t.to.self().ID, t.what, changed, t.bed.explain(t.from, t.to, t.what))
		case elapsed-changed > silence:
			return changed
		}
	}
}

// LostNothing holds that every byte sent so far is answered.
func (t *Traffic) LostNothing() {
	t.bed.Helper()
	sent := t.sent.Load()
	err := t.bed.Eventually(func() error {
		if got := t.Received(); got < sent {
			return fmt.Errorf("%d of %d packets unanswered", sent-got, sent)
		}
		return nil
	})
	if err != nil {
		t.bed.Fatalf("traffic from %s to %s on %s lost packets: %v", t.from.self().ID, t.to.self().ID, t.what, err)
	}
}

// Flood sends datagrams as often as it can, and for at least a second, until
// the function is called that it returns; that says how often it was.
func (s *Station) Flood(to Party, what string) (stop func() int) {
	s.bed.Helper()
	conn, err := s.dial("udp", netip.AddrPort{}, addressOf(to, what), probeTimeout)
	s.bed.must(err)
	start, sent := time.Now(), make(chan int, 1)
	go func() {
		n := 0
		for {
			switch _, err := conn.Write([]byte("noise")); {
			case errors.Is(err, net.ErrClosed):
				sent <- n
				return
			case err == nil || errors.Is(err, unix.ECONNREFUSED):
				n++
			}
		}
	}()
	return func() int {
		time.Sleep(time.Until(start.Add(time.Second)))
		conn.Close()
		return <-sent
	}
}

// Throughput sends to another container's service as fast as TCP can for a few
// seconds, and returns what arrived, in Mbit/s.
func (s *Station) Throughput(to Party, what string) float64 {
	s.bed.Helper()
	const lasts = 3 * time.Second
	service := to.self().Serve(what)
	conn, err := s.dial(protocolOf(what), netip.AddrPort{}, addressOf(to, what), patience)
	s.bed.must(err)
	defer conn.Close()
	service.swallow.Store(true)
	defer service.swallow.Store(false)
	before, start := service.swallowed.Load(), time.Now()
	s.bed.must(conn.SetDeadline(start.Add(lasts)))
	block := make([]byte, 64<<10)
	for {
		if _, err := conn.Write(block); err != nil {
			break // the time is up
		}
	}
	return float64(service.swallowed.Load()-before) * 8 / 1e6 / time.Since(start).Seconds()
}
