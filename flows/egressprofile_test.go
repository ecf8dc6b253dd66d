package flows

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// asks is the first packet of a connection out of the overlay.
type asks struct {
	protocol Protocol
	to       netip.Addr
	port     uint16 // of TCP and UDP; and of others, whose rules never look
	icmp     [2]uint8
}

// ruleFor returns the place, from 1, of the rule that counts the connection:
// the first that allows it, those that log before those that do not; 0: none.
func ruleFor(rules []EgressRule, p asks) int {
	allows := func(r EgressRule) bool {
		switch {
		case r.Protocol != AnyProtocol && r.Protocol != p.protocol:
			return false
		case p.to.Less(r.First) || r.Last.Less(p.to):
			return false
		case r.Protocol == ICMP:
			return (r.ICMPType == -1 || r.ICMPType == int16(p.icmp[0])) && (r.ICMPCode == -1 || r.ICMPCode == int16(p.icmp[1]))
		case r.Protocol == AnyProtocol || r.Ports == PortRange{}:
			return true
		}
		return r.Ports.First <= p.port && p.port <= r.Ports.Last
	}
	logs := slices.IndexFunc(rules, func(r EgressRule) bool { return r.Log && allows(r) })
	if logs >= 0 {
		return logs + 1
	}
	return slices.IndexFunc(rules, allows) + 1
}

// nearly is mostly one of a few addresses or numbers around which ranges
// begin, end and overlap.
func nearly(r *rand.Rand) netip.Addr {
	edges := [][4]byte{{0, 0, 0, 0}, {10, 0, 0, 0}, {10, 0, 0, 200}, {10, 1, 0, 0}, {127, 255, 255, 255}, {192, 0, 2, 7}, {255, 255, 255, 250}}
	b := edges[r.IntN(len(edges))]
	b[3] += byte(r.IntN(6))
	if r.IntN(8) == 0 {
		b[1+r.IntN(3)] = byte(r.IntN(256))
	}
	return netip.AddrFrom4(b)
}

func randomEgressRules(r *rand.Rand) EgressRules {
	rules := make([]EgressRule, r.IntN(12))
	for i := range rules {
		rule := EgressRule{Protocol: []Protocol{AnyProtocol, ICMP, TCP, TCP, UDP, UDP}[r.IntN(6)],
			First: nearly(r), Last: nearly(r), Log: r.IntN(3) == 0}
		if rule.Last.Less(rule.First) {
			rule.First, rule.Last = rule.Last, rule.First
		}
		if r.IntN(4) == 0 {
			rule.Last = rule.First
		}
		switch {
		case rule.Protocol == ICMP:
			rule.ICMPType, rule.ICMPCode = int16(r.IntN(4)-1), int16(r.IntN(4)-1)
		case rule.Protocol != AnyProtocol && r.IntN(4) > 0:
			rule.Ports.First = randomPort(r)
			rule.Ports.Last = rule.Ports.First + uint16(r.IntN(60)*r.IntN(2)+r.IntN(4000)*r.IntN(2))
		}
		rules[i] = rule
	}
	set, err := NewEgressRules(rules)
	if err != nil {
		panic(err)
	}
	return set
}

func (p asks) trace(profile EgressProfile) string {
	source, destination := uint16(20000), p.port
	if p.protocol == ICMP {
		source, destination = uint16(p.icmp[0]), uint16(p.icmp[1])
	}
	return fmt.Sprintf("in_port=LOCAL,ip,nw_proto=%d,nw_dst=%v,reg5=%d,ct_state=trk|est,ct_nw_proto=%d,ct_nw_dst=%v,ct_tp_src=%d,ct_tp_dst=%d",
		p.protocol, p.to, uint32(profile), p.protocol, p.to, source, destination)
}

// randomAsk is half the time at the edge of a rule, within or just beyond.
func randomAsk(r *rand.Rand, rules []EgressRule) asks {
	p := asks{[]Protocol{TCP, UDP, ICMP, 47}[r.IntN(4)], nearly(r), randomPort(r) + uint16(r.IntN(60)), [2]uint8{uint8(r.IntN(4)), uint8(r.IntN(4))}}
	if len(rules) == 0 || r.IntN(2) == 0 {
		return p
	}
	rule := rules[r.IntN(len(rules))]
	p.to = []netip.Addr{rule.First, rule.Last, rule.First, rule.Last, rule.First.Prev(), rule.Last.Next()}[r.IntN(6)]
	if !p.to.IsValid() {
		p.to = rule.First
	}
	if rule.Protocol != AnyProtocol {
		p.protocol = rule.Protocol
	}
	if rule.Protocol == ICMP {
		p.icmp = [2]uint8{uint8(max(0, rule.ICMPType)), uint8(max(0, rule.ICMPCode)) + uint8(r.IntN(2))}
	}
	if rule.Ports.First > 0 {
		p.port = []uint16{rule.Ports.First, rule.Ports.Last, rule.Ports.First - 1, rule.Ports.Last + 1}[r.IntN(4)]
	}
	return p
}

