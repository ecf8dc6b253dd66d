package controller

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// groupsState has 200 cells with 100 containers each, in 500 spaces, each of
// which has a security group of its own beside the one of everybody.
func groupsState(tb testing.TB) *State {
	s := NewState(testOverlay())
	groups := []Event{everybody(0)}
	for i := range 500 {
		groups = append(groups, ofSpace(i, 0))
	}
	for i := range 200 {
		cell := flows.CellID(fmt.Sprintf("cell-%d", i))
		s.Step(LeaseGranted{Peer: flows.Peer{
			Cell: cell, VTEP: netip.AddrFrom4([4]byte{192, 168, 0, byte(i)}), Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(i), 0}), 24),
		}})
		hello := EndpointsReplaced{Cell: cell}
		for j := 1; j <= 100; j++ {
			hello.Endpoints = append(hello.Endpoints, api.Endpoint{
				Container: fmt.Sprintf("c%d", j), IP: fmt.Sprintf("10.255.%d.%d", i, j), OFPort: uint16(100 + j),
				Space: fmt.Sprintf("space-%d", (i*100+j)%500), Workload: "app",
			})
		}
		s.Step(hello)
	}
	s.Step(Change{Revision: 1, Events: groups})
	if n := len(s.Endpoints()); n != 20000 || len(s.profiles) != 500 {
		tb.Fatalf("%d endpoints, %d sets of rules", n, len(s.profiles))
	}
	return s
}

func everybody(round int) Event {
	rules := fmt.Sprintf(`{"protocol":"all","destination":"198.51.100.%d"}`, round%250)
	for i := range 20 {
		rules += fmt.Sprintf(`,{"protocol":"tcp","destination":"172.16.%d.0/24","ports":"443"}`, i)
	}
	return SecurityGroupSet{api.SecurityGroup{GUID: "everybody", Rules: "[" + rules + "]", RunningDefault: true}}
}

func ofSpace(i, round int) Event {
	return SecurityGroupSet{api.SecurityGroup{
		GUID: fmt.Sprintf("group-%d", i), RunningSpaces: []string{fmt.Sprintf("space-%d", i)},
		Rules: fmt.Sprintf(`[{"protocol":"tcp","destination":"172.31.%d.%d","ports":"%d"}]`, i>>8, i&255, 1000+round%50000),
	}}
}

// BenchmarkSecurityGroupOfASpace: 40 of 20,000 containers get other rules.
func BenchmarkSecurityGroupOfASpace(b *testing.B) {
	s, round := groupsState(b), 0
	for b.Loop() {
		round++
		if dirty := s.Step(ofSpace(7, round)); len(dirty) != 40 {
			b.Fatalf("%d cells changed", len(dirty))
		}
	}
}

// BenchmarkSecurityGroupOfEverybody: all 20,000 do, in 500 sets.
func BenchmarkSecurityGroupOfEverybody(b *testing.B) {
	s, round := groupsState(b), 0
	for b.Loop() {
		round++
		if dirty := s.Step(everybody(round)); len(dirty) != 200 {
			b.Fatalf("%d cells changed", len(dirty))
		}
	}
}
