package hostnet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestMappedPortsAloneAreOpen: a mapped port leads to its container with the
// client's address; nothing else of a container is reached from outside.
func TestMappedPortsAloneAreOpen(t *testing.T) {
	p := newPlace(t)
	p.echo(p.container, ":8080")
	want := plain()
	want.Mappings = []Mapping{
		{flows.TCP, 61000, netip.MustParseAddrPort(containerIP + ":8080")},
		{flows.UDP, 61001, netip.MustParseAddrPort(containerIP + ":8080")},
	}
	p.ensure(want)
	p.expect(p.outside, "tcp4", cellIP+":61000", outsideIP, "a mapping keeps the client's address")
	p.expect(p.outside, "udp4", cellIP+":61001", outsideIP, "a mapping keeps the client's address")
	p.expect(p.outside, "udp4", cellIP+":61000", "refused", "that port is mapped for tcp alone")
	p.expect(p.outside, "tcp4", cellIP+":61002", "refused", "nothing is mapped, and the host has no such service")
	p.expect(p.outside, "tcp4", containerIP+":8080", "silence", "containers' own addresses are closed from outside")
	if p.count("inet closed") == 0 {
		t.Error("what was closed is not counted")
	}
	p.expect(p.container, "tcp4", cellIP+":61000", "refused", "mappings are not for containers of the cell")
	p.expect(p.cell, "tcp4", containerIP+":8080", "silence", "to its rules, what the bridge does not mark is no reply")
	p.markReplies("8080")
	p.expect(p.cell, "tcp4", containerIP+":8080", cellIP, "the host reaches its containers, for health checks")

	want.Mappings = nil
	p.must(p.host.SetMappings(t.Context(), want))
	p.expect(p.outside, "tcp4", cellIP+":61000", "refused", "the mapping is gone")
}

// TestContainersLeaveWithTheCellsAddress, but for networks that are to see
// their own.
func TestContainersLeaveWithTheCellsAddress(t *testing.T) {
	p := newPlace(t)
	p.echo(p.outside, ":80")
	want := plain()
	want.NoMasquerade = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	p.ensure(want)
	p.expect(p.container, "tcp4", outsideIP+":80", cellIP, "egress has the cell's address")
	p.expect(p.container, "udp4", outsideIP+":80", cellIP, "egress has the cell's address")
	p.expect(p.container, "tcp4", "10.0.0.9:80", containerIP, "no_masquerade")
	p.expect(p.container, "udp4", outsideIP+":81", "refused", "ICMP errors of outside pass as related")
	p.expect(p.container, "udp4", outsideIP+":4789", "silence", "the tunnels' port is closed to containers")
	p.expect(p.container, "udp4", cellIP+":4789", "silence", "the tunnels' port is closed to containers")
	if n := p.count("inet forged_tunnel"); n != 2 {
		t.Errorf("%d packets to the tunnels' port counted, expected 2", n)
	}
}

// TestHostIsClosedButForItsServices.
func TestHostIsClosedButForItsServices(t *testing.T) {
	p := newPlace(t)
	p.sh("ip addr add 169.254.0.2/32 dev lo")
	p.echo(p.cell, "169.254.0.2:53")
	p.echo(p.cell, ":22")
	want := plain()
	want.Services = []flows.Service{
		{Protocol: flows.TCP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53},
		{Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53},
	}
	p.ensure(want)
	p.expect(p.container, "tcp4", "169.254.0.2:53", containerIP, "a service")
	p.expect(p.container, "udp4", "169.254.0.2:53", containerIP, "a service")
	p.expect(p.container, "tcp4", cellIP+":53", "refused", "the service has another address")
	p.expect(p.container, "tcp4", cellIP+":22", "refused", "no service")
	p.expect(p.container, "udp4", cellIP+":22", "refused", "no service")
	p.expect(p.outside, "tcp4", cellIP+":22", outsideIP, "what is not from containers is not ours to judge")
	if n := p.count("inet answered"); n != 3 {
		t.Errorf("%d answers counted, expected 3", n)
	}
}

