package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed"
)

// A forgery is what nobody honest sends. It has to be dropped by the flow that
// is there for it, and to reach neither the victims nor, by an answer, anybody.
type forgery struct {
	name     string
	send     func(n int) error // n is another one each time
	at       *testbed.Cell     // where it is counted
	counts   []string          // the table, and words of the flow that counts
	kernel   string            // instead: the counter of the cell's kernel
	answered bool              // it could be an honest packet of an app without policy: refused as that
}

// counter names what counts it.
func (f forgery) counter() string { return f.at.Name() + f.kernel + strings.Join(f.counts, ",") }

// counted returns what the counters of all say.
func counted(all []forgery) map[string]uint64 {
	counts, dumps := map[string]uint64{}, map[string]testbed.Dump{}
	for _, f := range all {
		if f.kernel != "" {
			counts[f.counter()] = f.at.Host().SNMP(f.kernel)
			continue
		}
		if dumps[f.at.Name()] == nil {
			dumps[f.at.Name()] = f.at.Flows("")
		}
		words := append([]string{"table=" + f.counts[0] + ","}, f.counts[1:]...)
		counts[f.counter()] = dumps[f.at.Name()].Counted(words...)
	}
	return counts
}

// stage is where the forgeries play: cats and kittens on cell-1 may both reach
// dogs on cell-2, so what is dropped is dropped for being forged.
type stage struct {
	t                   *testing.T
	bed                 *testbed.Bed
	home, away          *testbed.Cell // cell-1, cell-2
	cats, kittens, dogs *testbed.Container
	outside             *testbed.Station
	service             *testbed.Service // of dogs
	wire                *testbed.Capture
	inside              map[string]*testbed.Sniffer // of the containers
	beyond              *testbed.Sniffer            // of the outside host
	sent                int                         // forgeries so far
}

func newStage(t *testing.T) *stage {
	t.Helper()
	b := bed(t)
	s := &stage{t: t, bed: b, home: b.Cell(1), away: b.Cell(2), outside: b.Outside()}
	// Whatever egress rules allow, they open no way to the tunnels.
	everywhere := testbed.Wants{Egress: "all 0.0.0.0-255.255.255.255"}
	s.cats, s.kittens, s.dogs = s.home.RunWith("cats", everywhere), s.home.Run("kittens"), s.away.Run("dogs")
	b.Allow(s.cats, s.dogs, "udp/8080")
	b.Allow(s.kittens, s.dogs, "udp/8080")
	s.service = s.dogs.Serve("udp/8080")
	b.Reaches(s.cats, s.dogs, "udp/8080")
	s.inside = map[string]*testbed.Sniffer{}
	for name, c := range map[string]*testbed.Container{"cats": s.cats, "kittens": s.kittens, "dogs": s.dogs} {
		c.PinGateway()
		s.inside[name] = c.Sniff()
	}
	s.beyond, s.wire = s.outside.Sniff(), b.Capture()
	s.home.Host().Sysctl("net/ipv4/ipfrag_time", "1")
	return s
}

// Every forgery is dropped and counted in the right table, arrives nowhere and
// is not answered.
func TestForgeriesAreDropped(t *testing.T) {
	s := newStage(t)
	dropped, answered := s.ofTunnelPackets()
	s.play(slices.Concat(s.ofAddresses(), s.ofKinds(), s.ofTunnels(), dropped))
	s.play(answered)
	for _, f := range s.ofFragments() { // the kernel has one counter, and may count one of them twice
		s.play([]forgery{f})
	}

	// These forgeries are well made: honest ones of the same making arrive, and
	// so do the fragments of an honest datagram.
	before := s.service.Received(s.cats.IP)
	s.cats.SendRaw(s.honest())
	s.home.SendTunnel(s.away, s.encapsulated())
	for _, fragment := range s.fragments(uint16(s.sent+1), 0, 16) {
		if err := s.cats.SendFrame(fragment); err != nil {
			t.Fatal(err)
		}
	}
	received(t, s.bed, s.service, s.cats.IP, before+3)
	for _, name := range []string{"cats", "dogs"} {
		if len(s.inside[name].Frames()) == 0 {
			t.Errorf("nothing was seen at %s, not even of the honest packets", name)
		}
	}
}

