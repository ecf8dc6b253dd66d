package controller

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// securityRule is one rule of a security group as Cloud Controller writes it.
// Every destination is opened on every port.
type securityRule struct {
	Protocol    string `json:"protocol"`    // tcp, udp, icmp or all
	Destination string `json:"destination"` // address, CIDR or range A-B, or several with commas between them
	Ports       string `json:"ports"`       // port or range A-B, or several; of tcp and udp only
	Type        *int   `json:"type"`        // of icmp only; -1 or 255 is any
	Code        *int   `json:"code"`
	Log         bool   `json:"log"`
}

// parseSecurityRules reads a security group's rules. A rule that makes no sense
// opens nothing; the faults say which, by its place from 1, and the others hold.
func parseSecurityRules(text string) (rules []flows.EgressRule, faults []error) {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, []error{fmt.Errorf("rules %.80q: %w", text, err)}
	}
	for i, raw := range list {
		var rule securityRule
		err := json.Unmarshal(raw, &rule)
		var opened []flows.EgressRule
		if err == nil {
			opened, err = rule.open()
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("rule %d: %w", i+1, err))
			continue
		}
		rules = append(rules, opened...)
	}
	return rules, faults
}

var securityProtocols = map[string]flows.Protocol{
	"all": flows.AnyProtocol, "tcp": flows.TCP, "udp": flows.UDP, "icmp": flows.ICMP,
}

// open makes a rule of each destination and port range.
func (r securityRule) open() ([]flows.EgressRule, error) {
	protocol, known := securityProtocols[r.Protocol]
	if !known {
		return nil, fmt.Errorf("protocol %.40q: must be tcp, udp, icmp or all", r.Protocol)
	}
	rule := flows.EgressRule{Protocol: protocol, Log: r.Log}
	ports, err := r.portRanges(protocol)
	if err != nil {
		return nil, err
	}
	if protocol == flows.ICMP {
		if rule.ICMPType, err = icmpNumber("type", r.Type); err != nil {
			return nil, err
		}
		if rule.ICMPCode, err = icmpNumber("code", r.Code); err != nil {
			return nil, err
		}
	}
	destinations := strings.Split(r.Destination, ",")
	if n := len(destinations) * len(ports); n > flows.MaxEgressRules {
		return nil, fmt.Errorf("%d destinations on %d port ranges: at most %d together", len(destinations), len(ports), flows.MaxEgressRules)
	}
	var rules []flows.EgressRule
	for _, destination := range destinations {
		if rule.First, rule.Last, err = addressRange(strings.TrimSpace(destination)); err != nil {
			return nil, fmt.Errorf("destination %.80q: %w", destination, err)
		}
		for _, rule.Ports = range ports {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// portRanges has one empty range for protocols without ports.
func (r securityRule) portRanges(protocol flows.Protocol) ([]flows.PortRange, error) {
	switch hasPorts := protocol == flows.TCP || protocol == flows.UDP; {
	case hasPorts && r.Ports == "":
		return nil, fmt.Errorf("ports: missing; tcp and udp need them")
	case !hasPorts && r.Ports != "":
		return nil, fmt.Errorf("ports %.80q: only tcp and udp have ports", r.Ports)
	case !hasPorts:
		return []flows.PortRange{{}}, nil
	}
	var ranges []flows.PortRange
	for word := range strings.SplitSeq(r.Ports, ",") {
		start, end, isRange := strings.Cut(word, "-")
		if !isRange {
			end = start
		}
		first, err := portNumber(start)
		if err != nil {
			return nil, err
		}
		last, err := portNumber(end)
		if err != nil {
			return nil, err
		}
		if first > last {
			return nil, fmt.Errorf("ports %.40q: the first must not be above the last", word)
		}
		ranges = append(ranges, flows.PortRange{First: first, Last: last})
	}
	return ranges, nil
}

func portNumber(text string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %.40q: must be 1 to 65535", text)
	}
	return uint16(n), nil
}

// icmpNumber returns a type or code, -1 for any. An absent one is a fault, not
// any: to guess would open what nobody asked for.
func icmpNumber(field string, n *int) (int16, error) {
	switch {
	case n == nil:
		return 0, fmt.Errorf("%s: missing; icmp needs it, -1 is any", field)
	case *n < -1 || *n > 255:
		return 0, fmt.Errorf("%s %d: must be 0 to 254, or -1 or 255 for any", field, *n)
	case *n == 255:
		return -1, nil
	}
	return int16(*n), nil
}

// addressRange reads an address, a CIDR or a range A-B.
func addressRange(text string) (first, last netip.Addr, err error) {
	if strings.Contains(text, "/") {
		network, err := netip.ParsePrefix(text)
		if err != nil || !network.Addr().Is4() {
			return first, last, fmt.Errorf("must be IPv4")
		}
		first = network.Masked().Addr()
		return first, lastOf(first, network.Bits()), nil
	}
	start, end, isRange := strings.Cut(text, "-")
	if !isRange {
		end = start
	}
	first, startErr := netip.ParseAddr(strings.TrimSpace(start))
	last, endErr := netip.ParseAddr(strings.TrimSpace(end))
	switch {
	case startErr != nil || endErr != nil || !first.Is4() || !last.Is4():
		return first, last, fmt.Errorf("must be IPv4: an address, a CIDR or a range")
	case last.Less(first):
		return first, last, fmt.Errorf("the first must not be above the last")
	}
	return first, last, nil
}

// lastOf returns the highest address of a network of so many bits.
func lastOf(first netip.Addr, bits int) netip.Addr {
	address := first.As4()
	binary.BigEndian.PutUint32(address[:], binary.BigEndian.Uint32(address[:])|uint32(uint64(1)<<(32-bits)-1))
	return netip.AddrFrom4(address)
}