// TestAnswersAreLimited: a sender gets so many a second, the rest is counted.
func TestAnswersAreLimited(t *testing.T) {
	p := newPlace(t)
	want := plain()
	want.Answers = AnswerLimits{PerContainer: 2, PerCell: 1000}
	p.ensure(want)
	for range 4 {
		p.ask(p.container, "udp4", cellIP+":22")
	}
	if n := p.count("inet muted_container"); n == 0 || n > 2 {
		t.Errorf("%d of 4 were muted, expected the limit of 2 a second to show", n)
	}
	want.Answers = AnswerLimits{PerContainer: 1000, PerCell: 1}
	p.ensure(want)
	for range 3 {
		p.ask(p.container, "tcp4", cellIP+":22")
	}
	if p.count("inet muted_cell") == 0 {
		t.Error("the limit of the cell does not show")
	}
}

// TestOutboundConnectionsAreLimited for each destination; a dry run only
// counts.
func TestOutboundConnectionsAreLimited(t *testing.T) {
	p := newPlace(t)
	p.echo(p.outside, ":80")
	p.echo(p.outside, ":81")
	want := plain()
	want.Outbound = ConnectionLimit{RatePerSec: 1, Burst: 2, DryRun: true}
	p.ensure(want)
	ask := func(port string) (refused int) {
		for range 4 {
			if p.ask(p.container, "tcp4", outsideIP+":"+port) == "refused" {
				refused++
			}
		}
		return refused
	}
	if n, counted := ask("80"), p.count("inet limited"); n != 0 || counted == 0 {
		t.Errorf("dry run: %d refused, %d counted", n, counted)
	}
	want.Outbound.DryRun = false
	p.ensure(want)
	if n := ask("81"); n == 0 || n > 2 {
		t.Errorf("%d of 4 refused where a burst of 2 is allowed", n)
	}
	p.expect(p.container, "tcp4", "10.0.0.9:81", cellIP, "another destination has a limit of its own")
}