var egressFlowHit = regexp.MustCompile(`(?m)^40\. .*, cookie (0x[0-9a-f]+)\n((?:    .*\n)*)`)

// TestEgressRulesMeanWhatTheySay: however the rules of a set overlap, and
// however many sets are on the cell, a real switch lets through what some rule
// of the container's own set allows, counts it at the rule that the order
// says, and logs if any such rule logs.
func TestEgressRulesMeanWhatTheySay(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	br := dummyovs.Start(t).AddBridge("br-weft")
	br.NameTables(TableNames())
	allowed, logs, conjunctions, asked := 0, 0, 0, 0
	for range 30 {
		sets := []EgressRules{randomEgressRules(rng), randomEgressRules(rng), randomEgressRules(rng)}
		table := Table{{Table: TableClassify, Actions: "goto_table:egress"}, {Table: TableOutput, Actions: "drop"}}
		for _, set := range slices.Compact(slices.Sorted(slices.Values(sets))) {
			table = append(table, EgressFragment(set).Flows...)
		}
		conjunctions += strings.Count(table.String(), "conj_id=")
		br.ReplaceFlows(table.String())
		for range 150 {
			set := sets[rng.IntN(len(sets))]
			p := randomAsk(rng, set.Rules())
			want := ruleFor(set.Rules(), p)
			got, log := 0, false
			text := br.Trace(p.trace(set.Profile()))
			if hit := egressFlowHit.FindStringSubmatch(text); hit != nil {
				cookie, _ := ParseCookie(hit[1])
				profile, place := cookie.Egress()
				if profile != set.Profile() {
					t.Fatalf("profile %v's packet is counted by %v:\n%s", set.Profile(), profile, text)
				}
				got, log = place, strings.Contains(hit[2], "->NXM_NX_REG4[10]")
			}
			if got != want || log != (want > 0 && set.Rules()[want-1].Log) {
				t.Fatalf("%+v of %q\nis allowed by rule %d, log %t; want rule %d\n%s", p, set, got, log, want, text)
			}
			asked++
			if got > 0 {
				allowed++
			}
			if log {
				logs++
			}
		}
	}
	t.Logf("%d verdicts, %d allowed, %d of them to be logged; %d rules as conjunctions", asked, allowed, logs, conjunctions)
	if share := float64(allowed) / float64(asked); share < 0.3 || share > 0.8 || logs == 0 || conjunctions < 10 {
		t.Errorf("the generator asks too much of one kind")
	}
}

// TestRemovedEgressRuleEndsItsConnections: without a packet of the container,
// and only those that no other rule allows.
func TestRemovedEgressRuleEndsItsConnections(t *testing.T) {
	const (
		asks    = "101 udp 10.255.1.2:40000 > 192.0.2.7:8080"
		answers = "host udp 192.0.2.7:8080 > 10.255.1.2:40000"
		other   = "host udp 192.0.2.7:53 > 10.255.1.2:40001"
	)
	cell := threeApps()
	cell.Local[0].Egress = "udp 192.0.2.0-192.0.2.255 53; udp 192.0.2.7 8000-8100"
	r := newRig(t)
	r.load(cell)
	expect := func(line, verdict string) {
		t.Helper()
		if got, want := r.step(cell, line), line+" => "+verdict; got != want {
			t.Errorf("%s, want %s", got, verdict)
		}
	}
	expect("101 udp 10.255.1.2:40001 > 192.0.2.7:53", "host")
	expect(asks, "host")
	expect(answers, "port 101")
	cell.Local[0].Egress = "udp 192.0.2.0-192.0.2.255 53"
	r.load(cell)
	expect(answers, "drop in deny")
	expect(asks, "denied by egress, 102 to 0")
	expect(other, "port 101")
	cell.Local[0].Egress = ""
	r.load(cell)
	expect(other, "drop in deny")
}

// TestEchoFromOutsideIsAnAnswer: the tracker has ICMP's type and code in the
// original tuple, so the rule for the request judges the reply too.
func TestEchoFromOutsideIsAnAnswer(t *testing.T) {
	cell := threeApps()
	cell.Local[0].Egress = "icmp 192.0.2.7 8/0"
	r := newRig(t)
	r.load(cell)
	reply := fromContainer(dummyovs.Frame{Src: netip.MustParseAddr("192.0.2.7"), Dst: cell.Local[0].IP, Protocol: dummyovs.ICMP, Payload: []byte("weft")})
	answer := func() string {
		return r.verdict(func() { r.br.PacketOut(dummyovs.Host{Mark: HostMark}, reply.Bytes()) }, false)
	}
	if got := answer(); !strings.HasPrefix(got, "drop in state") {
		t.Errorf("an echo reply to nothing: %s", got)
	}
	if got := r.step(cell, "101 icmp 10.255.1.2 > 192.0.2.7"); !strings.HasSuffix(got, "=> host") {
		t.Error(got)
	}
	if got := answer(); got != "port 101" {
		t.Errorf("the reply: %s", got)
	}
	cell.Local[0].Egress = "icmp 192.0.2.7 0/0"
	r.load(cell)
	if got := answer(); got != "drop in deny" {
		t.Errorf("the reply when only replies could be sent: %s", got)
	}
}

