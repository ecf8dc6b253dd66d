package flows

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Check holds a complete table to the contracts: known tables, transitions
// that they allow, fields that they may read and write, prerequisites, no two
// flows for one match, and a counted drop at the end of every table. It reports
// every fault, each with its flow. tun_* after ct() is refused by the contracts:
// OVS judges later packets of a recirculated megaflow by the first one's tunnel
// fields, so only classify may read them.
func Check(t Table) error {
	var faults []error
	seen := make(map[Flow]bool, len(t))
	for _, f := range t {
		key := Flow{Table: f.Table, Priority: f.Priority, Match: f.Match}
		if seen[key] {
			faults = append(faults, fmt.Errorf("%v: another flow has the same table, priority and match", f))
		}
		seen[key] = true
		if err := checkFlow(f); err != nil {
			faults = append(faults, fmt.Errorf("%v: %w", f, err))
		}
	}
	var last builder
	last.misses()
	for _, miss := range last.flows {
		if !slices.Contains(t, miss) {
			faults = append(faults, fmt.Errorf("table %v does not end in %q", miss.Table, miss))
		}
	}
	return errors.Join(faults...)
}

func checkFlow(f Flow) error {
	c, ok := contractOf(f.Table)
	if !ok {
		return fmt.Errorf("the pipeline has no table %d", f.Table)
	}
	matched, err := matchedFields(f.Match)
	if err != nil {
		return err
	}
	does, err := readActions(f.Actions)
	if err != nil {
		return err
	}
	faults := []error{checkCookie(f.Cookie), checkPrerequisites(matched)}
	allow := func(what string, used, allowed []string) {
		for _, name := range used {
			if !slices.Contains(allowed, name) {
				faults = append(faults, fmt.Errorf("%s %s, which the contract of table %s does not list", what, name, c.Name))
			}
		}
	}
	var next []string
	for _, id := range c.Next {
		next = append(next, id.String())
	}
	allow("reads", append(matched, does.reads...), c.Reads)
	allow("writes", does.writes, c.Writes)
	allow("continues in", does.next, next)
	allow("does to connections:", does.tracks, c.Tracks)
	allow("outputs to", does.outputs, c.Outputs)
	return errors.Join(faults...)
}

func checkCookie(c Cookie) error {
	_, _, err := Explain(c)
	return err
}

// checkPrerequisites guards what OVS does not report: it drops a field whose
// prerequisite is missing, and the flow matches everything.
func checkPrerequisites(matched []string) error {
	for _, field := range matched {
		needs := ""
		switch {
		case strings.HasPrefix(field, "nw_"):
			needs = "ip"
		case strings.HasPrefix(field, "arp_"):
			needs = "arp"
		case strings.HasPrefix(field, "ct_nw_") || strings.HasPrefix(field, "ct_tp_"):
			needs = "ct_state"
		case field == "tcp_flags":
			needs = "tcp"
		case strings.HasPrefix(field, "icmp_"):
			needs = "icmp"
		}
		if needs != "" && !slices.Contains(matched, needs) {
			return fmt.Errorf("matches %s without %s", field, needs)
		}
	}
	return nil
}

// matchedFields names what a match reads: register fields by their names, by
// the bits of the mask, other fields as OVS does.
func matchedFields(match string) ([]string, error) {
	var names []string
	for term := range strings.SplitSeq(match, ",") {
		field, value, _ := strings.Cut(term, "=")
		_, maskText, masked := strings.Cut(value, "/")
		mask := uint64(0xffffffff)
		if masked {
			// Prefix lengths and dotted masks belong to no register.
			if m, err := strconv.ParseUint(maskText, 0, 64); err == nil {
				mask = m
			}
		}
		switch {
		case term == "":
		case isRegister(field):
			found := registersIn(field, mask)
			if len(found) == 0 {
				return nil, fmt.Errorf("matches %s, which no field in registers.go is in", term)
			}
			names = append(names, found...)
		default:
			names = append(names, field)
		}
	}
	return names, nil
}

func isRegister(field string) bool {
	return slices.ContainsFunc(registerFields, func(r Register) bool { return r.Field == field }) ||
		strings.HasPrefix(field, "reg")
}

// registersIn returns the names of the fields that have a bit under the mask.
func registersIn(field string, mask uint64) []string {
	var names []string
	for _, r := range registerFields {
		bits := (uint64(1)<<(r.High+1) - 1) &^ (uint64(1)<<r.Low - 1)
		if r.Field == field && bits&mask != 0 {
			names = append(names, r.Name)
		}
	}
	return names
}
