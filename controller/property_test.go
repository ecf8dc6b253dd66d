package controller

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// universe is small, so that random events meet.
const (
	someCells  = 3
	someApps   = 4
	someSlots  = 4 // containers, addresses and ofports per cell
	someStarts = 12
)

// someRules are equal sets among different ones, in several spellings.
var someRules = []string{
	"", "all 198.51.100.7", "all 198.51.100.7 log", "tcp 10.0.0.1-10.0.0.9 443; udp 0.0.0.0-255.255.255.255 53",
	"udp 0.0.0.0-255.255.255.255 53; tcp 10.0.0.1-10.0.0.9 443", "icmp 10.1.0.0-10.1.0.255 8/0", "tcp nowhere",
}

var someServices = [][]flows.Service{
	nil, {{Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53}},
	{{Protocol: flows.TCP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53}, {Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53}},
}

func app(i int) flows.AppID { return flows.AppID(fmt.Sprintf("app-%d", i)) }

func peer(i int) flows.Peer {
	return flows.Peer{
		Cell:  flows.CellID(fmt.Sprintf("cell-%d", i)),
		VTEP:  netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}),
		Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(i + 1), 0}), 24),
	}
}

// drawEndpoint may collide with others, lie outside the lease or have no app.
func drawEndpoint(t *rapid.T, cell int) api.Endpoint {
	subnet := cell + 1
	if rapid.IntRange(0, 15).Draw(t, "astray") == 0 {
		subnet = 200
	}
	ep := api.Endpoint{
		Container: fmt.Sprintf("c%d", rapid.IntRange(1, someSlots).Draw(t, "container")),
		IP:        fmt.Sprintf("10.255.%d.%d", subnet, rapid.IntRange(1, someSlots).Draw(t, "ip")),
		MAC:       rapid.SampledFrom([]string{"", "02:00:00:00:00:0a", "ee:ee:0a:ff:01:01", "01:00:00:00:00:0a"}).Draw(t, "mac"),
		OFPort:    uint16(rapid.IntRange(3, 2+someSlots).Draw(t, "ofport")),
		Egress:    rapid.SampledFrom(someRules).Draw(t, "egress"),
		Space:     rapid.SampledFrom([]string{"", "zoo", "farm"}).Draw(t, "space"),
		Workload:  rapid.SampledFrom([]string{"", "app", "task", "staging", "odd"}).Draw(t, "workload"),
	}
	if n := rapid.IntRange(0, someApps).Draw(t, "app"); n > 0 {
		ep.App = string(app(n))
	}
	return ep
}

