package hostnet

import (
	"slices"
	"testing"
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
