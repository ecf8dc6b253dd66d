package controller

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// colliding finds two sets of rules with one profile number: after some 80,000
// sets, a pair of equal 32-bit hashes is as likely as not.
func colliding(t *testing.T) (one, two flows.EgressRules) {
	t.Helper()
	seen := map[flows.EgressProfile]flows.EgressRules{}
	for i := range 1 << 20 {
		rules := flows.EgressRules(fmt.Sprintf("all 10.%d.%d.%d", i>>16, i>>8&255, i&255))
		if other, taken := seen[rules.Profile()]; taken {
			return other, rules
		}
		seen[rules.Profile()] = rules
	}
	t.Fatal("no two of a million sets collide")
	return "", ""
}

// TestCollidingProfiles: two sets that the switch could not tell apart are
// never on one cell together; whoever comes second is refused, with a reason,
// for as long as the first is there.
func TestCollidingProfiles(t *testing.T) {
	one, two := colliding(t)
	word := func(rules flows.EgressRules) string { return strings.ReplaceAll(string(rules), " ", "_") }
	s := newScript(t)
	s.do("lease cell=cell-1 subnet=10.255.1.0/24 vtep=192.0.2.1")
	s.do("lease cell=cell-2 subnet=10.255.2.0/24 vtep=192.0.2.2")
	s.do("up cell=cell-1 first,cats,10.255.1.2,10," + word(one))
	if got := s.do("up cell=cell-1 second,dogs,10.255.1.3,11," + word(two)); !strings.HasPrefix(got, "cell-1 refused second: egress rules: their profile "+one.Profile().String()) || strings.Count(got, "\n") != 1 {
		t.Errorf("the second set: %s", got)
	}
	key := flows.EgressKey(one)
	if got := s.do("up cell=cell-2 other,dogs,10.255.2.3,11," + word(two)); got != fmt.Sprintf("cell-2 +%s\ncell-2 +endpoint/other\n", key) {
		t.Errorf("on another cell: %s", got)
	}
	if got := s.do("down cell=cell-1 container=first"); got != fmt.Sprintf("cell-1 +%s\ncell-1 -endpoint/first\ncell-1 +endpoint/second\ncell-1 refused none\n", key) {
		t.Errorf("when the first set goes: %s", got)
	}
	if here, there := s.state.cells["cell-1"].fragments[key], s.state.cells["cell-2"].fragments[key]; here != there {
		t.Error("equal sets on two cells are compiled twice")
	}
}

// BenchmarkHelloWithRules: a cell of 250 containers with the same 100 egress
// rules connects again, and all have started anew.
func BenchmarkHelloWithRules(b *testing.B) {
	var rules []string
	for i := range 100 {
		rules = append(rules, fmt.Sprintf("tcp 198.51.100.%d 8000-%d", i, 9000+i))
	}
	text, err := flows.ParseEgressRules(strings.Join(rules, "; "))
	if err != nil {
		b.Fatal(err)
	}
	s := NewState(testOverlay())
	s.Step(LeaseGranted{Peer: peer(0)})
	hello := func(round int) (ev EndpointsReplaced) {
		ev.Cell = peer(0).Cell
		for i := range 250 {
			ev.Endpoints = append(ev.Endpoints, api.Endpoint{
				Container: fmt.Sprintf("c%d", i), App: "app", IP: fmt.Sprintf("10.255.1.%d", 1+i), OFPort: uint16(1000*(1+round%2) + i), Egress: string(text),
			})
		}
		return ev
	}
	s.Step(EndpointsReplaced{Cell: "cell-0", Endpoints: []api.Endpoint{{Container: "stays", IP: "10.255.1.254", OFPort: 10, Egress: string(text)}}})
	round := 0
	for b.Loop() {
		round++
		ev := hello(round)
		ev.Endpoints = append(ev.Endpoints, api.Endpoint{Container: "stays", IP: "10.255.1.254", OFPort: 10, Egress: string(text)})
		if s.Step(ev); len(s.cells["cell-0"].endpoints) != 251 {
			b.Fatal(s.Refused("cell-0"))
		}
	}
}