// drawEvent makes any event in any order. As the database does it gives no id
// to two apps and frees none that a policy names, but beyond that State must
// not rely on the order.
func drawEvent(t *rapid.T, s *State, step int) Event {
	cell := rapid.IntRange(0, someCells-1).Draw(t, "cell")
	revision := api.Revision(step)
	switch rapid.SampledFrom([]string{
		"lease", "lease", "end", "name", "allow", "allow", "revoke", "up", "up", "down", "hello", "free", "free", "release", "logging", "security",
	}).Draw(t, "event") {
	case "lease":
		return drawGrant(t, revision, cell)
	case "end":
		return drawEnd(t, revision, cell)
	case "name":
		return Change{Revision: revision, Events: named(s, app(rapid.IntRange(1, someApps).Draw(t, "app")))}
	case "free":
		var idle []flows.GroupID
		for group := range s.apps {
			if len(s.naming[group]) == 0 {
				idle = append(idle, group)
			}
		}
		slices.Sort(idle)
		if len(idle) == 0 {
			return Change{Revision: revision}
		}
		return Change{Revision: revision, Events: []Event{GroupFreed{Group: rapid.SampledFrom(idle).Draw(t, "group"), Revision: revision}}}
	case "release":
		return Change{Revision: revision, Events: []Event{GroupReleased{flows.GroupID(rapid.IntRange(101, 100+someApps).Draw(t, "group"))}}}
	case "logging":
		logging := api.Logging{Accepted: rapid.IntRange(0, 3).Draw(t, "all") == 0}
		for i := range rapid.IntRange(0, someApps).Draw(t, "apps") {
			logging.Apps = append(logging.Apps, string(app(i)))
		}
		return Change{Revision: revision, Events: []Event{LoggingSet{logging}}}
	case "security":
		return drawSecurity(t, revision)
	case "allow":
		from, to := app(rapid.IntRange(1, someApps).Draw(t, "from")), app(rapid.IntRange(1, someApps).Draw(t, "to"))
		first := rapid.Uint16Range(1, 20).Draw(t, "first")
		events := named(s, from, to)
		groups := maps.Clone(s.groups)
		for _, ev := range events {
			groups[ev.(GroupAssigned).App] = ev.(GroupAssigned).Group
		}
		return Change{Revision: revision, Events: append(events, PolicyAdded{From: from, To: to, Rule: flows.Rule{
			Policy: flows.PolicyID(step), From: groups[from], To: groups[to],
			Protocol: flows.TCP, Ports: flows.PortRange{First: first, Last: first + rapid.Uint16Range(0, 9).Draw(t, "more")},
		}})}
	case "revoke":
		return Change{Revision: revision, Events: []Event{PolicyRemoved{ID: flows.PolicyID(rapid.IntRange(1, step).Draw(t, "policy"))}}}
	case "up":
		return EndpointsChanged{Cell: peer(cell).Cell, Up: []api.Endpoint{drawEndpoint(t, cell), drawEndpoint(t, cell)}}
	case "down":
		return EndpointsChanged{Cell: peer(cell).Cell, Down: []string{fmt.Sprintf("c%d", rapid.IntRange(1, someSlots).Draw(t, "down"))}}
	}
	hello := EndpointsReplaced{Cell: peer(cell).Cell, Services: rapid.SampledFrom(someServices).Draw(t, "services")}
	for range rapid.IntRange(0, someSlots).Draw(t, "endpoints") {
		hello.Endpoints = append(hello.Endpoints, drawEndpoint(t, cell))
	}
	return hello
}

// named are the events that give these apps group ids, if they have none.
func named(s *State, apps ...flows.AppID) (events []Event) {
	taken := maps.Clone(s.apps)
	for _, app := range apps {
		if _, has := s.groups[app]; !has {
			group := lowest(taken, app)
			taken[group] = app
			events = append(events, GroupAssigned{App: app, Group: group})
		}
	}
	return events
}

// TestFragmentsForgetHistory: after any events, what State keeps is what
// compiling from scratch gives; what Step returned, applied to copies of the
// cells' tables, gives the same; and a state that is told only the outcome, in
// another order, has the same tables.
func TestFragmentsForgetHistory(t *testing.T) {
	var hosted, outside, quarantined, grouped int
	var hidden, ended int
	rapid.Check(t, func(rt *rapid.T) {
		s := NewState(testOverlay())
		told := map[flows.CellID]map[flows.FragmentKey]*flows.Fragment{}
		for step := range rapid.IntRange(someStarts, 60).Draw(rt, "steps") {
			ev := drawEvent(rt, s, step+1)
			for _, id := range partedBy(ev) { // its next stream begins with a snapshot
				if s.cells[id] != nil {
					ended++
				}
				delete(told, id)
			}
			for _, d := range s.Step(ev) {
				tell(told, d)
			}
			checkTold(rt, s, told)
		}
		checkFromScratch(rt, s)
		hosted, outside, quarantined = hosted+len(s.judges), outside+len(s.profiles), quarantined+len(s.freed)
		grouped += checkSecurity(rt, s)
		hidden += checkLeases(rt, s)
		checkBooks(rt, s)
		for group := range s.judges {
			if len(s.hosts[s.apps[group]]) == 0 {
				rt.Fatalf("the fragment toward group %d is kept, and nobody hosts it", group)
			}
		}
		again := retell(s)
		for id := range s.cells {
			if s.Hash(id) != again.Hash(id) {
				rt.Fatalf("cell %s: the table depends on history", id)
			}
		}
		if now, then := s.Cells(), again.Cells(); !slices.Equal(now, then) {
			rt.Fatalf("the cells depend on history: %v, the shortest way %v", now, then)
		}
	})
	if hosted == 0 || outside == 0 || quarantined == 0 || grouped == 0 || hidden == 0 || ended == 0 {
		t.Errorf("%d policies, %d sets of egress rules, %d quarantined ids, %d endpoints with rules of security groups, %d returning cells, %d ends of leases in all runs: the generator proves nothing",
			hosted, outside, quarantined, grouped, hidden, ended)
	}
}

