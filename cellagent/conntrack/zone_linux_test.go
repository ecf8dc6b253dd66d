package conntrack

import (
	"encoding/binary"
	"net/netip"
	"os/exec"
	"slices"
	"testing"

	ctnetlink "github.com/ti-mo/conntrack"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/ownnet"
)

var cats, dogs, owls = netip.MustParseAddr("10.255.1.2"), netip.MustParseAddr("10.255.1.3"), netip.MustParseAddr("10.255.2.4")

// tracker is the namespace's own, with entries as the bridge commits them.
type tracker struct {
	*testing.T
	conn *ctnetlink.Conn
	zone *Zone
}

func newTracker(t *testing.T) *tracker {
	t.Helper()
	// Reading the tracker is nothing that makes the kernel track: a rule is.
	script := `nft add table inet t; nft 'add chain inet t c { type filter hook output priority 0; }'; nft add rule inet t c ct label 1 ct state new accept`
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	conn, err := ctnetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zone.Close(); conn.Close() })
	return &tracker{t, conn, zone}
}

// nobodys are bits of a mark that say nothing to us.
const nobodys = 0xab00

// add makes an entry; number tells it from others. It is translated if it names
// another who answers.
func (k *tracker) add(number uint16, e Entry, zone uint16) {
	k.Helper()
	f := ctnetlink.NewFlow(uint8(e.Protocol), ctnetlink.StatusConfirmed, e.Source, e.Destination, 30000+number, e.Port, 600, 0)
	f.Zone = zone
	f.Mark = nobodys
	if e.ByPolicy {
		f.Mark |= judgedByPolicy
	}
	f.Labels = binary.NativeEndian.AppendUint32(nil, uint32(e.To)<<16|uint32(e.From))
	f.Labels = append(f.Labels, make([]byte, 12)...)
	if e.Answerer.IsValid() {
		f.TupleReply.IP.SourceAddress, f.TupleReply.Proto.SourcePort = e.Answerer.Addr(), e.Answerer.Port()
	}
	if e.Protocol == flows.TCP {
		f.ProtoInfo.TCP = &ctnetlink.ProtoInfoTCP{State: 3, OriginalFlags: 0x0808, ReplyFlags: 0x0808}
	}
	if err := k.conn.Create(f); err != nil {
		k.Fatalf("entry %d: %v", number, err)
	}
}

// left returns the numbers of the entries that there are.
func (k *tracker) left() []int {
	k.Helper()
	all, err := k.conn.Dump(nil)
	if err != nil {
		k.Fatal(err)
	}
	numbers := []int{}
	for _, f := range all {
		numbers = append(numbers, int(f.TupleOrig.Proto.SourcePort)-30000)
	}
	slices.Sort(numbers)
	return numbers
}