// play sends all forgeries a few times and looks for them everywhere. What is
// not counted then may have been lost on the way to the switch: it is played
// once more, alone.
func (s *stage) play(all []forgery) {
	s.t.Helper()
	short := s.together(all)
	for _, f := range short {
		if len(s.together([]forgery{f})) > 0 {
			s.t.Errorf("%s: not counted by %v%s on %s, or not every time\n%s", f.name, f.counts, f.kernel, f.at.Name(), f.at.Drops())
		}
	}
}

// together plays forgeries at once, and returns those whose counter has not
// counted all that it should.
func (s *stage) together(all []forgery) (short []forgery) {
	s.t.Helper()
	const copies = 3
	start := time.Now()
	want := counted(all)
	for _, f := range all {
		want[f.counter()] += copies
	}
	seen := map[string]int{}
	for name, sniffer := range s.inside {
		seen[name] = len(sniffer.Frames())
	}
	seenBeyond, seenAnswers := len(s.beyond.Frames()), len(s.wire.Answers())
	for _, f := range all {
		for range copies {
			s.sent++
			if err := f.send(s.sent); err != nil {
				s.t.Fatalf("%s: %v", f.name, err)
			}
		}
	}
	_ = s.bed.Eventually(func() error {
		now := counted(all)
		short = slices.DeleteFunc(slices.Clone(all), func(f forgery) bool { return now[f.counter()] >= want[f.counter()] })
		if len(short) > 0 {
			return fmt.Errorf("%d of %d are not counted", len(short), len(all))
		}
		return nil
	})
	names := fmt.Sprintf("%d forgeries, %q the first", len(all), all[0].name)
	if !slices.ContainsFunc(all, func(f forgery) bool { return f.answered }) {
		for name, sniffer := range s.inside {
			for _, frame := range sniffer.Frames()[seen[name]:] {
				s.t.Errorf("%s: %s got %s", names, name, testbed.Describe(frame))
			}
		}
		for _, p := range s.wire.Answers()[seenAnswers:] {
			s.t.Errorf("%s: answered over the tunnel: %s", names, p)
		}
	}
	for _, frame := range s.beyond.Frames()[seenBeyond:] {
		if overlayNetwork.Contains(testbed.SourceOf(frame)) {
			s.t.Errorf("%s: the outside host got %s", names, testbed.Describe(frame))
		}
	}
	s.t.Logf("%s: counted after %s", names, time.Since(start).Round(10*time.Millisecond))
	return short
}

var overlayNetwork = netip.MustParsePrefix("10.255.0.0/16")

// honest is what cats may send to dogs.
func (s *stage) honest() testbed.Datagram { return s.cats.Datagram(s.dogs, 8080) }

// encapsulated is the same as it travels from cell to cell.
func (s *stage) encapsulated() testbed.Encapsulated {
	e := testbed.Forge(s.bed.Group(s.cats), s.honest())
	e.Inner.DstMAC = flows.MACOf(s.dogs.IP)
	return e
}

// frame makes a forgery of cats that is dropped on its cell.
func (s *stage) frame(name string, frame []byte, counts ...string) forgery {
	return forgery{name: name, at: s.home, counts: counts, send: func(int) error { return s.cats.SendFrame(frame) }}
}