// checkBooks: what State counts is what there is.
func checkBooks(rt *rapid.T, s *State) {
	uses := map[flows.EgressRules]map[flows.CellID]bool{}
	for id, c := range s.cells {
		for _, ep := range c.endpoints {
			if ep.Egress != "" {
				if uses[ep.Egress] == nil {
					uses[ep.Egress] = map[flows.CellID]bool{}
				}
				uses[ep.Egress][id] = true
			}
		}
	}
	if len(uses) != len(s.profiles) {
		rt.Fatalf("%d sets of egress rules are kept, %d are used", len(s.profiles), len(uses))
	}
	for rules, cells := range uses {
		if s.profiles[rules].cells != len(cells) {
			rt.Fatalf("egress rules %q: %d cells counted, %d use them", rules, s.profiles[rules].cells, len(cells))
		}
	}
	naming := map[flows.GroupID]map[flows.PolicyID]struct{}{}
	for id, p := range s.policies {
		for _, group := range groupsOf(p.Rule) {
			if naming[group] == nil {
				naming[group] = map[flows.PolicyID]struct{}{}
			}
			naming[group][id] = struct{}{}
		}
	}
	if !maps.EqualFunc(naming, s.naming, maps.Equal) {
		rt.Fatalf("policies name %v, noted %v", naming, s.naming)
	}
	for group, app := range s.apps {
		if _, freed := s.freed[group]; freed == (s.groups[app] == group) {
			rt.Fatalf("group %d of %s is in use and in quarantine, or neither", group, app)
		}
	}
}

// tell applies a change to a copy of the cell's table, as an agent does.
func tell(told map[flows.CellID]map[flows.FragmentKey]*flows.Fragment, d Dirty) {
	if told[d.Cell] == nil {
		told[d.Cell] = map[flows.FragmentKey]*flows.Fragment{}
	}
	for key, swap := range d.Set {
		if swap.from != nil && told[d.Cell][key] != swap.from {
			panic(fmt.Sprintf("cell %s: %s is patched from what it is not", d.Cell, key))
		}
		if swap.to == nil {
			delete(told[d.Cell], key)
		} else {
			told[d.Cell][key] = swap.to
		}
	}
}

func checkTold(rt *rapid.T, s *State, told map[flows.CellID]map[flows.FragmentKey]*flows.Fragment) {
	for id := range s.cells {
		var sum flows.Hash
		for _, f := range told[id] {
			sum = sum.Xor(f.Hash)
		}
		// A new cell starts with a snapshot, so it was not told of older peers.
		for _, f := range s.Fragments(id) {
			if _, was := told[id][f.Key]; !was && f.Key[:5] == "cell/" {
				sum = sum.Xor(f.Hash)
			}
		}
		if sum != s.Hash(id) {
			rt.Fatalf("cell %s: what it was told is not its table", id)
		}
	}
}

// retell makes a state from the facts alone, in random order.
func retell(s *State) *State {
	var events []Event
	for group, app := range s.apps {
		whole := Change{Events: []Event{GroupAssigned{App: app, Group: group}}}
		if q, freed := s.freed[group]; freed {
			whole.Events = append(whole.Events, GroupFreed{Group: group, Revision: q.freed, At: q.at})
		}
		events = append(events, whole)
	}
	events = append(events, LoggingSet{s.logging})
	for _, p := range s.policies {
		events = append(events, p)
	}
	for _, g := range s.security.groups {
		events = append(events, SecurityGroupSet{g.SecurityGroup})
	}
	if s.security.known {
		events = append(events, SecurityGroupsRead{})
	}
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	again := NewState(s.overlay)
	for _, ev := range retoldLeases(s) {
		again.Step(ev)
	}
	half := len(events) / 2
	again.Step(Change{Revision: 1, Events: events[:half]})
	for id, c := range s.cells {
		var hello []api.Endpoint
		for _, ep := range c.endpoints {
			hello = append(hello, ep.reported())
		}
		again.Step(EndpointsReplaced{Cell: id, Endpoints: hello, Services: c.services})
	}
	again.Step(Change{Revision: 2, Events: events[half:]})
	return again
}