// TestDeleteIsExact: in a kernel's tracker, what is selected and doomed goes,
// and nothing else: no other zone's, no other judgement's, no other group's.
func TestDeleteIsExact(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	web := Entry{Source: cats, Destination: dogs, Protocol: flows.TCP, Port: 8080, ByPolicy: true, From: 101, To: 65535}
	with := func(change func(*Entry)) Entry {
		e := web
		change(&e)
		return e
	}
	entries := []Entry{
		0: web,
		1: with(func(e *Entry) { e.Port = 8081 }),
		2: with(func(e *Entry) { e.Protocol = flows.UDP }),
		3: with(func(e *Entry) { e.ByPolicy = false }),
		4: with(func(e *Entry) { e.From = 103 }),
		5: with(func(e *Entry) { e.To = 102 }),
		6: with(func(e *Entry) { e.Source = owls }),
		7: with(func(e *Entry) { e.Source, e.Destination = dogs, owls }),
		8: with(func(e *Entry) { e.Source, e.Destination = owls, cats }),
	}
	const foreign = 9 // the same as 0, in a zone of somebody else
	all := func(Entry) bool { return true }
	pair := func(e Entry) bool { return e.From == 101 && e.To == 65535 }
	for name, c := range map[string]struct {
		from   Selection
		doomed func(Entry) bool
		gone   []int
	}{
		"everything":        {Selection{Zone: flows.ZoneOverlay}, all, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		"nothing":           {Selection{Zone: flows.ZoneOverlay}, func(Entry) bool { return false }, nil},
		"from an address":   {Selection{Zone: flows.ZoneOverlay, Source: cats}, all, []int{0, 1, 2, 3, 4, 5}},
		"to an address":     {Selection{Zone: flows.ZoneOverlay, Destination: cats}, all, []int{8}},
		"judged by policy":  {Selection{Zone: flows.ZoneOverlay, ByPolicy: true}, all, []int{0, 1, 2, 4, 5, 6, 7, 8}},
		"protocol":          {Selection{Zone: flows.ZoneOverlay, Protocol: flows.UDP}, all, []int{2}},
		"port":              {Selection{Zone: flows.ZoneOverlay, Protocol: flows.TCP, Port: 8081}, all, []int{1}},
		"a pair on a port":  {Selection{Zone: flows.ZoneOverlay, Protocol: flows.TCP, Port: 8080, ByPolicy: true}, pair, []int{0, 6, 7, 8}},
		"between addresses": {Selection{Zone: flows.ZoneOverlay, Source: cats, Destination: dogs, Protocol: flows.TCP}, pair, []int{0, 1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTracker(t)
			if err := k.conn.Flush(); err != nil {
				t.Fatal(err)
			}
			want := []int{}
			for i, e := range entries {
				k.add(uint16(i), e, flows.ZoneOverlay)
				if !slices.Contains(c.gone, i) {
					want = append(want, i)
				}
			}
			k.add(foreign, web, 5)
			want = append(want, foreign)
			n, err := k.zone.Delete(c.from, c.doomed)
			if left := k.left(); err != nil || n != len(c.gone) || !slices.Equal(left, want) {
				t.Errorf("deleted %d, %v; left %v, want %v", n, err, left, want)
			}
			if n, err := k.zone.Delete(c.from, c.doomed); err != nil || n != 0 {
				t.Errorf("again: %d, %v", n, err)
			}
		})
	}
}

// TestEntryIsReadWhole: what doomed sees is what the bridge wrote, of ICMP too.
func TestEntryIsReadWhole(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	k := newTracker(t)
	want := Entry{Source: cats, Destination: owls, Protocol: flows.TCP, Port: 443, Answerer: netip.AddrPortFrom(owls, 443), ByPolicy: true, From: 0x1234, To: 0xfedc}
	want.Mark = nobodys | judgedByPolicy
	k.add(1, want, flows.ZoneOverlay)
	ping := ctnetlink.NewFlow(uint8(flows.ICMP), ctnetlink.StatusConfirmed, cats, owls, 0, 0, 600, 0)
	ping.Zone = flows.ZoneOverlay
	for _, half := range []*ctnetlink.ProtoTuple{&ping.TupleOrig.Proto, &ping.TupleReply.Proto} {
		*half = ctnetlink.ProtoTuple{Protocol: 1, ICMPv4: true, ICMPID: 77, ICMPType: 8}
	}
	ping.TupleReply.Proto.ICMPType = 0
	if err := k.conn.Create(ping); err != nil {
		t.Fatal(err)
	}
	listed, err := k.zone.List(Selection{Zone: flows.ZoneOverlay, Protocol: flows.TCP})
	if err != nil || !slices.Equal(listed, []Entry{want}) || len(k.left()) != 2 {
		t.Errorf("listed %+v, %v; left %v", listed, err, k.left())
	}
	var seen []Entry
	n, err := k.zone.Delete(Selection{Zone: flows.ZoneOverlay, Source: cats}, func(e Entry) bool { seen = append(seen, e); return true })
	pinged := Entry{Source: cats, Destination: owls, Protocol: flows.ICMP, Answerer: netip.AddrPortFrom(owls, 0)}
	if err != nil || n != 2 || !slices.Contains(seen, want) || !slices.Contains(seen, pinged) || want.Translated() {
		t.Errorf("%d, %v: %+v", n, err, seen)
	}
	if left := k.left(); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// TestTranslatedAreFoundByWhoAnswers, in their zone, whatever was asked for.
func TestTranslatedAreFoundByWhoAnswers(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	k := newTracker(t)
	client, host := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.2.1")
	mapped := Entry{Source: client, Destination: host, Protocol: flows.UDP, Port: 61001, Answerer: netip.AddrPortFrom(cats, 8080)}
	other, plain := mapped, mapped
	other.Answerer = netip.AddrPortFrom(dogs, 8080)
	plain.Answerer = netip.AddrPortFrom(host, 61001)
	k.add(0, mapped, HostZone)
	k.add(1, other, HostZone)
	k.add(2, plain, HostZone)
	k.add(3, mapped, flows.ZoneOverlay)
	var seen []Entry
	all := func(e Entry) bool { seen = append(seen, e); return true }
	n, err := k.zone.Delete(Selection{Zone: HostZone, Answerer: cats}, all)
	if err != nil || n != 1 || len(seen) != 1 || !seen[0].Translated() || seen[0].Answerer != mapped.Answerer || !slices.Equal(k.left(), []int{1, 2, 3}) {
		t.Errorf("by address: deleted %d, %v of %+v; left %v", n, err, seen, k.left())
	}
	n, err = k.zone.Delete(Selection{Zone: HostZone, Answerer: dogs, Destination: host, Protocol: flows.UDP, Port: 61001}, all)
	if err != nil || n != 1 || !slices.Equal(k.left(), []int{2, 3}) {
		t.Errorf("by both directions: deleted %d, %v; left %v", n, err, k.left())
	}
	n, err = k.zone.Delete(Selection{Zone: HostZone, Protocol: flows.UDP, Port: 61001}, all)
	if err != nil || n != 1 || seen[len(seen)-1].Translated() || !slices.Equal(k.left(), []int{3}) {
		t.Errorf("by port: deleted %d, %v; left %v", n, err, k.left())
	}
}
