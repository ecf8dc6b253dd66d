package e2e

import (
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// Nobody reaches anybody: not on the same cell, not across cells, not two
// instances of one app. A policy of an app with itself opens the latter, and
// nothing else.
func TestDefaultDeny(t *testing.T) {
	bed := bed(t)
	cat1, cat2, cat3 := bed.Cell(1).Run("cats"), bed.Cell(1).Run("cats"), bed.Cell(2).Run("cats")
	dog1, dog2 := bed.Cell(1).Run("dogs"), bed.Cell(2).Run("dogs")
	all := []*testbed.Container{cat1, cat2, cat3, dog1, dog2}
	nobody := func(from, to *testbed.Container) bool { return false }
	bed.Matrix("tcp/8080", all, nobody)
	bed.Matrix("udp/8080", all, nobody)

	bed.Allow(cat1, cat1, "tcp/8080")
	bed.Matrix("tcp/8080", all, func(from, to *testbed.Container) bool { return from.App == cat1.App && to.App == cat1.App })
	bed.Matrix("udp/8080", all, nobody)
}

// A policy opens its direction, protocol and ports; replies need none. Nothing
// opens ICMP between containers.
func TestPolicyOpensOneDirection(t *testing.T) {
	bed := bed(t)
	front, back, local := bed.Cell(1).Run("front"), bed.Cell(2).Run("back"), bed.Cell(1).Run("back")
	bed.Allow(front, back, "tcp/8080-8090")
	for _, what := range []string{"tcp/8080", "tcp/8085", "tcp/8090"} {
		bed.Reaches(front, back, what)
		bed.Reaches(front, local, what)
	}
	for _, to := range []*testbed.Container{back, local} {
		if err := front.Ping(to.IP); err == nil {
			t.Errorf("%s answers a ping: no policy is of ICMP", to.ID)
		}
	}
	bed.Blocked(front, back, "tcp/8079")
	bed.Blocked(front, back, "tcp/8091")
	bed.Blocked(front, back, "udp/8080")
	bed.Blocked(back, front, "tcp/8080")
	bed.Blocked(local, front, "tcp/8080")

	bed.Deny(front, back, "tcp/8080-8090")
	bed.Blocked(front, back, "tcp/8080")
	bed.Blocked(front, local, "tcp/8080")
}

// An ICMP error that belongs to an allowed connection reaches its sender, and
// does not stand in the way of the connection or of others between the two:
// Open vSwitch knows no port of it, so what it caches of one must not match
// their packets. In both directions, on one cell and across cells. An app that
// has no part in the connection sends none, whatever its own policies.
func TestErrorsBelongToTheirConnection(t *testing.T) {
	bed := bed(t)
	back, far, near := bed.Cell(2).Run("back"), bed.Cell(1).Run("front"), bed.Cell(2).Run("front")
	bed.Allow(far, back, "udp/8080-8081")
	for _, front := range []*testbed.Container{far, near} {
		if err := bed.Eventually(func() error { return front.ErrorFrom(back, "udp/8081") }); err != nil {
			t.Errorf("%s to a closed port: %v", front.ID, err)
		}
		bed.Reaches(front, back, "udp/8080")

		// The other way: nobody listens for the answer.
		service, arrivals := back.Serve("udp/8080"), back.Sniff()
		before := service.Received(front.IP)
		const packets = 10
		for range packets {
			front.SendRaw(front.Datagram(back, 8080))
			time.Sleep(20 * time.Millisecond)
		}
		received(t, bed, service, front.IP, before+packets)
		if n := errorsOf(arrivals, front); n == 0 {
			t.Errorf("none of %s's errors about %d answers has reached %s", front.ID, packets, back.ID)
		}

		stranger := front.Cell.Run("stranger")
		bed.Allow(stranger, back, "udp/8080")
		answer := testbed.Datagram{Src: back.Port("udp/8080"), Dst: front.Port("udp/40000")}
		denied := bed.Cell(2).Counted("errors", "priority=0")
		if err := stranger.SendFrame(stranger.Frame(stranger.PortUnreachable(answer))); err != nil {
			t.Fatal(err)
		}
		err := bed.Eventually(func() error { return differ(bed.Cell(2).Counted("errors", "priority=0"), denied+1) })
		if err != nil {
			t.Errorf("a stranger's error about the connection of %s, denied: %v", front.ID, err)
		}
		if n := errorsOf(arrivals, stranger); n > 0 {
			t.Errorf("%d errors of a stranger about the connection of %s have reached %s", n, front.ID, back.ID)
		}
	}

	bed.Deny(far, back, "udp/8080-8081")
	for _, front := range []*testbed.Container{far, near} {
		// Refused all the same, but no longer by the other side.
		arrivals := back.Sniff()
		bed.Refused(front, back, "udp/8081")
		if frames := arrivals.Frames(); len(frames) > 0 {
			t.Errorf("%s still gets to %s after its policy is removed: %s", front.ID, back.ID, testbed.Describe(frames[0]))
		}
	}
}

// errorsOf counts the ICMP packets that have come from the container.
func errorsOf(arrivals *testbed.Sniffer, from *testbed.Container) int {
	const icmp = 1
	n := 0
	for _, frame := range arrivals.Frames() {
		if testbed.SourceOf(frame) == from.IP && testbed.ProtocolOf(frame) == icmp {
			n++
		}
	}
	return n
}

// The group id in the VXLAN header is the sender's, in both directions, and
// replies carry the policy-applied bit.
func TestGroupIDIsOnTheWire(t *testing.T) {
	bed := bed(t)
	cats, dogs := bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs")
	bed.Allow(cats, dogs, "tcp/8080")
	capture := bed.Capture()
	bed.Reaches(cats, dogs, "tcp/8080")

	request, reply := capture.Await(cats, dogs), capture.Await(dogs, cats)
	if want := bed.Group(cats); request.Group != want || request.PolicyApplied() || request.VNI != 1 {
		t.Errorf("request: %v; want group id %d of cats, not applied, VNI 1", request, want)
	}
	if want := bed.Group(dogs); reply.Group != want || !reply.PolicyApplied() || reply.VNI != 1 {
		t.Errorf("reply: %v; want group id %d of dogs, applied, VNI 1", reply, want)
	}
}