// ofAddresses are the MACs and addresses that are not the sender's.
func (s *stage) ofAddresses() []forgery {
	wrongMAC, wrongIP, both := s.honest(), s.honest(), s.honest()
	wrongMAC.SrcMAC = flows.MACOf(s.kittens.IP)
	wrongIP.Src = netip.AddrPortFrom(s.kittens.IP, 40000)
	both.SrcMAC, both.Src = wrongMAC.SrcMAC, wrongIP.Src
	mac, neighbour := flows.MACOf(s.cats.IP), flows.MACOf(s.kittens.IP)
	ask := testbed.ARP{Op: 1, SenderMAC: mac, SenderIP: s.cats.IP, TargetIP: flows.GatewayIP}
	as := func(ip netip.Addr, mac flows.MAC) testbed.ARP {
		return testbed.ARP{Op: 1, SenderMAC: mac, SenderIP: ip, TargetIP: ip}
	}
	stolenIP, stolenMAC := ask, ask
	stolenIP.SenderIP, stolenMAC.SenderMAC = s.kittens.IP, neighbour
	unasked := as(flows.GatewayIP, mac)
	unasked.Op, unasked.TargetMAC, unasked.TargetIP = 2, neighbour, s.kittens.IP
	portsec := []string{"portsec", "priority=0"}
	return []forgery{
		s.frame("wrong MAC", wrongMAC.Frame(), portsec...),
		s.frame("wrong source address", wrongIP.Frame(), portsec...),
		s.frame("a neighbour's MAC and address", both.Frame(), portsec...),
		s.frame("ARP from a neighbour's address", stolenIP.Frame(mac), portsec...),
		s.frame("ARP from a neighbour's MAC", stolenMAC.Frame(mac), portsec...),
		s.frame("ARP from a neighbour's MAC, in the frame too", stolenMAC.Frame(neighbour), portsec...),
		s.frame("gratuitous ARP for the gateway", as(flows.GatewayIP, mac).Frame(mac), portsec...),
		s.frame("ARP reply for the gateway, to a neighbour", unasked.Frame(mac), portsec...),
		s.frame("gratuitous ARP for another container", as(s.kittens.IP, mac).Frame(mac), portsec...),
		s.frame("gratuitous ARP for a container of another cell", as(s.dogs.IP, mac).Frame(mac), portsec...),
		s.frame("ARP for a neighbour", testbed.ARP{Op: 1, SenderMAC: mac, SenderIP: s.cats.IP, TargetIP: s.kittens.IP}.Frame(mac), "arp", "priority=0"),
	}
}

// ofKinds are the kinds of packets that the overlay does not have.
func (s *stage) ofKinds() []forgery {
	everybody := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	dhcp := testbed.Datagram{SrcMAC: flows.MACOf(s.cats.IP), DstMAC: flows.MAC{255, 255, 255, 255, 255, 255},
		Src: netip.AddrPortFrom(netip.IPv4Unspecified(), 68), Dst: netip.AddrPortFrom(everybody, 67)}
	renewal, group := dhcp, s.honest()
	renewal.Src = netip.AddrPortFrom(s.cats.IP, 68)
	group.Dst = netip.MustParseAddrPort("224.0.0.251:5353")
	reserved := []string{"destination", "priority=80", "nw_dst=224.0.0.0/3"}
	return []forgery{
		s.frame("VLAN-tagged", testbed.Tagged(s.honest().Frame(), 7), "classify", "priority=110", "vlan_tci"),
		s.frame("priority-tagged", testbed.Tagged(s.honest().Frame(), 0), "classify", "priority=110", "vlan_tci"),
		s.frame("IPv6", ipv6Frame(s.cats), "portsec", "priority=0"),
		s.frame("unknown EtherType", unknownFrame(s.cats), "portsec", "priority=0"),
		s.frame("DHCP from no address", dhcp.Frame(), "portsec", "priority=0"),
		s.frame("DHCP from its own address", renewal.Frame(), reserved...),
		s.frame("multicast", group.Frame(), reserved...),
	}
}

// fragments cuts an honest datagram in two, the second part beginning at the
// byte that overlaps the first by that many. Whole ones overlap by none.
func (s *stage) fragments(id uint16, overlap, cut int) [][]byte {
	datagram := testbed.UDP(40000, 8080, make([]byte, 40))
	first := testbed.IPv4{Src: s.cats.IP, Dst: s.dogs.IP, Protocol: 17, ID: id, More: true, Payload: datagram[:cut]}
	second := testbed.IPv4{Src: s.cats.IP, Dst: s.dogs.IP, Protocol: 17, ID: id, Offset: cut - overlap, Payload: datagram[cut-overlap:]}
	return [][]byte{s.cats.Frame(first), s.cats.Frame(second)}
}

// ofFragments are those that no datagram comes of. The kernel drops and counts
// them when it puts datagrams together, in table conntrack's ct().
func (s *stage) ofFragments() []forgery {
	all := func(frames [][]byte) error {
		for _, f := range frames {
			if err := s.cats.SendFrame(f); err != nil {
				return err
			}
		}
		return nil
	}
	return []forgery{
		{name: "overlapping fragments", at: s.home, kernel: "ReasmFails",
			send: func(n int) error { return all(s.fragments(uint16(n), 8, 24)) }},
		{name: "the first fragment alone", at: s.home, kernel: "ReasmFails",
			send: func(n int) error { return all(s.fragments(uint16(n), 0, 24)[:1]) }},
		{name: "the last fragment alone", at: s.home, kernel: "ReasmFails",
			send: func(n int) error { return all(s.fragments(uint16(n), 0, 24)[1:]) }},
	}
}

