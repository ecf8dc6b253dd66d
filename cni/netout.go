package cni

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/weft-sdn/weft/flows"
)

// netOutRule is one of runtimeConfig.netOutRules: a security group's rule as
// Cloud Foundry's Garden writes it. Every network is opened on every port.
type netOutRule struct {
	Protocol int64 `json:"protocol"` // 0 all, 1 tcp, 2 udp, 3 icmp
	Networks []struct {
		Start string `json:"start"` // one of them alone is a single address
		End   string `json:"end"`
	} `json:"networks"`
	Ports []struct {
		Start *int64 `json:"start"` // one of them alone is a single port
		End   *int64 `json:"end"`
	} `json:"ports"`
	ICMPs *struct {
		Type int64  `json:"type"` // Garden leaves a type of 0, echo reply, out
		Code *int64 `json:"code"` // absent: any
	} `json:"icmps"`
	Log bool `json:"log"`
}

// gardenProtocols are the protocols by Garden's numbers.
var gardenProtocols = []flows.Protocol{flows.AnyProtocol, flows.TCP, flows.UDP, flows.ICMP}

// parseNetOut reads where the container may open connections out of the
// overlay. A rule that lacks what it needs, networks or the ports of TCP, is
// refused: to guess that it means all of them would open what nobody asked for.
func parseNetOut(path string, raw json.RawMessage) (flows.EgressRules, error) {
	wanted, err := decodeList[netOutRule](path, raw)
	if err != nil {
		return "", err
	}
	var rules []flows.EgressRule
	for i, w := range wanted {
		expanded, err := w.expand(fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return "", err
		}
		rules = append(rules, expanded...)
	}
	text, err := flows.NewEgressRules(rules)
	if err != nil {
		return "", invalid(path, written(raw), err.Error())
	}
	return text, nil
}

// expand makes a rule of each network and port range.
func (w netOutRule) expand(place string) ([]flows.EgressRule, error) {
	if w.Protocol < 0 || w.Protocol >= int64(len(gardenProtocols)) {
		return nil, invalid(place+".protocol", w.Protocol, "must be 0 (all), 1 (tcp), 2 (udp) or 3 (icmp)")
	}
	if len(w.Networks) == 0 {
		return nil, invalid(place+".networks", written("[]"), "must name at least one; 0.0.0.0 to 255.255.255.255 is everything")
	}
	rule := flows.EgressRule{Protocol: gardenProtocols[w.Protocol], Log: w.Log}
	ports, err := w.portRanges(place, rule.Protocol)
	if err != nil {
		return nil, err
	}
	if rule.Protocol == flows.ICMP {
		if rule.ICMPType, rule.ICMPCode, err = w.icmp(place + ".icmps"); err != nil {
			return nil, err
		}
	}
	var rules []flows.EgressRule
	for i, network := range w.Networks {
		at := fmt.Sprintf("%s.networks[%d]", place, i)
		if rule.First, rule.Last, err = addressRange(at, network.Start, network.End); err != nil {
			return nil, err
		}
		for _, rule.Ports = range ports {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// portRanges has one empty range for protocols without ports.
func (w netOutRule) portRanges(place string, protocol flows.Protocol) ([]flows.PortRange, error) {
	hasPorts := protocol == flows.TCP || protocol == flows.UDP
	switch {
	case hasPorts && len(w.Ports) == 0:
		return nil, invalid(place+".ports", written("[]"), "must name at least one for tcp and udp; 1 to 65535 is all")
	case !hasPorts && len(w.Ports) != 0:
		return nil, invalid(place+".ports", written(fmt.Sprintf("of protocol %d", w.Protocol)), "must not be there: only tcp and udp have ports")
	case !hasPorts:
		return []flows.PortRange{{}}, nil
	}
	var ranges []flows.PortRange
	for i, p := range w.Ports {
		at := fmt.Sprintf("%s.ports[%d]", place, i)
		start, end := p.Start, p.End
		if start == nil {
			start = end
		}
		if end == nil {
			end = start
		}
		switch first, last := value(start), value(end); {
		case !isPort(first):
			return nil, invalid(at+".start", first, "must be 1 to 65535")
		case !isPort(last):
			return nil, invalid(at+".end", last, "must be 1 to 65535")
		case first > last:
			return nil, invalid(at+".start", first, fmt.Sprintf("must not be above end %d", last))
		default:
			ranges = append(ranges, flows.PortRange{First: uint16(first), Last: uint16(last)})
		}
	}
	return ranges, nil
}

// icmp returns the type and code, -1 for any. So says Garden, too, or 255: its
// numbers are bytes.
func (w netOutRule) icmp(place string) (kind, code int16, err error) {
	if w.ICMPs == nil {
		return 0, 0, invalid(place, written("null"), `must be there for icmp; {"type":-1,"code":-1} is all`)
	}
	if kind, err = icmpNumber(place+".type", w.ICMPs.Type); err != nil || w.ICMPs.Code == nil {
		return kind, -1, err
	}
	code, err = icmpNumber(place+".code", *w.ICMPs.Code)
	return kind, code, err
}

func icmpNumber(field string, n int64) (int16, error) {
	switch {
	case n < -1 || n > 255:
		return 0, invalid(field, n, "must be 0 to 254, or -1 or 255 for any")
	case n == 255:
		return -1, nil
	}
	return int16(n), nil
}

func addressRange(place, start, end string) (first, last netip.Addr, err error) {
	switch {
	case start == "" && end == "":
		return first, last, invalid(place, written("{}"), "must have start, end or both; 0.0.0.0 to 255.255.255.255 is everything")
	case start == "":
		start = end
	case end == "":
		end = start
	}
	if first, err = address(place+".start", start); err != nil {
		return first, last, err
	}
	if last, err = address(place+".end", end); err != nil {
		return first, last, err
	}
	if last.Less(first) {
		return first, last, invalid(place+".start", start, "must not be above end "+end)
	}
	return first, last, nil
}

func address(field, text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(text)
	switch ip = ip.Unmap(); {
	case err != nil:
		return ip, invalid(field, text, "must be an IPv4 address")
	case !ip.Is4():
		return ip, invalid(field, text, "is IPv6: the overlay and what leaves it are IPv4 only")
	}
	return ip, nil
}
