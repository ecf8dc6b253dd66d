package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
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

// A container can use no MAC and no address but its own, and nothing but IPv4
// and ARP; what it tries is counted.
func TestSpoofedSourcesAreDropped(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(1)
	good, bad, back := cell.Run("good"), cell.Run("bad"), bed.Cell(2).Run("back")
	bed.Allow(good, back, "udp/8080")
	service := back.Serve("udp/8080")
	before := cell.Dropped("portsec")

	honest := bad.Datagram(back, 8080)
	stolenIP := honest
	stolenIP.Src = netip.AddrPortFrom(good.IP, 40000)
	stolenBoth := stolenIP
	stolenBoth.SrcMAC = flows.MACOf(good.IP)
	stolenMAC := good.Datagram(back, 8080)
	stolenMAC.SrcMAC = flows.MACOf(bad.IP)
	bad.SendRaw(stolenIP)
	bad.SendRaw(stolenBoth)
	good.SendRaw(stolenMAC) // its own address, under the neighbour's MAC
	if err := bad.SendFrame(ipv6Frame(bad)); err != nil {
		t.Fatal(err)
	}
	if err := bad.SendFrame(unknownFrame(bad)); err != nil {
		t.Fatal(err)
	}

	good.SendRaw(good.Datagram(back, 8080)) // the honest one passes, after them
	received(t, bed, service, good.IP, 1)
	time.Sleep(200 * time.Millisecond)
	if got := service.Total(); got != 1 {
		t.Errorf("%d packets were delivered, want only the honest one", got)
	}
	counted(t, bed, func() uint64 { return cell.Dropped("portsec") - before }, 5)
}

// A packet that another host forges is dropped and counted: one from an
// address that is no cell's, one whose inner source lies outside the sending
// cell's lease, one of another VNI, and one that claims to be a judged reply.
func TestForgedTunnelPacketsAreDropped(t *testing.T) {
	bed := bed(t)
	sender, target := bed.Cell(1), bed.Cell(2)
	cats, dogs := sender.Run("cats"), target.Run("dogs")
	bed.Allow(cats, dogs, "udp/8080")
	service := dogs.Serve("udp/8080")
	bed.Reaches(cats, dogs, "udp/8080")
	genuine := service.Total()
	before := target.Dropped("classify")

	honest := testbed.Forge(bed.Group(cats), cats.Datagram(dogs, 8080))
	honest.Inner.DstMAC = flows.MACOf(dogs.IP)
	outside := honest
	outside.Inner.Src = netip.AddrPortFrom(bed.Cell(3).Lease().Addr().Next().Next(), 40000)
	otherVNI := honest
	otherVNI.VNI = 2
	bed.SendTunnel(target, honest)           // unknown tun_src
	bed.SendTunnel(target, honest.Applied()) // the same, as a judged reply
	bed.Cell(3).SendTunnel(target, honest)   // a cell, but not the one whose lease it is
	sender.SendTunnel(target, outside)       // inner source outside the sender's lease
	sender.SendTunnel(target, otherVNI)
	counted(t, bed, func() uint64 { return target.Dropped("classify") - before }, 5)

	// A known cell that lies about what it judged: the target has no such
	// connection, so the packet is judged like any other.
	wrongGroup := honest
	wrongGroup.Group = bed.Group(dogs)
	sender.SendTunnel(target, wrongGroup.Applied())
	time.Sleep(200 * time.Millisecond)
	if got := service.Total(); got != genuine {
		t.Errorf("%d forged packets were delivered", got-genuine)
	}

	sender.SendTunnel(target, honest) // this test's forgeries are well made: an honest one passes
	received(t, bed, service, cats.IP, genuine+1)
}

// received waits until the service has got exactly n packets from the address.
func received(t *testing.T, bed *testbed.Bed, s *testbed.Service, from netip.Addr, n int) {
	t.Helper()
	err := bed.Eventually(5*time.Second, func() error { return differ(s.Received(from), n) })
	if err != nil {
		t.Errorf("packets delivered from %s: %v", from, err)
	}
}

// counted waits until the switch's counter has reached n: it is brought up to
// date from the datapath only now and then.
func counted(t *testing.T, bed *testbed.Bed, drops func() uint64, n uint64) {
	t.Helper()
	err := bed.Eventually(15*time.Second, func() error {
		if got := drops(); got < n {
			return differ(got, n)
		}
		return nil
	})
	if err != nil {
		t.Errorf("drops counted: %v", err)
	}
}
