package cellagent

import (
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent/conntrack"
	"github.com/weft-sdn/weft/cellagent/flowlog"
	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// tableOf compiles a cell with cats (101) at 10.255.1.2 and these rules.
func tableOf(rules ...flows.Rule) desired {
	want := desired{fragments: fragments{}, complete: true}
	state := flows.CellState{
		Cell: "cell-1", VNI: 1, Lease: netip.MustParsePrefix("10.255.1.0/24"), Overlay: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")},
		Local: []flows.Endpoint{{Container: "one", App: "cats", Group: 101, IP: netip.MustParseAddr("10.255.1.2"), OFPort: 5, Egress: "all 0.0.0.0/0 log"}},
		Allow: rules,
	}
	for _, f := range flows.Fragments(state) {
		want.fragments[f.Key] = f
	}
	return want
}

// viewOf is that of such a table, with a container in it and one that is not yet.
func viewOf(t *testing.T, old *view, want desired) *view {
	t.Helper()
	one := ovsdb.Port{Container: "one", App: "cats", IP: netip.MustParseAddr("10.255.1.2"), OFPort: 5}
	two := ovsdb.Port{Container: "two", App: "dogs", IP: netip.MustParseAddr("10.255.1.3")}
	next := old.judging(want, nil)
	if anew := old.judging(want, changedBetween(old, want)); !maps.EqualFunc(next.policies, anew.policies, func(a, b *policyFlows) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("the policies that changed lead to %v, all of them to %v", anew.policies, next.policies)
	}
	return next.among(netip.MustParsePrefix("10.255.1.0/24"), []ovsdb.Port{one, two}, map[string]ovsdb.Port{"one": one}, want)
}

// changedBetween are the fragments of policies in which a table may differ from
// that of the view, and one more.
func changedBetween(old *view, want desired) map[flows.FragmentKey]bool {
	if old.policies == nil {
		return nil
	}
	changed := map[flows.FragmentKey]bool{flows.PolicyKey(9999): true}
	for to := range old.policies {
		changed[flows.PolicyKey(to)] = true
	}
	for key := range want.fragments {
		changed[key] = true
	}
	return changed
}

func rule(policy flows.PolicyID, p flows.Protocol, first, last uint16) flows.Rule {
	return flows.Rule{Policy: policy, From: 102, To: 101, Protocol: p, Ports: flows.PortRange{First: first, Last: last}}
}

// TestViewAgreesWithRules: for every rule and port around its edges, the view
// finds the cookie that the compiler gave it.
func TestViewAgreesWithRules(t *testing.T) {
	want := tableOf(rule(7, flows.TCP, 8080, 8080), rule(8, flows.TCP, 8081, 9000), rule(9, flows.TCP, 8900, 9100), rule(10, flows.UDP, 1, 65535))
	v := viewOf(t, &view{}, want)
	for port, policy := range map[uint16]flows.PolicyID{8079: 0, 8080: 7, 8081: 8, 8899: 8, 9001: 9, 9100: 9, 9101: 0, 1: 0} {
		cookie, ok := v.cause(102, 101, flows.TCP, port)
		if ok != (policy != 0) || ok && cookie != flows.PolicyCookie(policy) {
			t.Errorf("tcp %d: %v, %v; want policy %d", port, cookie, ok, policy)
		}
		if cookie, ok := v.cause(102, 101, flows.UDP, port); !ok || cookie != flows.PolicyCookie(10) {
			t.Errorf("udp %d: %v, %v", port, cookie, ok)
		}
	}
	if cookie, ok := v.cause(102, 101, flows.TCP, 8950); !ok || cookie.Kind() != flows.KindPolicies {
		t.Errorf("a port of two policies: %v, %v", cookie, ok)
	}
	for _, pair := range [][2]flows.GroupID{{101, 102}, {0, 101}, {102, 0}, {103, 101}} {
		if cookie, ok := v.cause(pair[0], pair[1], flows.TCP, 8080); ok {
			t.Errorf("%v: %v", pair, cookie)
		}
	}
	ready := flowlog.Local{Container: "one", App: "cats", Group: 101}
	if got := v.local[netip.MustParseAddr("10.255.1.2")]; got != ready || len(v.local) != 1 || len(v.present) != 2 {
		t.Errorf("local %+v, present %v", v.local, v.present)
	}
	again := viewOf(t, v, want)
	if again.policies[101] != v.policies[101] {
		t.Error("an unchanged policy was read again")
	}
	if gone := v.leaving(&view{}); len(gone) != 2 || v.leaving(again) != nil && len(v.leaving(again)) != 0 {
		t.Errorf("left: %v", gone)
	}
}

// TestNextOwnerLooksLikeLeaving: an address that went from one container to the
// next between two looks is cleared; who asks for one in use changes nothing.
func TestNextOwnerLooksLikeLeaving(t *testing.T) {
	lease, addr := netip.MustParsePrefix("10.255.1.0/24"), netip.MustParseAddr("10.255.1.2")
	one, two := ovsdb.Port{Container: "one", IP: addr}, ovsdb.Port{Container: "two", IP: addr}
	look := func(owner string, ports ...ovsdb.Port) *view {
		return (&view{}).among(lease, ports, map[string]ovsdb.Port{owner: {Container: owner, IP: addr}}, desired{})
	}
	first := look("one", one)
	if gone := first.leaving(look("two", two)); !slices.Equal(gone, []netip.Addr{addr}) {
		t.Errorf("one gave way to two: %v", gone)
	}
	for name, next := range map[string]*view{"the same": look("one", one), "before": look("one", two, one), "behind": look("one", one, two)} {
		if gone := first.leaving(next); len(gone) != 0 {
			t.Errorf("%s: %v", name, gone)
		}
	}
}

// TestChoresSpareWhatIsAllowed: after policies went, exactly the entries that
// only they allowed are doomed, in each way of looking for them.
func TestChoresSpareWhatIsAllowed(t *testing.T) {
	before := tableOf(rule(7, flows.TCP, 8080, 8087), rule(8, flows.UDP, 53, 53))
	after := tableOf(rule(9, flows.TCP, 8084, 8084))
	_, removed := flows.Diff(flows.Union(slices.Collect(maps.Values(before.fragments))), flows.Union(slices.Collect(maps.Values(after.fragments))))
	now := viewOf(t, &view{}, after)
	entry := func(p flows.Protocol, port uint16) conntrack.Entry {
		return conntrack.Entry{Source: netip.MustParseAddr("10.255.2.9"), Destination: netip.MustParseAddr("10.255.1.2"),
			Protocol: p, Port: port, ByPolicy: true, From: 102, To: 101}
	}
	elsewhere, late := entry(flows.TCP, 8080), entry(flows.TCP, 8080)
	elsewhere.ByPolicy = false
	late.Destination = netip.MustParseAddr("10.255.1.77")
	cases := map[string]struct {
		entry          conntrack.Entry
		revoked, swept bool
	}{
		"first port":     {entry(flows.TCP, 8080), true, true},
		"last port":      {entry(flows.TCP, 8087), true, true},
		"still allowed":  {entry(flows.TCP, 8084), false, false},
		"udp":            {entry(flows.UDP, 53), true, true},
		"not ours":       {elsewhere, false, false},
		"never allowed":  {entry(flows.TCP, 9999), false, true},
		"nobody's":       {late, true, true},
		"attached later": {conntrack.Entry{Source: netip.MustParseAddr("10.255.1.3"), Destination: netip.MustParseAddr("10.255.2.9")}, false, false},
	}
	few := newTracker(func() *view { return now }, always, nil)
	few.revoke(removed)
	many := newTracker(few.seen, always, nil)
	for port := range uint16(3 * singly) {
		many.revoke([]flows.Flow{{Table: flows.TablePolicy, Match: strings.Replace("ct_nw_proto=6,ct_tp_dst=N,reg0=0x66,reg1=0x65", "N", string(rune('1'+port%9))+string(rune('0'+port/9)), 1)}})
	}
	many.revoke(removed)
	sweep := newTracker(few.seen, always, nil)
	sweep.sweep()
	doomed := func(k *tracker, e conntrack.Entry) bool {
		return slices.ContainsFunc(k.todo.jobs(k.seen), func(j job) bool { return j.from.Selects(e) && j.doomed(e) })
	}
	for name, c := range cases {
		if got := doomed(few, c.entry); got != c.revoked {
			t.Errorf("%s: doomed %v", name, got)
		}
		if got := doomed(many, c.entry); got != (c.swept && c.entry.ByPolicy) {
			t.Errorf("%s, among many: doomed %v", name, got)
		}
		if got := doomed(sweep, c.entry); got != c.swept {
			t.Errorf("%s, in a sweep: doomed %v", name, got)
		}
	}
	if n := len(many.todo.jobs(many.seen)); n != 1 {
		t.Errorf("%d walks for many flows", n)
	}
	now = &view{} // before the whole table is known
	for name, c := range cases {
		if doomed(sweep, c.entry) || doomed(few, c.entry) {
			t.Errorf("%s: doomed by a table that is not there", name)
		}
	}
}

// TestSecondPassSparesNewOwners: an address that was taken again is cleared
// once, not again; memory of removed flows is bounded.
func TestSecondPassSparesNewOwners(t *testing.T) {
	free, taken := netip.MustParseAddr("10.255.1.9"), netip.MustParseAddr("10.255.1.2")
	c := chores{addresses: map[netip.Addr]bool{free: true, taken: true}, all: true}
	now := &view{present: map[netip.Addr]string{taken: "two"}}
	left := c.settled(now)
	if left.all || len(left.addresses) != 1 || !left.addresses[free] || len(c.addresses) != 2 {
		t.Errorf("left %+v of %+v", left, c)
	}
	k := newTracker(nil, always, nil)
	for i := range 2 * maxRemoved {
		k.add(chores{removed: map[allowance]bool{{value: uint16(i)}: true}})
	}
	if !k.todo.all || len(k.todo.removed) > maxRemoved {
		t.Errorf("%d removed flows are remembered, sweep %v", len(k.todo.removed), k.todo.all)
	}
	var none *tracker
	none.forget([]netip.Addr{free})
	none.revoke(nil)
	none.sweep()
	if none.counters() != (TrackerCounters{}) {
		t.Error("no tracker has counted")
	}
}

// TestRefusedPacketsAreRead as nft lists the host's set.
func TestRefusedPacketsAreRead(t *testing.T) {
	const listing = `table bridge weft {
	set denied {
		type ipv4_addr
		size 65535
		flags dynamic,timeout
		timeout 10m
		elements = { 10.255.1.2 expires 9m59s984ms counter packets 7 bytes 420,
			     10.255.2.3 timeout 10m expires 8m counter packets 18446744073709551615 bytes 1,
			     10.255.2.4 counter packets 0 bytes 0 expires 1s }
	}
}`
	want := map[netip.Addr]uint64{
		netip.MustParseAddr("10.255.1.2"): 7, netip.MustParseAddr("10.255.2.3"): 1<<64 - 1, netip.MustParseAddr("10.255.2.4"): 0,
	}
	if got := refusedOf(listing); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestHauntedAddress: a container is not ready while the host still knows the last
// one with its address, by a mapped port or by connections.
func TestHauntedAddress(t *testing.T) {
	addr := netip.MustParseAddr("10.255.1.9")
	mapping := func(host, inside uint16) hostnet.Mapping {
		return hostnet.Mapping{Protocol: flows.TCP, HostPort: host, Container: netip.AddrPortFrom(addr, inside)}
	}
	a := &Agent{}
	a.notices.tracker = newTracker(nil, always, func(error) {})
	p := ovsdb.Port{IP: addr, Mappings: []ovsdb.PortMapping{{HostPort: 61000, ContainerPort: 80, Protocol: "tcp"}}}
	a.host.mappings = []hostnet.Mapping{mapping(61000, 80)}
	if a.haunted(p) {
		t.Error("by its own mapping")
	}
	a.host.mappings = append(a.host.mappings, mapping(61001, 22))
	if !a.haunted(p) {
		t.Error("not by a mapping that is not its own")
	}
	a.host.mappings = a.host.mappings[:1]
	a.notices.tracker.forget([]netip.Addr{addr})
	if !a.haunted(p) {
		t.Error("not while its connections are to be cleared")
	}
	a.notices.tracker.take()
	if !a.haunted(p) {
		t.Error("not while its connections are being cleared")
	}
	a.notices.tracker.tried(errors.New("netlink broke"))
	if !a.haunted(p) {
		t.Error("not when its connections could not be cleared")
	}
	if again := a.notices.tracker.take(); !again.addresses[addr] {
		t.Error("what failed is not tried again")
	}
	a.notices.tracker.tried(nil)
	if a.haunted(p) {
		t.Error("by nothing that is left")
	}
}

// TestHauntedContainerIsToldWhy: not at once, and with what is in the way, which
// may pass; one that is ready waits for nothing.
func TestHauntedContainerIsToldWhy(t *testing.T) {
	p := ovsdb.Port{Container: "one", IP: netip.MustParseAddr("10.255.1.9")}
	a := &Agent{waitsSince: map[string]time.Time{}, faults: map[string]*fault{"conntrack": {Text: "netlink broke"}}}
	a.notices.tracker = newTracker(nil, always, func(error) {})
	a.notices.tracker.forget([]netip.Addr{p.IP})
	if why, waits := a.awaits(p, flows.Fragment{}); !waits || why != (reason{}) {
		t.Errorf("at first: %+v, waits %v", why, waits)
	}
	a.waitsSince["one"] = time.Now().Add(-offlineGrace)
	want := passing("the host still leads connections of the last container with address 10.255.1.9 to it: netlink broke")
	if why, waits := a.awaits(p, flows.Fragment{}); !waits || why != want {
		t.Errorf("after a while: %+v, waits %v; want %+v", why, waits, want)
	}
	a.notices.tracker.take()
	a.notices.tracker.tried(nil)
	if why, waits := a.awaits(p, flows.Fragment{}); waits || why != (reason{}) || len(a.waitsSince) != 0 {
		t.Errorf("once it is cleared: %+v, waits %v", why, waits)
	}
	a.notices.tracker.forget([]netip.Addr{p.IP})
	p.Ready = true
	if _, waits := a.awaits(p, flows.Fragment{}); waits {
		t.Error("a container that is ready waits")
	}
}