// ofTunnels are tunnel packets that a container makes, whose egress rules
// allow every packet to everywhere.
func (s *stage) ofTunnels() []forgery {
	to := func(vtep netip.Addr) []byte {
		d := s.honest()
		d.Dst, d.Payload = netip.AddrPortFrom(vtep, 4789), s.encapsulated().Payload()
		return d.Frame()
	}
	return []forgery{
		s.frame("VXLAN of a container, to its own cell", to(s.home.VTEP()), "egress", "priority=30000"),
		s.frame("VXLAN of a container, to another cell", to(s.away.VTEP()), "egress", "priority=30000"),
	}
}

// ofTunnelPackets are those that cells and others on the underlay forge.
func (s *stage) ofTunnelPackets() (dropped, answered []forgery) {
	honest := s.encapsulated()
	from := func(name string, sender *testbed.Station, e testbed.Encapsulated, counts ...string) forgery {
		return forgery{name: name, at: s.away, counts: counts, send: func(int) error {
			sender.SendTunnel(s.away, e)
			return nil
		}}
	}
	change := func(by func(e *testbed.Encapsulated)) testbed.Encapsulated {
		e := honest
		by(&e)
		return e
	}
	to := func(ip netip.Addr) testbed.Encapsulated {
		return change(func(e *testbed.Encapsulated) { e.Inner.Dst = netip.AddrPortFrom(ip, 8080) })
	}
	cell, third := s.home.Host(), s.bed.Cell(3)
	nobody := []string{"classify", "priority=50", "in_port=weftvxlan"}
	elsewhere := []string{"destination", "priority=80,reg4=0x2/0x3"}
	reply := testbed.Forge(s.bed.Group(s.dogs), testbed.Datagram{SrcMAC: flows.GatewayMAC, DstMAC: flows.MACOf(s.cats.IP), Src: honest.Inner.Dst, Dst: honest.Inner.Src})
	dropped = []forgery{
		from("tunnel packet from no cell", s.outside, honest, nobody...),
		from("the same, as a judged reply", s.outside, honest.Applied(), nobody...),
		from("from a cell, with a source of another cell", third.Host(), honest, nobody...),
		from("from a cell, with a source of the target's", cell, change(func(e *testbed.Encapsulated) {
			e.Inner.Src = netip.AddrPortFrom(nth(s.away.Lease(), 200), 40000)
		}), nobody...),
		from("another VNI", cell, change(func(e *testbed.Encapsulated) { e.VNI = 2 }), nobody...),
		from("group id 0", cell, change(func(e *testbed.Encapsulated) { e.Group = 0 }), "deny", "reg0=0,", "actions=drop"),
		from("no group id", cell, change(func(e *testbed.Encapsulated) { e.Flags[0] = 0x08; e.Group = 0 }), "deny", "reg0=0,", "actions=drop"),
		from("to a container of a third cell", cell, to(nth(third.Lease(), 1)), elsewhere...),
		from("to a free address of the lease", cell, to(nth(s.away.Lease(), 200)), elsewhere...),
		from("to the host", cell, to(s.away.VTEP()), elsewhere...),
		from("to the outside", cell, to(s.outside.IP), elsewhere...),
		from("to the gateway", cell, to(flows.GatewayIP), elsewhere...),
	}
	// Which ids are assigned is not for a cell to know, nor that nobody asked:
	// these are judged as what they say they are.
	return dropped, []forgery{
		{name: "a group id that nobody has", at: s.away, answered: true, counts: []string{"policy", "priority=0"}, send: func(int) error {
			cell.SendTunnel(s.away, change(func(e *testbed.Encapsulated) { e.Group = 60000 }))
			return nil
		}},
		{name: "a group id of another app, as a judged reply", at: s.away, answered: true, counts: []string{"policy", "priority=0"}, send: func(int) error {
			cell.SendTunnel(s.away, change(func(e *testbed.Encapsulated) { e.Group = s.bed.Group(s.dogs) }).Applied())
			return nil
		}},
		{name: "a reply without the policy-applied bit", at: s.home, answered: true, counts: []string{"policy", "priority=0"}, send: func(int) error {
			s.away.SendTunnel(s.home, reply)
			return nil
		}},
	}
}
