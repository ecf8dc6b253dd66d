package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// The identity comes from Garden's metadata or, with runtimes that have none,
// from CNI_ARGS or the network configuration. A container without any reaches
// nobody and is reached by nobody.
func TestIdentityOfEveryRuntime(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(1)
	garden := cell.Run("app")
	named := map[string]any{"app": garden.App}
	var same []*testbed.Container
	for _, n := range []testbed.Network{{Args: [][2]string{{"WEFT_APP", garden.App}}}, {Change: named}, {}} {
		c, err := cell.TryConfig(n)
		if err != nil {
			t.Fatal(err)
		}
		same = append(same, c)
	}
	none := same[2]
	bed.Allow(garden, garden, "tcp/8080")
	bed.Matrix("tcp/8080", append(same, garden), func(from, to *testbed.Container) bool { return from != none && to != none })
}

// Two apps without a policy that both send at once never reach each other,
// although each cell's connection tracker then holds the connection.
func TestSimultaneousSendersStayApart(t *testing.T) {
	bed := bed(t)
	cats, dogs := bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs")
	if got := cats.Glare(dogs, "udp/7000"); got != 0 {
		t.Errorf("UDP: %d packets were delivered, want none", got)
	}
	if got := cats.Glare(dogs, "tcp/7000"); got != 0 {
		t.Errorf("TCP: %d connections were made, want none", got)
	}

	// The probe can fail: with a policy each way, both are delivered.
	bed.Allow(cats, dogs, "udp/7001")
	bed.Allow(dogs, cats, "udp/7001")
	if got := cats.Glare(dogs, "udp/7001"); got == 0 {
		t.Errorf("UDP with policies: no packet was delivered")
	}

	// With a policy one way only, the connection turns to it, whoever was first:
	// the other side's packets are then replies. One side alone would be 10.
	bed.Allow(cats, dogs, "udp/7002")
	if got := cats.Glare(dogs, "udp/7002"); got <= 10 {
		t.Errorf("UDP with one policy: %d packets were delivered, want both sides'", got)
	}
}

// Two apps of one cell, one allowed and one not, are never taken for each
// other when they send alternately: the switch caches by what it has looked at.
func TestAlternatingAppsAreToldApart(t *testing.T) {
	bed := bed(t)
	good, bad, back := bed.Cell(1).Run("good"), bed.Cell(1).Run("bad"), bed.Cell(2).Run("back")
	bed.Allow(good, back, "udp/8080")
	service := back.Serve("udp/8080")
	const rounds = 50
	for range rounds {
		good.SendRaw(good.Datagram(back, 8080))
		bad.SendRaw(bad.Datagram(back, 8080))
		time.Sleep(10 * time.Millisecond) // so that most of them meet cached flows
	}
	received(t, bed, service, good.IP, rounds)
	if got := service.Received(bad.IP); got != 0 {
		t.Errorf("%d of %d packets of the app without policy were delivered", got, rounds)
	}
}

// received waits until the service has got exactly n packets from the address.
func received(t *testing.T, bed *testbed.Bed, s *testbed.Service, from netip.Addr, n int) {
	t.Helper()
	err := bed.Eventually(func() error { return differ(s.Received(from), n) })
	if err != nil {
		t.Errorf("packets delivered from %s: %v", from, err)
	}
}
