package openflow

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestSwitchPrintsTheTextThatWasEncoded: a dump has every flow byte for byte, and
// each is removed by the same text.
func TestSwitchPrintsTheTextThatWasEncoded(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	for name, table := range tables(t) {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.apply(c, table, nil)
			r.holds(table)
			r.apply(c, nil, table)
			r.holds(nil)
		})
	}
}

// TestNoTermIsLeftOutInSilence: whatever a match says besides, each field is
// refused or is in what the switch prints.
func TestNoTermIsLeftOutInSilence(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	said := map[uint16]string{}
	refusals, leaders := map[string]int{}, []string{"", "ip", "arp", "tcp", "icmp"}
	for _, state := range []string{"ct_state=+trk", "ct_state=-inv+trk", "ct_state=-inv+trk,ct_nw_proto=0", "ct_state=-inv+trk,ct_nw_proto=6"} {
		leaders = append(leaders, state, state+",ip", state+",tcp", state+",arp")
	}
	for _, leader := range leaders {
		for i := range fields {
			for _, value := range []string{sample(&fields[i]), "0", "0/0x3", "0.0.0.0", "00:00:00:00:00:00"} {
				f := flows.Flow{Table: flows.TableARP, Priority: uint16(len(said) + 1), Match: fields[i].match + "=" + value, Actions: "drop"}
				if leader != "" {
					f.Match = leader + "," + f.Match
				}
				err := c.Apply(r.within(testPatience), []flows.Flow{f}, nil)
				var refused *RefusedError
				var unknown *UnknownError
				switch {
				case err == nil:
					said[f.Priority] = f.Match
				case errors.As(err, &refused):
					refusals[refused.Reason]++
				case !errors.As(err, &unknown):
					t.Fatal(err)
				}
			}
		}
	}
	if len(said) < 1000 || refusals["OFPBMC_BAD_PREREQ"] < 200 {
		t.Errorf("%d flows were taken; refused were %v", len(said), refusals)
	}
	printed, err := flows.ParseTable(r.DumpFlows())
	if err != nil || len(printed) != len(said) {
		t.Fatalf("%d flows are printed, %d were taken: %v", len(printed), len(said), err)
	}
	for _, f := range printed {
		for term := range strings.SplitSeq(said[f.Priority], ",") {
			name, _, valued := strings.Cut(term, "=")
			if valued && name != "nw_proto" && !strings.Contains(","+f.Match, ","+name+"=") {
				t.Errorf("%s became %s", said[f.Priority], f.Match)
			}
		}
	}
}

// TestContradictionsAreRefused: terms that exclude each other, and actions that
// the match does not bear, by the switch and in its words.
func TestContradictionsAreRefused(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	leftOut := " needs a ct_nw_proto that is not 0: without it the switch would leave it out in silence"
	for _, bad := range []struct{ match, actions, why string }{
		{"nw_src=10.0.0.1", "drop", "OFPBMC_BAD_PREREQ"},
		{"ip,tcp_flags=+rst", "drop", "OFPBMC_BAD_PREREQ"},
		{"tcp,icmp_type=3", "drop", "OFPBMC_BAD_PREREQ"},
		{"ct_state=+trk,ct_nw_proto=6,ip", "drop", "OFPBMC_BAD_PREREQ"},
		{"ct_state=-inv+trk,ct_tp_dst=80,ip", "drop", "ct_tp_dst" + leftOut},
		{"ct_state=-inv+trk,ct_nw_proto=0,ip", "drop", "ct_nw_proto" + leftOut},
		{"ip,arp", "drop", "OFPBMC_DUP_FIELD"},
		{"reg0=0x1,reg0=0x2", "drop", "OFPBMC_DUP_FIELD"},
		{"ip", "set_field:2->arp_op", "OFPBAC_MATCH_INCONSISTENT"},
		{"", "ct(commit)", "OFPBAC_MATCH_INCONSISTENT"},
		{"ip", "ct(commit,exec(load:0x1->NXM_NX_REG0[]))", "OFPBAC_BAD_ARGUMENT"},
		{"ip", "goto_table:classify", "OFPBIC_BAD_TABLE_ID"},
	} {
		f := flows.Flow{Table: flows.TableARP, Priority: 7, Match: bad.match, Actions: bad.actions}
		err := c.Apply(r.within(testPatience), []flows.Flow{f}, nil)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Reason != bad.why || refused.Flow != f.String() {
			r.t.Errorf("%v: error %v, want %s", f, err, bad.why)
		}
	}
	r.holds(nil)
}

// sample is a value of a field, as the switch prints it.
func sample(f *field) string {
	decimal := []string{"conj_id", "in_port", "tun_gbp_id", "ct_zone"}
	if slices.Contains(decimal, f.match) {
		return "7"
	}
	for _, value := range []string{"0x7", "10.0.0.7", "ee:ee:0a:ff:01:02", "0x1000/0x1000", "+new-rel", "+rst"} {
		if _, ok := readOperand(f, value); ok {
			return value
		}
	}
	return ""
}