// TestEgressFlowCounts holds what a rule costs at most, as documented.
func TestEgressFlowCounts(t *testing.T) {
	const most = "0.0.0.1-255.255.255.254"
	for text, want := range map[string]int{
		"tcp 192.0.2.7 1-65534":         30,
		"tcp 192.0.2.7 1-65535":         16,
		"tcp 192.0.2.7":                 1,
		"all " + most:                   62,
		"all 0.0.0.0-255.255.255.255":   1,
		"icmp " + most + " 8/0":         62,
		"tcp " + most + " 1-65534":      93, // not 1,860: a conjunction
		"tcp 10.0.0.1-10.0.0.4 80-82":   6,  // 3 prefixes, 2 masked ports
		"tcp 10.0.0.1-10.0.0.6 80-85":   8,  // 4 and 2
		"tcp 10.0.0.1-10.0.0.200 80-85": 13, // 10 and 2, and 1: not 20
	} {
		set, err := ParseEgressRules(text)
		if err != nil {
			t.Fatal(err)
		}
		const errors = 1 // the profile's flow for ICMP errors
		if got := len(EgressFragment(set).Flows) - errors; got != want {
			t.Errorf("%s: %d flows, want %d", text, got, want)
		}
	}
	if n := len(EgressFragment("").Flows); n != 0 {
		t.Errorf("no rules: %d flows", n)
	}
	if n := len(EgressFragment("tcp ::1 80").Flows); n != 0 {
		t.Errorf("a text that nobody validated: %d flows", n)
	}
}

// cloudFoundry are the security groups that a foundation starts with:
// public_networks, which is everything but private and link-local addresses,
// and dns.
const cloudFoundry = "all 0.0.0.0-9.255.255.255; all 11.0.0.0-169.253.255.255; all 169.255.0.0-172.15.255.255; " +
	"all 172.32.0.0-192.167.255.255; all 192.169.0.0-255.255.255.255; " +
	"tcp 0.0.0.0-255.255.255.255 53; udp 0.0.0.0-255.255.255.255 53"

// TestCloudFoundrysOwnGroupsAreSmall: what most containers have costs the cell
// these flows once, however many containers.
func TestCloudFoundrysOwnGroupsAreSmall(t *testing.T) {
	set, err := ParseEgressRules(cloudFoundry)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(EgressFragment(set).Flows); n != 43 {
		t.Errorf("%d flows", n)
	}
}

// TestPrefixesCoverExactly: all of the range, nothing else, and no two that
// could be one.
func TestPrefixesCoverExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 3))
	for range 2000 {
		first, last := nearly(rng), nearly(rng)
		if last.Less(first) {
			first, last = last, first
		}
		next, previous := uint64(ipv4(first)), netip.Prefix{}
		for p := range prefixes(first, last) {
			if uint64(ipv4(p.Addr())) != next || p != p.Masked() {
				t.Fatalf("%v-%v: %v is not what comes next, or not a prefix", first, last, p)
			}
			if p.Bits() == previous.Bits() && p.Bits() > 0 && netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked().Addr() == previous.Addr() {
				t.Fatalf("%v-%v: %v and %v could be one", first, last, previous, p)
			}
			next, previous = next+1<<(32-p.Bits()), p
		}
		if next != uint64(ipv4(last))+1 {
			t.Fatalf("%v-%v: ends at %d", first, last, next)
		}
	}
}

// TestEgressCookiesLeadBack: a cookie holds the profile and the rule's place.
func TestEgressCookiesLeadBack(t *testing.T) {
	set, _ := ParseEgressRules(cloudFoundry)
	places := make(map[int]bool)
	for _, f := range EgressFragment(set).Flows {
		kind, file, err := Explain(f.Cookie)
		if kind != KindEgress || file != "flows/egressprofile.go" || err != nil {
			t.Fatalf("%v: explained as %v, %s, %v", f, kind, file, err)
		}
		profile, place := f.Cookie.Egress()
		if profile != set.Profile() || place > len(set.Rules()) {
			t.Fatalf("%v: profile %v, rule %d", f, profile, place)
		}
		places[place] = true
	}
	if len(places) != 1+len(set.Rules()) {
		t.Errorf("the cookies name the places %v", places)
	}
	if profile, place := PolicyCookie(7).Egress(); profile != 0 || place != 0 {
		t.Errorf("a policy's cookie names rule %d of %v", place, profile)
	}
}
