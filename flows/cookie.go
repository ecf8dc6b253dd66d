package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Cookie is a flow's provenance: it leads from a dumped flow back to what
// caused it. The kind is in the top 4 bits, the object's id in the low 60.
// It identifies causes, not flows: many flows share one.
type Cookie uint64

// CookieKind says what a cookie's id numbers.
type CookieKind uint8

// The kinds. Their numbers are seen in every dump, as the first digit.
const (
	KindBase     CookieKind = 1 // the pipeline itself; id: table number
	KindEndpoint CookieKind = 2 // a container on this cell; id: its IPv4 as a number
	KindCell     CookieKind = 3 // another cell; id: its VTEP's IPv4 as a number
	KindPolicy   CookieKind = 4 // one policy; id: PolicyID
	KindPolicies CookieKind = 5 // what several policies cause together; id: hash of their PolicyIDs
	KindEgress   CookieKind = 6 // one egress rule; id: its EgressProfile, then 16 bits for its place in the set from 1
)

const cookieIDBits = 60

// String returns the kind's name in listings, or "unknown(N)".
func (k CookieKind) String() string {
	switch k {
	case KindBase:
		return "base"
	case KindEndpoint:
		return "endpoint"
	case KindCell:
		return "cell"
	case KindPolicy:
		return "policy"
	case KindPolicies:
		return "policies"
	case KindEgress:
		return "egress"
	}
	return fmt.Sprintf("unknown(%d)", uint8(k))
}

// Kind returns what ID numbers.
func (c Cookie) Kind() CookieKind { return CookieKind(c >> cookieIDBits) }

// ID returns the low 60 bits.
func (c Cookie) ID() uint64 { return uint64(c) & (1<<cookieIDBits - 1) }

// String returns the cookie as OVS prints it: 0x and lower-case hex.
func (c Cookie) String() string { return "0x" + strconv.FormatUint(uint64(c), 16) }

// ParseCookie is the inverse of String; it also accepts decimal.
func ParseCookie(s string) (Cookie, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("cookie %q: must be a 64-bit number such as 0x4000000000000007", s)
	}
	return Cookie(n), nil
}

// BaseCookie is the cookie of the flows of t that every cell has.
func BaseCookie(t TableID) Cookie { return cookie(KindBase, uint64(t)) }

// EndpointCookie is the cookie of the flows of a local container, by its IPv4.
func EndpointCookie(ip netip.Addr) Cookie { return cookie(KindEndpoint, uint64(ipv4(ip))) }

// CellCookie is the cookie of the flows of another cell, by its VTEP's IPv4.
func CellCookie(vtep netip.Addr) Cookie { return cookie(KindCell, uint64(ipv4(vtep))) }

// PolicyCookie is the cookie of flows that one policy alone causes.
func PolicyCookie(id PolicyID) Cookie { return cookie(KindPolicy, uint64(id)) }

// EgressCookie is the cookie of the flows of one rule of a set, by its place in
// the canonical text from 1; place 0 is what the set allows as a whole.
func EgressCookie(p EgressProfile, place int) Cookie {
	return cookie(KindEgress, uint64(p)<<16|uint64(uint16(place)))
}

// Egress returns the profile and the place of the rule that the cookie of
// egress flows holds, and zeros for other kinds.
func (c Cookie) Egress() (p EgressProfile, place int) {
	if c.Kind() != KindEgress {
		return 0, 0
	}
	return EgressProfile(c.ID() >> 16), int(uint16(c))
}

// IP returns the IPv4 address that an endpoint's or a cell's cookie holds, and
// the zero Addr for other kinds.
func (c Cookie) IP() netip.Addr {
	if k := c.Kind(); k != KindEndpoint && k != KindCell {
		return netip.Addr{}
	}
	n := c.ID()
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// Explain returns what kind of object caused the flows with this cookie, and
// the source file, relative to the repository, where to start reading: an
// endpoint and a cell cause flows in several tables, each in its table's file.
func Explain(c Cookie) (CookieKind, string, error) {
	kind, file := c.Kind(), ""
	switch kind {
	case KindBase:
		t, ok := contractOf(TableID(c.ID()))
		if !ok || c.ID() > 0xff {
			return kind, "", fmt.Errorf("cookie %v: the pipeline has no table %d", c, c.ID())
		}
		file = t.File
	case KindEndpoint:
		file = "compile.go"
	case KindCell:
		file = "compile.go"
	case KindPolicy, KindPolicies:
		file = "policy.go"
	case KindEgress:
		file = "egressprofile.go"
	default:
		return kind, "", fmt.Errorf("cookie %v: kind %d is not one of ours (1 to 6): the flow was not compiled by weft", c, uint8(kind))
	}
	return kind, "flows/" + file, nil
}

// PolicyCookies returns every cookie that the policy fragments of these rules
// use, each with the policies that cause its flows, in ascending order.
func PolicyCookies(rules []Rule) map[Cookie][]PolicyID {
	cookies := make(map[Cookie][]PolicyID, len(rules))
	sorted := slices.Clone(rules)
	slices.SortFunc(sorted, compareRules)
	for pair := range runs(sorted, sameGroups) {
		for rules := range runs(pair, sameProtocol) {
			for _, s := range segments(rules) {
				cookies[cookieOf(s.policies)] = s.policies
			}
		}
	}
	return cookies
}

// cookieOf names a single policy, or several by a hash of their ids (FNV-1a,
// 64 bits; the cookie keeps 60). They are in ascending order, each once.
func cookieOf(policies []PolicyID) Cookie {
	if len(policies) == 1 {
		return PolicyCookie(policies[0])
	}
	h := uint64(14695981039346656037)
	for _, id := range policies {
		for shift := 0; shift < 64; shift += 8 {
			h = (h ^ uint64(id)>>shift&0xff) * 1099511628211
		}
	}
	return cookie(KindPolicies, h)
}

func cookie(kind CookieKind, id uint64) Cookie {
	return Cookie(uint64(kind)<<cookieIDBits | id&(1<<cookieIDBits-1))
}

// ipv4 returns the address as the number OVS loads into a register. It panics
// on other families; addresses are validated where they enter.
func ipv4(ip netip.Addr) uint32 {
	b := ip.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
