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

// A policy opens its direction, protocol and ports; replies need none.
func TestPolicyOpensOneDirection(t *testing.T) {
	bed := bed(t)
	front, back, local := bed.Cell(1).Run("front"), bed.Cell(2).Run("back"), bed.Cell(1).Run("back")
	bed.Allow(front, back, "tcp/8080-8090")
	for _, what := range []string{"tcp/8080", "tcp/8085", "tcp/8090"} {
		bed.Reaches(front, back, what)
		bed.Reaches(front, local, what)
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

// What runs on a connection stops when its policy is removed: an established
// TCP connection, and a UDP server that pushes without being asked. On the
// same cell and across cells.
func TestRevocationStopsEstablished(t *testing.T) {
	bed := bed(t)
	back, far, near := bed.Cell(2).Run("back"), bed.Cell(1).Run("front"), bed.Cell(2).Run("front")
	bed.Allow(far, back, "tcp/8080")
	bed.Allow(far, back, "udp/8080")
	running := []*testbed.Traffic{
		bed.Talk(far, back, "tcp/8080"), bed.Talk(near, back, "tcp/8080"),
		bed.Push(far, back, "udp/8080"), bed.Push(near, back, "udp/8080"),
	}
	bed.Deny(far, back, "tcp/8080")
	bed.Deny(far, back, "udp/8080")
	for _, traffic := range running {
		traffic.Stops(time.Second)
	}

	bed.Allow(far, back, "tcp/8080") // TCP takes up where it was cut
	running[0].Runs()
	running[1].Runs()
}

// An ICMP error that belongs to an allowed connection reaches its sender, and
// does not stand in the way of the connection or of others between the two:
// Open vSwitch knows no port of it, so what it caches of one must not match
// their packets. In both directions, on one cell and across cells.
func TestErrorsBelongToTheirConnection(t *testing.T) {
	bed := bed(t)
	back, far, near := bed.Cell(2).Run("back"), bed.Cell(1).Run("front"), bed.Cell(2).Run("front")
	bed.Allow(far, back, "udp/8080-8081")
	for _, front := range []*testbed.Container{far, near} {
		if err := bed.Eventually(5*time.Second, func() error { return front.ErrorFrom(back, "udp/8081") }); err != nil {
			t.Errorf("%s to a closed port: %v", front.ID, err)
		}
		bed.Reaches(front, back, "udp/8080")

		// The other way: nobody listens for the answer.
		service := back.Serve("udp/8080")
		before := service.Received(front.IP)
		const packets = 10
		for range packets {
			front.SendRaw(front.Datagram(back, 8080))
			time.Sleep(20 * time.Millisecond)
		}
		received(t, bed, service, front.IP, before+packets)
	}

	bed.Deny(far, back, "udp/8080-8081")
	for _, front := range []*testbed.Container{far, near} {
		if err := front.ErrorFrom(back, "udp/8081"); err == nil {
			t.Errorf("%s still gets errors after its policy is removed", front.ID)
		}
	}
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
