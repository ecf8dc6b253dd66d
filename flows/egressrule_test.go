package flows

import (
	"net/netip"
	"strings"
	"testing"
)

// TestEgressRulesAreCanonical: however a set is written, equal sets are equal
// values, and what is printed reads back as itself.
func TestEgressRulesAreCanonical(t *testing.T) {
	const want = "all 192.0.2.7; icmp 10.1.0.0-10.1.0.255 8/0; icmp 10.2.0.0 */*; tcp 10.0.0.1-10.0.0.9 443; udp 0.0.0.0-255.255.255.255 53-54 log"
	for _, text := range []string{
		want,
		"udp 0.0.0.0-255.255.255.255  53-54 log;tcp 10.0.0.1-10.0.0.9 443-443 ;icmp 10.2.0.0; icmp 10.1.0.0-10.1.0.255 8/0;all 192.0.2.7; all 192.0.2.7-192.0.2.7",
	} {
		got, err := ParseEgressRules(text)
		if err != nil || string(got) != want {
			t.Errorf("%q:\n got %q, %v\nwant %q", text, got, err, want)
		}
	}
	if got, err := ParseEgressRules(" "); err != nil || got != "" || got.Profile() != 0 {
		t.Errorf("no rules: %q, %v, profile %v", got, err, got.Profile())
	}
	if n := len(EgressRules(want).Rules()); n != 5 {
		t.Errorf("%d rules", n)
	}
}

// TestEgressRulesRefused: what cannot be meant is refused, with the field and
// the value.
func TestEgressRulesRefused(t *testing.T) {
	for text, says := range map[string]string{
		"tcp":                             "want PROTOCOL ADDRESS",
		"sctp 10.0.0.1":                   `protocol "sctp"`,
		"TCP 10.0.0.1":                    `protocol "TCP"`,
		"tcp 10.0.0.9-10.0.0.1 80":        "10.0.0.9-10.0.0.1: the first must not be above",
		"tcp ::1 80":                      "must be IPv4",
		"tcp 10.0.0.0/8 80":               `"10.0.0.0/8": must be IPv4`,
		"tcp 10.0.0.1 0":                  "must be 1 to 65535",
		"tcp 10.0.0.1 0-80":               "must be 1 to 65535",
		"tcp 10.0.0.1 90-80":              "in ascending order",
		"tcp 10.0.0.1 65536":              `"65536": must be a number of 16 bits`,
		"all 10.0.0.1 80":                 "only tcp and udp have ports",
		"icmp 10.0.0.1 8":                 "must be TYPE/CODE",
		"icmp 10.0.0.1 256/0":             `"256": must be a number of 8 bits`,
		"tcp 10.0.0.1 80; udp 10.0.0.1 x": `egress rule "udp 10.0.0.1 x"`,
		"tcp 10.0.0.1 80;":                "want PROTOCOL ADDRESS",
	} {
		if got, err := ParseEgressRules(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %q, %v; the error must say %q", text, got, err, says)
		}
	}
}

// TestEgressRulesAreBounded: a set has a priority for each of its rules, and not
// more flows than a switch can well hold.
func TestEgressRulesAreBounded(t *testing.T) {
	rules := make([]EgressRule, MaxEgressRules+1)
	for i := range rules {
		to := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		rules[i] = EgressRule{Protocol: TCP, First: to, Last: to, Log: i%2 == 0}
	}
	if _, err := NewEgressRules(rules); err == nil || !strings.Contains(err.Error(), "4097 egress rules: at most 4096") {
		t.Errorf("one too many: %v", err)
	}
	set, err := NewEgressRules(rules[1:])
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint16]bool)
	for _, f := range EgressFragment(set).Flows {
		seen[f.Priority] = true
	}
	if len(seen) != MaxEgressRules+1 || !seen[egressFirstRule-MaxEgressRules+1] {
		t.Errorf("%d priorities", len(seen))
	}
	for i := range rules {
		rules[i].First, rules[i].Last = netip.MustParseAddr("0.0.0.1"), netip.AddrFrom4([4]byte{255, 255, byte(i >> 8), byte(i)})
	}
	if _, err := NewEgressRules(rules[1:]); err == nil || !strings.Contains(err.Error(), "at most 131072 bytes and 16384 flows") {
		t.Errorf("too many flows: %v", err)
	}
}

// FuzzParseEgressRules: whatever the text, what is accepted is canonical, reads
// back as itself and compiles to flows that the contracts allow.
func FuzzParseEgressRules(f *testing.F) {
	for _, text := range []string{
		"", "all 192.0.2.7", "tcp 10.0.0.1-10.0.0.9 443; udp 0.0.0.0-255.255.255.255 53-54 log", "icmp 10.1.0.0-10.1.0.255 8/0; icmp 10.2.0.0 */3",
		"tcp 0.0.0.1-255.255.255.254 1-65534", "tcp ::1 80", "tcp 10.0.0.9-10.0.0.1", "all 10.0.0.1 log; all 10.0.0.1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseEgressRules(text)
		unread := EgressRules(text).Rules() // must not panic, nor compile what is not canonical
		if (len(unread) > 0) != (err == nil && set != "" && string(set) == text) {
			t.Errorf("%q: %d rules, canonical %q, %v", text, len(unread), set, err)
		}
		if err != nil {
			return
		}
		again, err := NewEgressRules(set.Rules())
		if err != nil || again != set {
			t.Fatalf("%q: %q reads back as %q, %v", text, set, again, err)
		}
		for _, flow := range EgressFragment(set).Flows {
			if parsed, err := ParseFlow(flow.String()); err != nil || parsed != flow {
				t.Fatalf("%q: %v reads back as %v, %v", text, flow, parsed, err)
			}
			if err := checkFlow(flow); err != nil {
				t.Fatalf("%q: %v: %v", text, flow, err)
			}
		}
	})
}