// TestPolicyFragmentIsShared: an app's policy is compiled once for all cells
// that host it, and a change of it compiles nothing else.
func TestPolicyFragmentIsShared(t *testing.T) {
	s := newScript(t)
	s.do("lease cell=cell-1 subnet=10.255.1.0/24 vtep=192.0.2.1")
	s.do("lease cell=cell-2 subnet=10.255.2.0/24 vtep=192.0.2.2")
	s.do("up cell=cell-1 a,backend,10.255.1.2,10 x,other,10.255.1.3,11")
	s.do("up cell=cell-2 b,backend,10.255.2.2,10")
	s.do("allow from=frontend to=backend port=tcp/8080")
	s.do("allow from=frontend to=other port=tcp/8080")
	before := maps.Clone(s.state.cells["cell-1"].fragments)
	s.do("allow from=frontend to=backend port=tcp/9090")

	key := flows.PolicyKey(s.state.groups["backend"])
	one, two := s.state.cells["cell-1"].fragments[key], s.state.cells["cell-2"].fragments[key]
	if one == nil || one != two {
		t.Errorf("the cells' fragments of the same app are %p and %p", one, two)
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if changed := before[k] != s.state.cells["cell-1"].fragments[k]; changed != (k == key) {
			t.Errorf("fragment %s: compiled again: %v", k, changed)
		}
	}
}

// TestUnknownEventPanics: an event that State does not know is a fault of the
// program, not of its input.
func TestUnknownEventPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Step accepted an event of no known type")
		}
	}()
	NewState(testOverlay()).Step(struct{ Event }{})
}

// benchmarkState has 1,000 policies among 100 apps and 100 endpoints on the
// cell that is looked at, and 500 other cells.
func benchmarkState(tb testing.TB) *State {
	s := NewState(testOverlay())
	var events []Event
	for i := range 501 {
		events = append(events, LeaseGranted{Peer: flows.Peer{
			Cell: flows.CellID(fmt.Sprintf("cell-%d", i)), VTEP: netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)}),
			Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(i >> 1), byte(i&1) << 7}), 25),
		}})
	}
	for i := 1; i <= 100; i++ {
		events = append(events, GroupAssigned{App: app(i), Group: flows.GroupID(i)})
	}
	for i := range 1000 {
		events = append(events, benchmarkPolicy(i))
	}
	s.Step(Change{Revision: 1, Events: events})
	hello := EndpointsReplaced{Cell: "cell-0"}
	for i := 1; i <= 100; i++ {
		hello.Endpoints = append(hello.Endpoints, api.Endpoint{
			Container: fmt.Sprintf("c%d", i), App: string(app(i)), IP: fmt.Sprintf("10.255.0.%d", i), OFPort: uint16(100 + i),
		})
	}
	s.Step(hello)
	if got := len(s.Fragments("cell-0")); got != 1+100+500+100 {
		tb.Fatalf("%d fragments", got)
	}
	return s
}

func benchmarkPolicy(i int) PolicyAdded {
	from, to := 1+i/10%100, 1+i%100
	return PolicyAdded{From: app(from), To: app(to), Rule: flows.Rule{
		Policy: flows.PolicyID(i + 1), From: flows.GroupID(from), To: flows.GroupID(to),
		Protocol: flows.TCP, Ports: flows.PortRange{First: uint16(8000 + i), Last: uint16(8000 + i)},
	}}
}

// BenchmarkPolicyChange: one policy added to 1,000 and taken back, from the
// log's entry to the fragment that goes to the cell.
func BenchmarkPolicyChange(b *testing.B) {
	s := benchmarkState(b)
	extra := benchmarkPolicy(1000)
	b.ReportAllocs()
	revision := api.Revision(2)
	for b.Loop() {
		dirty := s.Step(Change{Revision: revision, Events: []Event{extra}})
		if len(dirty) != 1 || len(dirty[0].Set) != 1 {
			b.Fatalf("changed %v", dirty)
		}
		s.Step(Change{Revision: revision + 1, Events: []Event{PolicyRemoved{ID: extra.Rule.Policy}}})
		revision += 2
	}
}
