package hostnet

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestClosedNamesWhoKeepsContainersIn: what it names does stop their packets,
// and what it does not name lets them pass.
func TestClosedNamesWhoKeepsContainersIn(t *testing.T) {
	p := newPlace(t)
	p.echo(p.outside, ":80")
	p.ensure(plain())
	for name, c := range map[string]struct {
		rules, answer string
		closed        []string
	}{
		"nobody else": {"table inet theirs { }", cellIP, nil},
		"a policy, as docker's": {
			"table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }",
			"silence", []string{"chain FORWARD of table ip filter"},
		},
		"a policy with rules for the bridge": {
			`table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; jump USER; };
			chain USER { iifname "br-weft" accept; oifname "br-weft" accept; }; }`,
			cellIP, nil,
		},
		"a last rule, as firewalld's": {
			`table inet firewalld { chain forward { type filter hook forward priority 10; ct state established accept;
			iifname "lo" accept; counter reject with icmpx admin-prohibited; }; }`,
			"silence", []string{"chain forward of table inet firewalld"},
		},
		"a set of devices": {
			`table inet theirs { set ours { type ifname; elements = { "br-weft", "eth7" }; };
			chain forward { type filter hook forward priority 10; policy drop; iifname @ours accept; oifname @ours accept; }; }`,
			cellIP, nil,
		},
		"a pattern": {
			`table inet theirs { chain forward { type filter hook forward priority 10; policy drop; iifname "br-*" accept; oifname "br-*" accept; }; }`,
			cellIP, nil,
		},
		"a rule that drops something else": {
			"table inet theirs { chain forward { type filter hook forward priority 10; tcp dport 25 drop; }; }",
			cellIP, nil,
		},
		"another hook, and IPv6": {
			`table inet theirs { chain in { type filter hook input priority 10; policy drop; ip saddr 192.0.2.9 accept; meta l4proto icmp accept; }; };
			table ip6 filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }`,
			cellIP, nil,
		},
	} {
		_, err := nft(t.Context(), c.rules)
		p.must(err)
		closed, err := Closed(t.Context(), "br-weft")
		if err != nil || !slices.Equal(closed, c.closed) {
			t.Errorf("%s: closed %q, %v, expected %q", name, closed, err, c.closed)
		}
		p.expect(p.container, "tcp4", outsideIP+":80", c.answer, name)
		p.sh("nft list tables | grep -v weft | sed 's/^/delete /' | nft -f -")
	}
	p.sh("nft flush ruleset")
	if closed, err := Closed(t.Context(), "br-weft"); err != nil || len(closed) > 0 {
		t.Errorf("without any rules: %q, %v", closed, err)
	}
}

// TestHostIsClosedBehindRulesOfOthers: no rule of others leads a container to a
// port of the host that is no service: neither by translating the address nor
// by taking the packet out of its way.
func TestHostIsClosedBehindRulesOfOthers(t *testing.T) {
	p := newPlace(t)
	p.sh("ip addr add 169.254.0.2/32 dev lo")
	for _, address := range []string{cellIP + ":9", ":3128", "169.254.0.2:53", ":1053"} {
		p.echo(p.cell, address)
	}
	p.echo(p.outside, ":80")
	p.echo(p.outside, ":81")
	want := plain()
	want.Services = []flows.Service{
		{Protocol: flows.TCP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53},
		{Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53},
	}
	p.ensure(want)
	p.expect(p.container, "tcp4", outsideIP+":80", cellIP, "without rules of others")
	replace := "table ip theirs { }; delete table ip theirs; table ip theirs "
	theirs := func(rules string) {
		t.Helper()
		p.sh("nft '" + replace + "{ chain c { type nat hook prerouting priority dstnat; " + rules + " }; }'")
	}
	for _, protocol := range []string{"tcp", "udp"} {
		network := protocol + "4"
		theirs("ip daddr " + outsideIP + " " + protocol + " dport 80 dnat to " + cellIP + ":9;")
		p.expect(p.container, network, outsideIP+":80", "refused", "a service's address that leads to the host")
		p.expect(p.container, network, outsideIP+":81", cellIP, "another port")
		p.expect(p.outside, network, cellIP+":9", outsideIP, "what is not from containers is not ours to judge")
		theirs(protocol + " dport 80 dnat to " + cellIP + ":3128;")
		p.expect(p.container, network, outsideIP+":80", "refused", "a transparent proxy")
		theirs(protocol + " dport 80 dnat to 169.254.0.2:53;")
		p.expect(p.container, network, outsideIP+":80", containerIP, "what leads to one of the host's services")
		theirs(protocol + " dport 53 dnat to " + cellIP + ":1053;")
		p.expect(p.container, network, "169.254.0.2:53", containerIP, "one of the host's services, of which others say where it is answered")
		theirs(protocol + " dport 82 dnat to " + outsideIP + ":81;")
		p.expect(p.container, network, "198.51.100.9:82", cellIP, "what leads elsewhere")
	}
	p.sh("ip rule add fwmark 1 lookup 100; ip route add local default dev lo table 100")
	p.sh("nft '" + replace + "{ chain c { type filter hook prerouting priority mangle; tcp dport 80 meta mark set 1; }; }'")
	p.expect(p.container, "tcp4", outsideIP+":80", "refused", "taken out of its way, as by tproxy")
}
