package flows

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Protocols that egress rules can name besides TCP and UDP.
const (
	AnyProtocol Protocol = 0
	ICMP        Protocol = 1
)

// EgressRule allows a container to open connections out of the overlay. Rules
// only ever allow; they open nothing inside the overlay, whatever they cover.
type EgressRule struct {
	Protocol    Protocol   // TCP, UDP, ICMP or AnyProtocol
	First, Last netip.Addr // IPv4 destinations, inclusive
	Ports       PortRange  // destination ports of TCP and UDP; zero: all
	ICMPType    int16      // 0 to 255; -1: any. ICMP only
	ICMPCode    int16      // 0 to 255; -1: any. ICMP only
	Log         bool       // log connections that it allows
}

// EgressRules are the rules of one container in their canonical text, so that
// equal sets are equal values. It is what the switch's database, the wire and
// listings carry:
//
//	tcp 10.0.0.1-10.0.0.9 443; udp 0.0.0.0-255.255.255.255 53-54 log; icmp 10.1.0.0-10.1.0.255 8/0; all 192.0.2.7
//
// Rules are sorted and each is there once. ICMP is type/code, * for any of
// them. The empty text allows nothing. Make it with NewEgressRules or
// ParseEgressRules.
type EgressRules string

// EgressProfile numbers a set of rules: 32 bits of a hash of its text, which
// the containers with equal rules share. Zero is the empty set.
type EgressProfile uint32

// Profile returns the set's number.
func (r EgressRules) Profile() EgressProfile {
	if r == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(r))
	return EgressProfile(max(1, binary.BigEndian.Uint32(sum[:4])))
}

// String returns eight hex digits.
func (p EgressProfile) String() string { return fmt.Sprintf("%08x", uint32(p)) }

// NewEgressRules validates rules and returns their canonical text. The error
// names the rule by its place, from 1, the field and its value.
func NewEgressRules(rules []EgressRule) (EgressRules, error) {
	if len(rules) > MaxEgressRules {
		return "", fmt.Errorf("%d egress rules: at most %d", len(rules), MaxEgressRules)
	}
	rules = slices.Clone(rules)
	for i, r := range rules {
		if err := r.validate(); err != nil {
			return "", fmt.Errorf("egress rule %d: %w", i+1, err)
		}
	}
	slices.SortFunc(rules, compareEgressRules)
	texts, flows := make([]string, 0, len(rules)), 0
	for _, r := range slices.Compact(rules) {
		texts, flows = append(texts, r.String()), flows+r.cost()
	}
	text := strings.Join(texts, "; ")
	if flows > MaxEgressFlows || len(text) > MaxEgressText {
		return "", fmt.Errorf("%d egress rules, %d bytes, that take %d flows: at most %d bytes and %d flows; networks and whole ranges of ports take few",
			len(texts), len(text), flows, MaxEgressText, MaxEgressFlows)
	}
	return EgressRules(text), nil
}

// ParseEgressRules reads the text of a set, canonical or not.
func ParseEgressRules(text string) (EgressRules, error) {
	rules, err := EgressRules(text).parse()
	if err != nil {
		return "", err
	}
	return NewEgressRules(rules)
}

// Rules returns the rules of a canonical text, in its order; nil for one that
// NewEgressRules did not make, which may have rules that cannot be compiled.
func (r EgressRules) Rules() []EgressRule {
	rules, err := r.parse()
	if err != nil {
		return nil
	}
	if canonical, err := NewEgressRules(rules); err != nil || canonical != r {
		return nil
	}
	return rules
}

// String returns the rule as EgressRules has it.
func (r EgressRule) String() string {
	words := []string{"all", r.First.String()}
	if r.Protocol != AnyProtocol {
		words[0] = r.Protocol.name()
	}
	if r.Last != r.First {
		words[1] += "-" + r.Last.String()
	}
	switch {
	case r.Protocol == ICMP:
		words = append(words, anyOr(r.ICMPType)+"/"+anyOr(r.ICMPCode))
	case r.Ports == PortRange{}:
	case r.Ports.First == r.Ports.Last:
		words = append(words, strconv.Itoa(int(r.Ports.First)))
	default:
		words = append(words, fmt.Sprintf("%d-%d", r.Ports.First, r.Ports.Last))
	}
	if r.Log {
		words = append(words, "log")
	}
	return strings.Join(words, " ")
}

func (p Protocol) name() string {
	if p == ICMP {
		return "icmp"
	}
	return p.String()
}

func anyOr(n int16) string {
	if n < 0 {
		return "*"
	}
	return strconv.Itoa(int(n))
}