// TestManyDestinationsLeaveTheLimitOn: one who goes through many of them does
// not switch it off, and each is forgotten as soon as it has its burst again.
func TestManyDestinationsLeaveTheLimitOn(t *testing.T) {
	p := newPlace(t)
	p.echo(p.outside, ":80")
	want := plain()
	want.Outbound = ConnectionLimit{RatePerSec: 1, Burst: 1}
	p.ensure(want)
	var many strings.Builder
	many.WriteString("add element inet weft outbound {")
	for i := range 70000 {
		fmt.Fprintf(&many, "10.255.1.9 . 10.%d.%d.%d . 80 timeout 1m,", i>>16, i>>8&255, i&255)
	}
	_, err := nft(t.Context(), many.String()+"}\n")
	p.must(err)
	refused := 0
	for range 4 {
		if p.ask(p.container, "tcp4", outsideIP+":80") == "refused" {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("%d of 4 refused at 1 a second", refused)
	}
	for limit, forget := range map[ConnectionLimit]string{
		{}: "2s", {RatePerSec: 1, Burst: 1}: "2s", {RatePerSec: 100, Burst: 1000}: "11s", {RatePerSec: 3, Burst: 10}: "5s", {RatePerSec: 1000, Burst: 1}: "2s",
	} {
		if got := limit.forget(); got != forget {
			t.Errorf("%+v is forgotten after %s, expected %s", limit, got, forget)
		}
	}
}

// TestOnlyWhatPassesIsMarked: the bridge takes nothing else from the host.
func TestOnlyWhatPassesIsMarked(t *testing.T) {
	p := newPlace(t)
	p.echo(p.container, ":8080")
	p.sh(`nft 'table inet other { counter marked { }; counter kept { }
		chain early { type filter hook output priority -10; oifname "br-weft" meta mark set meta mark | 0x00000010; }
		chain late { type filter hook postrouting priority 10; oifname "br-weft" meta mark & 0x04000000 != 0 counter name marked
			oifname "br-weft" meta mark & 0x00000010 != 0 counter name kept; }
	}'`)
	p.ensure(plain())
	p.markReplies("8080")
	p.expect(p.cell, "tcp4", containerIP+":8080", cellIP, "the host reaches its containers")
	if got := p.sh("nft list counters table inet other"); strings.Contains(got, "packets 0 ") {
		t.Errorf("packets to br-weft are not marked, or lost the mark of others:\n%s", got)
	}
}

// TestFlushedRulesComeBack, other people's stay, and doing it again does
// nothing.
func TestFlushedRulesComeBack(t *testing.T) {
	p := newPlace(t)
	p.sh(`nft 'table inet other { chain c { type filter hook input priority 0; tcp dport 9 counter; }; }'`)
	before := p.sh("nft list table inet other")
	want := full()
	if changed := p.ensure(want); len(changed) < 6 {
		t.Errorf("the first time it changed only %q", changed)
	}
	if again := p.ensure(want); len(again) != 0 {
		t.Errorf("the second time it changed %q", again)
	}
	for _, harm := range []string{
		"nft flush table inet weft", "nft delete table inet weft", "nft delete table bridge weft",
		"nft insert rule inet weft inward accept", "nft 'add chain inet weft theirs'",
		"nft flush map inet weft tcp_ports", "nft 'add element inet weft udp_ports { 7 : 10.255.1.2 . 7 }'",
		"ip route flush 10.255.1.0/24", "ip route replace 10.255.1.0/24 dev br-weft", "ip neigh del 169.254.0.1 dev br-weft",
		"ip link set weftdeny nomaster", "ip link set weftreject down", "ip link del weftreject", "ip link set br-weft down",
		"sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.br-weft.disable_ipv6=0",
	} {
		p.sh(harm)
		if changed := p.ensure(want); len(changed) == 0 {
			t.Errorf("%s: not noticed", harm)
		}
		if again := p.ensure(want); len(again) != 0 {
			t.Errorf("%s: after the repair it still changes %q", harm, again)
		}
	}
	if got := p.sh("nft list table inet weft"); strings.Contains(got, "theirs") || !strings.Contains(got, "10.255.1.2 . 8080") {
		t.Errorf("after all repairs:\n%s", got)
	}
	if r := p.host.Report(); r.Repairs != 5 || r.LastRepair.IsZero() {
		t.Errorf("report: %+v, expected 5 repairs of rules", r)
	}
	if after := p.sh("nft list table inet other"); after != before {
		t.Errorf("somebody else's table became\n%s", after)
	}
}

// TestRestartKeepsCountsAndLimits: an agent that starts anew loads its rules
// without forgetting what they counted.
func TestRestartKeepsCountsAndLimits(t *testing.T) {
	p := newPlace(t)
	p.ensure(plain())
	p.expect(p.container, "udp4", cellIP+":22", "refused", "no service")
	p.host = &Host{}
	p.ensure(full())
	if n := p.count("inet answered"); n != 1 {
		t.Errorf("the counter is %d after the restart, expected 1", n)
	}
	p.sh(`nft delete table inet weft; nft 'table inet weft { chain old { type nat hook postrouting priority 100; masquerade; }; }'`)
	p.host = &Host{}
	p.ensure(full())
	if got := p.sh("nft list table inet weft"); strings.Contains(got, "chain old") {
		t.Errorf("rules of another make stayed:\n%s", got)
	}
}

// TestMovedLease: a new lease leaves no route of the old one.
func TestMovedLease(t *testing.T) {
	p := newPlace(t)
	p.ensure(plain())
	moved := plain()
	moved.Lease = netip.MustParsePrefix("10.255.7.0/24")
	p.ensure(moved)
	if got := p.sh("ip route show dev br-weft"); !strings.HasPrefix(got, "10.255.7.0/24 via 169.254.0.1") || strings.Contains(got, "10.255.1.0") {
		t.Errorf("routes:\n%s", got)
	}
}

// TestRemoveLeavesNothing, not even on a host that has nothing.
func TestRemoveLeavesNothing(t *testing.T) {
	p := newPlace(t)
	state := func() string {
		return p.sh("nft list ruleset; ip route; ip neigh show nud permanent; ip -o link | sed 's/^[0-9]*: //; s/[@:].*//'")
	}
	p.sh(`nft 'table inet other { chain c { type filter hook input priority 0; tcp dport 9 counter; }; }'`)
	before := state()
	p.ensure(full())
	removed, err := Remove(t.Context(), "br-weft")
	p.must(err)
	want := []string{"route 10.255.1.0/24", "neighbour 169.254.0.1 on br-weft", "device br-weft (set down)",
		"bridge weftreject", "nftables table inet weft", "nftables table bridge weft"}
	if !slices.Equal(removed, want) {
		t.Errorf("removed %q\nexpected %q", removed, want)
	}
	if after := state(); after != before {
		t.Errorf("before:\n%s\n\nafter:\n%s", before, after)
	}
	if removed, err := Remove(t.Context(), "br-weft"); err != nil || len(removed) != 0 {
		t.Errorf("again: %q, %v", removed, err)
	}
	if _, err := Remove(t.Context(), "br-none"); err != nil {
		t.Errorf("without the bridge: %v", err)
	}
}
