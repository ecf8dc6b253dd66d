package cellagent_test

import (
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	ctnetlink "github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/weft-sdn/weft/cellagent/hostnet"
)

// outside is a host on the underlay of a newHostBed, at 192.0.2.9.
type outside struct {
	t     *testing.T
	space netns.NsHandle
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{t: t}
	o.in(func(home netns.NsHandle) {
		space, err := netns.New()
		o.must(err)
		o.space = space
		o.must(netns.Set(home))
		link, err := netlink.LinkByName("under1")
		o.must(err)
		o.must(netlink.LinkSetNsFd(link, int(space)))
		o.must(netns.Set(space))
		out, err := exec.Command("sh", "-ec", "ip link set lo up; ip addr add 192.0.2.9/24 dev under1; ip link set under1 up").CombinedOutput()
		t.Log(string(out))
		o.must(err)
	})
	t.Cleanup(func() { o.space.Close() })
	return o
}

func (o *outside) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// in does something on a thread that is back home afterwards.
func (o *outside) in(do func(home netns.NsHandle)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	o.must(err)
	defer home.Close()
	defer func() { o.must(netns.Set(home)) }()
	do(home)
}

// talk sends from one socket to a UDP port of the cell, again and again, until
// the test's end.
func (o *outside) talk(port int) {
	o.t.Helper()
	var conn *net.UDPConn
	o.in(func(netns.NsHandle) {
		o.must(netns.Set(o.space))
		var err error
		conn, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port})
		o.must(err)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := conn.Write([]byte("?")); isClosed(err) { // refused is what some expect
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	o.t.Cleanup(func() { conn.Close(); <-done })
}

func isClosed(err error) bool {
	op, isOp := err.(*net.OpError)
	return isOp && op.Err == net.ErrClosed
}

var packetsOf = regexp.MustCompile(`packets (\d+)`)

// arrives reports whether packets to a container keep leaving for the bridge.
func arrives(t *testing.T, counter string) bool {
	t.Helper()
	count := func() int {
		n, err := strconv.Atoi(packetsOf.FindStringSubmatch(sh(t, "nft list counter inet probe "+counter))[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	time.Sleep(100 * time.Millisecond)
	return count() > before+3
}

// TestMappingsHoldForEveryClient: a mapping begins for clients that spoke to
// the port before, and ends for those that never stop; others notice nothing.
func TestMappingsHoldForEveryClient(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newHostBed(t)
	b.cfg.Reconcile = time.Hour
	o := newOutside(t)
	sh(t, `nft 'table inet probe { counter first { }; counter second { }; counter other { }
		chain c { type filter hook postrouting priority 10; oifname "br-weft" goto sent; }
		chain sent { ip daddr 10.255.1.2 counter name first; ip daddr 10.255.1.3 counter name second; ip daddr 10.255.1.9 counter name other; }
	}'`)
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	eventually(t, "host network is on", func() bool { return b.status().Host.On })
	o.talk(61000)
	o.talk(61009)
	eventually(t, "the host has heard the clients", func() bool { return len(tracked(t)) == 2 })

	first := b.attachMapped("one", 2, "61000:8080/udp")
	if err := b.waitReady(first); err != nil {
		t.Fatal(err)
	}
	if err := b.waitReady(b.attachMapped("other", 9, "61009:8080/udp")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the early clients reach their containers", func() bool { return arrives(t, "first") && arrives(t, "other") })
	mark(t, tracked(t)["61009"])

	b.remove(first)
	eventually(t, "the mapping ends for the client that never stops", func() bool { return !arrives(t, "first") })
	second := b.attachMapped("two", 3, "61000:8080/udp")
	if err := b.waitReady(second); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port leads to its next owner", func() bool { return arrives(t, "second") && !arrives(t, "first") })

	b.stop()
	b.remove(second)
	third := b.attachMapped("three", 2, "61000:8080/udp") // nobody is there to see it
	b.startAgent()
	if err := b.waitReady(third); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new agent finds what it has missed", func() bool { return arrives(t, "first") && !arrives(t, "second") })
	if got := tracked(t)["61009"]; got.Mark != ours || !arrives(t, "other") {
		t.Errorf("a connection that none of this concerned was cut: %+v", got)
	}
	if s := b.status(); s.Conntrack.Deleted == 0 || s.Conntrack.Failures != 0 {
		t.Errorf("%+v", s.Conntrack)
	}
}

// TestNextOwnerOfAnAddressInheritsNothing, even of the same ports.
func TestNextOwnerOfAnAddressInheritsNothing(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newHostBed(t)
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	eventually(t, "host network is on", func() bool { return b.status().Host.On })
	name := b.attachMapped("one", 2, "61000:8080/udp")
	if err := b.waitReady(name); err != nil {
		t.Fatal(err)
	}
	conn, err := ctnetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := ctnetlink.NewFlow(17, ctnetlink.StatusConfirmed, netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1"), 40000, 61000, 600, 0)
	in.TupleReply.IP.SourceAddress, in.TupleReply.Proto.SourcePort = netip.MustParseAddr("10.255.1.2"), 8080
	out := ctnetlink.NewFlow(17, ctnetlink.StatusConfirmed, netip.MustParseAddr("10.255.1.2"), netip.MustParseAddr("192.0.2.9"), 40001, 61001, 600, 0)
	host := ctnetlink.NewFlow(17, ctnetlink.StatusConfirmed, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9"), 40002, 61000, 600, 0)
	for _, f := range []ctnetlink.Flow{in, out, host} {
		if err := conn.Create(f); err != nil {
			t.Fatal(err)
		}
	}
	b.remove(name)
	if err := b.waitReady(b.attachMapped("two", 2, "61000:8080/udp")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the entries of the first are gone, and no others", func() bool {
		var left []uint16
		all, err := conn.Dump(nil)
		for _, f := range all { // there are those of the test's own parts, too
			if port := f.TupleOrig.Proto.SourcePort; f.TupleOrig.Proto.Protocol == 17 && port >= 40000 && port <= 40002 {
				left = append(left, port)
			}
		}
		return err == nil && slices.Equal(left, []uint16{40002})
	})
}

// TestWhatOthersMapIsLeftAlone: a connection that somebody else's rules lead to a
// container outlives the agent's start, and ends with the container. One that a
// mapping of ours led there, which is gone, does not.
func TestWhatOthersMapIsLeftAlone(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newHostBed(t)
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	eventually(t, "host network is on", func() bool { return b.status().Host.On })
	name := b.attachMapped("one", 2, "61000:8080/udp")
	if err := b.waitReady(name); err != nil {
		t.Fatal(err)
	}
	b.stop()
	conn, err := ctnetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for port, mark := range map[uint16]uint32{8000: 0, 61000: hostnet.MappedMark, 61005: hostnet.MappedMark} {
		f := ctnetlink.NewFlow(17, ctnetlink.StatusConfirmed, netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1"), 40000, port, 600, mark)
		f.TupleReply.IP.SourceAddress, f.TupleReply.Proto.SourcePort = netip.MustParseAddr("10.255.1.2"), 8080
		f.TupleReply.Proto.DestinationPort = port // that of the client, but each its own
		if err := conn.Create(f); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string { return strings.Join(slices.Sorted(maps.Keys(tracked(t))), " ") }
	b.startAgent()
	eventually(t, "the connection of the mapping that is gone is cut", func() bool { return left() == "61000 8000" })
	b.remove(name)
	eventually(t, "none leads to a container that is gone", func() bool { return left() == "" })
}

// ours marks an entry of the tracker, to know it again.
const ours = 0x77

func mark(t *testing.T, f ctnetlink.Flow) {
	t.Helper()
	conn, err := ctnetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Update(ctnetlink.Flow{TupleOrig: f.TupleOrig, Timeout: f.Timeout, Mark: ours}); err != nil {
		t.Fatal(err)
	}
}

// tracked returns the entries of clients outside, by the port of the host.
func tracked(t *testing.T) map[string]ctnetlink.Flow {
	t.Helper()
	conn, err := ctnetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all, err := conn.Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]ctnetlink.Flow{}
	for _, f := range all {
		if f.TupleOrig.IP.SourceAddress.String() == "192.0.2.9" {
			out[strconv.Itoa(int(f.TupleOrig.Proto.DestinationPort))] = f
		}
	}
	return out
}
