package flows

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// effects is what a flow's actions do, in the words of a Contract.
type effects struct {
	next, reads, writes, tracks, outputs []string
}

// ovsNames gives the names of ovs-fields(7) for those in the text of move and
// load that are not registers.
var ovsNames = map[string]string{
	"NXM_OF_ETH_SRC": "eth_src", "NXM_OF_ETH_DST": "eth_dst", "NXM_OF_IP_DST": "nw_dst", "NXM_NX_PKT_MARK": "pkt_mark",
	"NXM_NX_ARP_SHA": "arp_sha", "NXM_NX_ARP_THA": "arp_tha",
	"NXM_OF_ARP_SPA": "arp_spa", "NXM_OF_ARP_TPA": "arp_tpa",
	"NXM_NX_TUN_GBP_ID": "tun_gbp_id", "NXM_NX_TUN_GBP_FLAGS": "tun_gbp_flags", "NXM_NX_TUN_IPV4_DST": "tun_dst",
}

// readActions understands the actions that this package compiles, and refuses
// others.
func readActions(text string) (effects, error) {
	var does effects
	for action := range splitActions(text) {
		if err := does.add(action); err != nil {
			return does, fmt.Errorf("action %s: %w", action, err)
		}
	}
	return does, nil
}

func (e *effects) add(action string) error {
	name, rest, _ := strings.Cut(action, ":")
	switch {
	case action == "drop":
	case action == "IN_PORT" || action == "LOCAL":
		e.outputs = append(e.outputs, action)
	case action == "output:"+strconv.Itoa(int(DenyOFPort)):
		e.outputs = append(e.outputs, "deny")
	case action == "output:"+strconv.Itoa(int(TunnelOFPort)):
		e.outputs = append(e.outputs, "tunnel")
	case name == "output":
		return addField(&e.outputs, rest)
	case name == "goto_table":
		e.next = append(e.next, rest)
	case name == "move":
		from, to, _ := strings.Cut(rest, "->")
		if err := addField(&e.reads, from); err != nil {
			return err
		}
		return addField(&e.writes, to)
	case name == "load" || name == "set_field":
		_, to, _ := strings.Cut(rest, "->")
		return addField(&e.writes, to)
	case strings.HasPrefix(action, "conjunction("): // ends no journey: it is half of a match
	case strings.HasPrefix(action, "ct("):
		return e.addTracking(strings.TrimSuffix(strings.TrimPrefix(action, "ct("), ")"))
	default:
		return fmt.Errorf("not one that this pipeline uses")
	}
	return nil
}

func (e *effects) addTracking(args string) error {
	does := "track"
	for arg := range splitActions(args) {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case name == "commit":
			does = "commit"
		case name == "table":
			e.next = append(e.next, value)
		case name == "force":
		case name == "zone":
			if value != strconv.Itoa(int(ZoneOverlay)) && value != strconv.Itoa(int(ZoneGlare)) {
				return fmt.Errorf("zone %s is not ours", value)
			}
		case strings.HasPrefix(arg, "exec("):
			inner, err := readActions(strings.TrimSuffix(strings.TrimPrefix(arg, "exec("), ")"))
			if err != nil {
				return err
			}
			e.reads = append(e.reads, inner.reads...)
			e.writes = append(e.writes, inner.writes...)
		default:
			return fmt.Errorf("%s is not an argument that this pipeline uses", arg)
		}
	}
	e.tracks = append(e.tracks, does)
	if strings.Contains(args, "commit") && strings.Contains(args, "zone="+strconv.Itoa(int(ZoneGlare))) {
		return fmt.Errorf("commits into the zone that must stay empty")
	}
	return nil
}

// addField appends the name of the field that an action's text means.
func addField(names *[]string, text string) error {
	field, bits, _ := strings.Cut(strings.TrimSuffix(text, "]"), "[")
	for _, r := range registerFields {
		if r.nxm() == text || r.whole() && r.Field == text {
			*names = append(*names, r.Name)
			return nil
		}
	}
	if name, ok := ovsNames[field]; ok {
		*names = append(*names, name)
		return nil
	}
	if bits != "" || isRegister(field) || strings.HasPrefix(field, "NXM_") {
		return fmt.Errorf("%s is no field in registers.go", text)
	}
	*names = append(*names, field)
	return nil
}

// splitActions yields what commas separate outside of parentheses.
func splitActions(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		depth, start := 0, 0
		for i, r := range text {
			switch r {
			case '(':
				depth++
			case ')':
				depth--
			case ',':
				if depth == 0 {
					if !yield(text[start:i]) {
						return
					}
					start = i + 1
				}
			}
		}
		if start < len(text) {
			yield(text[start:])
		}
	}
}
