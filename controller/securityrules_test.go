package controller

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestSecurityRules: every form that Cloud Controller's rules have.
func TestSecurityRules(t *testing.T) {
	for rule, want := range map[string]string{
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"443"}`:                                        "tcp 10.0.0.1 443",
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"443","log":true,"description":"x"}`:           "tcp 10.0.0.1 443 log",
		`{"protocol":"udp","destination":"10.0.0.7/24","ports":"53,8000-8010"}`:                            "udp 10.0.0.0-10.0.0.255 53; udp 10.0.0.0-10.0.0.255 8000-8010",
		`{"protocol":"tcp","destination":"10.0.0.1-10.0.0.9, 192.0.2.7","ports":"80, 443 - 444"}`:          "tcp 10.0.0.1-10.0.0.9 80; tcp 10.0.0.1-10.0.0.9 443-444; tcp 192.0.2.7 80; tcp 192.0.2.7 443-444",
		`{"protocol":"all","destination":"0.0.0.0/0"}`:                                                     "all 0.0.0.0-255.255.255.255",
		`{"protocol":"all","destination":"10.0.0.1/32"}`:                                                   "all 10.0.0.1",
		`{"protocol":"all","destination":"128.0.0.0/1","ports":"","type":0,"code":0}`:                      "all 128.0.0.0-255.255.255.255",
		`{"protocol":"icmp","destination":"10.0.0.1","type":8,"code":0}`:                                   "icmp 10.0.0.1 8/0",
		`{"protocol":"icmp","destination":"10.0.0.1","type":-1,"code":-1}`:                                 "icmp 10.0.0.1 */*",
		`{"protocol":"icmp","destination":"10.0.0.1","type":255,"code":255}`:                               "icmp 10.0.0.1 */*",
		`{"protocol":"all","destination":"10.0.0.1"},{"protocol":"all","destination":"10.0.0.1-10.0.0.1"}`: "all 10.0.0.1",
	} {
		rules, faults := parseSecurityRules("[" + rule + "]")
		set, err := flows.NewEgressRules(rules)
		if len(faults) > 0 || err != nil || string(set) != want {
			t.Errorf("%s:\ngot  %q, %v, %v\nwant %q", rule, set, faults, err, want)
		}
	}
}

// TestBadSecurityRules: each opens nothing and is named; the one after it holds.
func TestBadSecurityRules(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("10.0.0.1,", 4097), ",")
	for rule, want := range map[string]string{
		`{"destination":"10.0.0.1"}`:                                                  `protocol "": must be`,
		`{"protocol":"icmpv6","destination":"::1","type":8,"code":0}`:                 `protocol "icmpv6": must be`,
		`{"protocol":"tcp","destination":"10.0.0.1"}`:                                 `ports: missing`,
		`{"protocol":"all","destination":"10.0.0.1","ports":"80"}`:                    `ports "80": only tcp and udp`,
		`{"protocol":"icmp","destination":"10.0.0.1","type":8,"code":0,"ports":"80"}`: `ports "80": only tcp and udp`,
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"0"}`:                     `port "0": must be 1 to 65535`,
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"65536"}`:                 `port "65536": must be`,
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"80,"}`:                   `port "": must be`,
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"90-80"}`:                 `ports "90-80": the first`,
		`{"protocol":"tcp","destination":"10.0.0.1","ports":"80-90-100"}`:             `port "90-100": must be`,
		`{"protocol":"tcp","destination":"10.0.0.1","ports":80}`:                      `cannot unmarshal number`,
		`{"protocol":"icmp","destination":"10.0.0.1","code":0}`:                       `type: missing`,
		`{"protocol":"icmp","destination":"10.0.0.1","type":8}`:                       `code: missing`,
		`{"protocol":"icmp","destination":"10.0.0.1","type":256,"code":0}`:            `type 256: must be`,
		`{"protocol":"all"}`:                                                   `destination "": must be IPv4`,
		`{"protocol":"all","destination":"10.0.0.0/33"}`:                       `destination "10.0.0.0/33": must be IPv4`,
		`{"protocol":"all","destination":"2001:db8::/32"}`:                     `destination "2001:db8::/32": must be IPv4`,
		`{"protocol":"all","destination":"::ffff:10.0.0.1"}`:                   `must be IPv4`,
		`{"protocol":"all","destination":"10.0.0.9-10.0.0.1"}`:                 `the first must not be above`,
		`{"protocol":"all","destination":"10.0.0.1,"}`:                         `destination "": must be`,
		`{"protocol":"all","destination":"10.0.0.1-10.0.0.9/24"}`:              `must be IPv4`,
		`{"protocol":"all","destination":"example.com"}`:                       `destination "example.com"`,
		fmt.Sprintf(`{"protocol":"tcp","destination":"%s","ports":"1"}`, many): `4097 destinations on 1 port ranges`,
		`"a rule"`: `cannot unmarshal string`,
	} {
		rules, faults := parseSecurityRules("[" + rule + `,{"protocol":"all","destination":"192.0.2.7"}]`)
		if len(faults) != 1 || !strings.Contains(faults[0].Error(), "rule 1: ") || !strings.Contains(faults[0].Error(), want) {
			t.Errorf("%.200s:\ngot  %v\nwant %s", rule, faults, want)
		}
		if set, err := flows.NewEgressRules(rules); err != nil || set != "all 192.0.2.7" {
			t.Errorf("%.200s: opens %q, %v", rule, set, err)
		}
	}
	for _, text := range []string{"", "{}", "[", `"[]"`} {
		if rules, faults := parseSecurityRules(text); len(rules) != 0 || len(faults) != 1 {
			t.Errorf("%q: rules %v, faults %v", text, rules, faults)
		}
	}
}