func (r EgressRule) validate() error {
	hasPorts := r.Ports != PortRange{}
	switch {
	case !r.First.Is4() || !r.Last.Is4():
		return fmt.Errorf("destination %v-%v: must be IPv4 addresses", r.First, r.Last)
	case r.Last.Less(r.First):
		return fmt.Errorf("destination %v-%v: the first must not be above the last", r.First, r.Last)
	case !slices.Contains([]Protocol{AnyProtocol, TCP, UDP, ICMP}, r.Protocol):
		return fmt.Errorf("protocol %d: must be all, tcp, udp or icmp", uint8(r.Protocol))
	case hasPorts && r.Protocol != TCP && r.Protocol != UDP:
		return fmt.Errorf("ports %d-%d: only tcp and udp have ports", r.Ports.First, r.Ports.Last)
	case hasPorts && (r.Ports.First == 0 || r.Ports.Last < r.Ports.First):
		return fmt.Errorf("ports %d-%d: must be 1 to 65535, in ascending order", r.Ports.First, r.Ports.Last)
	case r.Protocol == ICMP && (r.ICMPType < -1 || r.ICMPType > 255 || r.ICMPCode < -1 || r.ICMPCode > 255):
		return fmt.Errorf("icmp type %d code %d: must be 0 to 255, or -1 for any", r.ICMPType, r.ICMPCode)
	case r.Protocol != ICMP && (r.ICMPType != 0 || r.ICMPCode != 0):
		return fmt.Errorf("icmp type %d code %d: only icmp has them", r.ICMPType, r.ICMPCode)
	}
	return nil
}

func compareEgressRules(a, b EgressRule) int {
	log := func(r EgressRule) int {
		if r.Log {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.Protocol, b.Protocol),
		a.First.Compare(b.First),
		a.Last.Compare(b.Last),
		cmp.Compare(a.Ports.First, b.Ports.First),
		cmp.Compare(a.Ports.Last, b.Ports.Last),
		cmp.Compare(a.ICMPType, b.ICMPType),
		cmp.Compare(a.ICMPCode, b.ICMPCode),
		cmp.Compare(log(a), log(b)),
	)
}

func (r EgressRules) parse() ([]EgressRule, error) {
	if strings.TrimSpace(string(r)) == "" {
		return nil, nil
	}
	var rules []EgressRule
	for text := range strings.SplitSeq(string(r), ";") {
		rule, err := parseEgressRule(text)
		if err != nil {
			return nil, fmt.Errorf("egress rule %.80q: %w", strings.TrimSpace(text), err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseEgressRule(text string) (r EgressRule, err error) {
	words := strings.Fields(text)
	if n := len(words); n > 0 && words[n-1] == "log" {
		r.Log, words = true, words[:n-1]
	}
	if len(words) < 2 || len(words) > 3 {
		return r, fmt.Errorf("want PROTOCOL ADDRESS[-ADDRESS] [PORT[-PORT] or TYPE/CODE] [log]")
	}
	names := map[string]Protocol{"all": AnyProtocol, "tcp": TCP, "udp": UDP, "icmp": ICMP}
	protocol, known := names[words[0]]
	if !known {
		return r, fmt.Errorf("protocol %q: must be all, tcp, udp or icmp", words[0])
	}
	r.Protocol = protocol
	first, last, isRange := strings.Cut(words[1], "-")
	if !isRange {
		last = first
	}
	if r.First, err = netip.ParseAddr(first); err != nil {
		return r, fmt.Errorf("address %q: must be IPv4", first)
	}
	if r.Last, err = netip.ParseAddr(last); err != nil {
		return r, fmt.Errorf("address %q: must be IPv4", last)
	}
	if protocol == ICMP {
		r.ICMPType, r.ICMPCode = -1, -1
	}
	if len(words) == 3 {
		err = r.parseDetail(words[2])
	}
	return r, err
}

// parseDetail reads ports, or the type and code of ICMP.
func (r *EgressRule) parseDetail(text string) error {
	separator, bits := "-", 16
	if r.Protocol == ICMP {
		separator, bits = "/", 8
	}
	first, last, two := strings.Cut(text, separator)
	if !two {
		if r.Protocol == ICMP {
			return fmt.Errorf("icmp %q: must be TYPE/CODE, * for any", text)
		}
		last = first
	}
	var n [2]int
	for i, word := range []string{first, last} {
		if word == "*" && r.Protocol == ICMP {
			n[i] = -1
			continue
		}
		number, err := strconv.ParseUint(word, 10, bits)
		if err != nil {
			return fmt.Errorf("%q: must be a number of %d bits", word, bits)
		}
		n[i] = int(number)
	}
	if r.Protocol == ICMP {
		r.ICMPType, r.ICMPCode = int16(n[0]), int16(n[1])
		return nil
	}
	r.Ports = PortRange{uint16(n[0]), uint16(n[1])}
	if r.Ports == (PortRange{}) {
		return fmt.Errorf("ports %q: must be 1 to 65535", text)
	}
	return nil
}
