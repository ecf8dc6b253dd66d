package hostnet

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// raw is the bridge's end of weftdeny: what the pipeline would send out there
// goes in, and what comes back can be read.
type raw struct {
	t  *testing.T
	fd int
}

func (p *place) raw() raw {
	p.t.Helper()
	r := raw{t: p.t}
	p.in(p.bridge, func() {
		everything := int(binary.NativeEndian.Uint16([]byte{0, syscall.ETH_P_ALL}))
		fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, everything)
		p.must(err)
		index := p.sh("ip -o link show " + DenyDevice + " | cut -d: -f1")
		var n int
		for _, digit := range index {
			n = 10*n + int(digit-'0')
		}
		p.must(syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: uint16(everything), Ifindex: n}))
		r.fd = fd
		p.t.Cleanup(func() { syscall.Close(fd) })
	})
	return r
}

// send sends one IPv4 packet in the frame of a notice.
func (r raw) send(reason flows.Reason, source string, protocol byte, payload []byte) {
	r.t.Helper()
	from, to := flows.Notice{Reason: reason, From: 101, To: 102}.MACs()
	packet := ipv4(netip.MustParseAddr(source), netip.MustParseAddr("10.255.1.9"), protocol, payload)
	frame := append(append(append(append([]byte{}, to[:]...), from[:]...), 8, 0), packet...)
	if _, err := syscall.Write(r.fd, frame); err != nil {
		r.t.Fatal(err)
	}
}

// answers reads for a while and returns how many TCP resets and port
// unreachables came back, and fails if any does not say for whom it is.
func (r raw) answers() (resets, unreachables int) {
	r.t.Helper()
	_, to := flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}.MACs()
	patient := syscall.NsecToTimeval(int64(300 * time.Millisecond))
	_ = syscall.SetsockoptTimeval(r.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patient)
	buf := make([]byte, 2048)
	for {
		n, from, err := syscall.Recvfrom(r.fd, buf, 0)
		if err != nil {
			return resets, unreachables
		}
		if link, is := from.(*syscall.SockaddrLinklayer); !is || link.Pkttype == syscall.PACKET_OUTGOING || n < 34 || buf[12] != 8 {
			continue
		}
		if flows.MAC(buf[6:12]) != to || netip.AddrFrom4([4]byte(buf[26:30])) != netip.MustParseAddr("10.255.1.9") {
			r.t.Errorf("an answer from % x, not from the denied destination", buf[:34])
		}
		switch {
		case buf[23] == 6 && buf[34+13]&4 != 0:
			resets++
		case buf[23] == 1 && buf[34] == 3 && buf[35] == 3:
			unreachables++
		}
	}
}

func ipv4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	h := make([]byte, 20, 20+len(payload))
	h[0], h[8], h[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	copy(h[12:], from.AsSlice())
	copy(h[16:], to.AsSlice())
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	payload = append([]byte{}, payload...)
	if protocol == 6 { // the sum covers addresses, protocol and length too
		pseudo := append(append(append([]byte{}, h[12:20]...), 0, protocol, 0, byte(len(payload))), payload...)
		binary.BigEndian.PutUint16(payload[16:], checksum(pseudo))
	} else if protocol == 1 {
		binary.BigEndian.PutUint16(payload[2:], checksum(payload))
	}
	return append(h, payload...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

var (
	syn  = []byte{0x80, 0, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0}
	dgm  = []byte{0x80, 0, 0x1f, 0x90, 0, 9, 0, 0, 'x'} // no checksum
	ping = []byte{8, 0, 0, 0, 0, 1, 0, 1}
	pong = []byte{0, 0, 0, 0, 0, 1, 0, 1}
)

// TestDeniedIsAnsweredAndLoggedWithinLimits, for each sender by itself. On a
// kernel that cannot answer, what would have been is counted as unanswerable.
func TestDeniedIsAnsweredAndLoggedWithinLimits(t *testing.T) {
	p := newPlace(t)
	want := plain()
	want.Answers.PerContainer = 5
	p.ensure(want)
	p.sh("until ip -o link show weftreject | grep -q 'state UP'; do sleep 0.01; done")
	r := p.raw()
	for range 5 {
		r.send(flows.ReasonPolicy, "10.255.1.2", 6, syn)
	}
	for range 20 { // beyond the limit
		r.send(flows.ReasonPolicy, "10.255.1.2", 17, dgm)
	}
	r.send(flows.ReasonPolicy, "10.255.1.3", 17, dgm) // others are not muted by it
	r.send(flows.ReasonEgress, "10.255.1.3", 1, ping)
	resets, unreachables := r.answers()
	mute := p.host.Report().Problem != ""
	t.Logf("%d resets, %d unreachables; %q", resets, unreachables, p.host.Report().Problem)
	switch {
	case mute && (resets+unreachables != 0 || p.count("bridge unanswerable") != 27):
		t.Errorf("mute: %d resets, %d unreachables, %d counted", resets, unreachables, p.count("bridge unanswerable"))
	case !mute && (resets != 5 || unreachables < 2 || p.count("bridge answered") != uint64(resets+unreachables)):
		t.Errorf("%d resets, %d unreachables, %d counted", resets, unreachables, p.count("bridge answered"))
	case !mute && p.count("bridge answered")+p.count("bridge muted_container") != 27:
		t.Errorf("%d answered and %d muted of 27", p.count("bridge answered"), p.count("bridge muted_container"))
	}
	if logged, rest := p.count("bridge logged"), p.count("bridge unlogged"); logged < 2 || logged > 3 || logged+rest != 27 {
		t.Errorf("%d logged and %d not, of 27: expected one of each sender", logged, rest)
	}
}

// TestOnlyQuestionsAreAnswered: no reset of a reset, no error about an error,
// and nothing to what was let through.
func TestOnlyQuestionsAreAnswered(t *testing.T) {
	p := newPlace(t)
	want := plain()
	want.Log.AcceptedUDPPerSec = 2
	p.ensure(want)
	p.sh("until ip -o link show weftreject | grep -q 'state UP'; do sleep 0.01; done")
	r := p.raw()
	r.send(flows.ReasonPolicy, "10.255.1.2", 1, pong)
	r.send(flows.ReasonPolicy, "10.255.1.2", 132, dgm) // SCTP
	r.send(flows.ReasonPolicyAccepted, "10.255.1.2", 6, syn)
	for range 4 {
		r.send(flows.ReasonEgressAccepted, "10.255.1.2", 17, dgm)
	}
	if resets, unreachables := r.answers(); resets+unreachables != 0 {
		t.Errorf("%d resets, %d unreachables", resets, unreachables)
	}
	if n := p.count("bridge unanswerable"); n != 2 {
		t.Errorf("%d unanswerable, expected 2", n)
	}
	if n := p.count("bridge logged"); n != 1+1+2 { // denied: one of its sender; accepted: the SYN and 2 datagrams
		t.Errorf("%d logged, expected 4", n)
	}
}