// TestTooManySecurityRules: more than a switch can hold opens nothing, and says
// so; when it is less again, it opens what it says.
func TestTooManySecurityRules(t *testing.T) {
	s := newScript(t)
	s.do("lease cell=cell-1 subnet=10.255.1.0/24 vtep=192.0.2.1")
	s.do("up cell=cell-1 one,cats,10.255.1.2,10,all_10.0.0.1,zoo,app two,cats,10.255.1.3,11,all_10.0.0.1,farm,app")
	group := func(guid string, rules int) string {
		var list []string
		for i := range rules {
			list = append(list, fmt.Sprintf(`{"protocol":"all","destination":"10.%d.%d.1"}`, i>>8, i&255))
		}
		return s.do("group guid=" + guid + " running=zoo rules=[" + strings.Join(list, ",") + "]")
	}
	group("some", flows.MaxEgressRules)
	if got := s.rules(); !strings.HasPrefix(got, "one: all 10.0.0.1; all 10.0.1.1; ") || !strings.HasSuffix(got, "two: nothing\n") {
		t.Errorf("as many as there can be: %.200s", got)
	}
	fault := `fault: the security groups of space "zoo", and of any with the same ones, allow nothing: 4097 egress rules: at most 4096`
	if got := group("more", 1); !strings.Contains(got, fault) || s.rules() != "one: nothing\ntwo: nothing\n" {
		t.Errorf("one more: %s%.200s", got, s.rules())
	}
	s.do("ungroup guid=some")
	if got := s.rules(); got != "one: all 10.0.0.1\ntwo: nothing\n" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestCollidingSecurityGroups: a container whose new rules the switch could
// not tell from another's loses its flows, says why, and gets them when the
// other's are gone.
func TestCollidingSecurityGroups(t *testing.T) {
	one, two := colliding(t)
	s := newScript(t)
	s.do("lease cell=cell-1 subnet=10.255.1.0/24 vtep=192.0.2.1")
	s.do("up cell=cell-1 first,cats,10.255.1.2,10," + strings.ReplaceAll(string(one), " ", "_"))
	s.do("up cell=cell-1 second,dogs,10.255.1.3,11,,zoo")
	group := "group guid=g running=zoo rules=[{\"protocol\":\"all\",\"destination\":\"" + strings.TrimPrefix(string(two), "all ") + "\"}]"
	if got := s.do(group); !strings.Contains(got, "cell-1 -endpoint/second\ncell-1 refused second: egress rules: their profile ") {
		t.Errorf("when they collide: %s", got)
	}
	if got := s.do("ungroup guid=g"); !strings.Contains(got, "cell-1 +endpoint/second\ncell-1 refused none\n") {
		t.Errorf("when they are gone: %s", got)
	}
	s.do(group)
	if got := s.do("down cell=cell-1 container=first"); !strings.Contains(got, "cell-1 +endpoint/second\ncell-1 refused none\n") {
		t.Errorf("when the other is gone: %s", got)
	}
}
