package flows

import (
	"slices"
	"strings"
	"testing"
)

// TestContractsAreComplete: the contracts themselves hang together.
func TestContractsAreComplete(t *testing.T) {
	for i, c := range Contracts() {
		if i > 0 && c.ID <= contracts[i-1].ID {
			t.Errorf("table %s is not in the order of its number", c.Name)
		}
		for _, next := range c.Next {
			if _, ok := contractOf(next); !ok || next <= c.ID {
				t.Errorf("table %s leads to %v, which is no later table", c.Name, next)
			}
		}
		if strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz") != "" || c.Name == "" {
			t.Errorf("table name %q: OVS prints anything but letters in quotes", c.Name)
		}
		if c.Question == "" || c.Why == "" || c.Drop == "" || c.File != c.Name+".go" {
			t.Errorf("table %s: question, why, drop or file is missing", c.Name)
		}
		reads := append(slices.Clone(c.Reads), c.Writes...)
		for _, field := range reads {
			if strings.HasPrefix(field, "reg") {
				t.Errorf("table %s lists %s; registers go by their fields' names", c.Name, field)
			}
			if strings.HasPrefix(field, "tun_") && c.ID != TableClassify && slices.Contains(c.Reads, field) {
				t.Errorf("table %s reads %s, which only classify may (before ct)", c.Name, field)
			}
		}
	}
}

// TestRegisterFieldsDisjoint: no two fields share a bit, and all fit.
func TestRegisterFieldsDisjoint(t *testing.T) {
	type bit struct {
		field string
		n     uint8
	}
	owner := map[bit]string{}
	for _, r := range Registers() {
		width := uint8(32)
		if r.Field == "ct_label" {
			width = 128
		}
		for n := r.Low; n <= r.High; n++ {
			if prev := owner[bit{r.Field, n}]; prev != "" || n >= width {
				t.Errorf("%s[%d]: %s collides with %q or is out of range", r.Field, n, r.Name, prev)
			}
			owner[bit{r.Field, n}] = r.Name
		}
		for _, v := range r.Values {
			if v.Number == 0 || v.Number>>(r.High-r.Low+1) != 0 {
				t.Errorf("%s: value %s (%d) is the initial 0 or does not fit", r.Name, v.Name, v.Number)
			}
		}
	}
}

// TestCheckFindsEachFault: a table that breaks one rule is refused for it.
func TestCheckFindsEachFault(t *testing.T) {
	good := Compile(randomCellFrom(1))
	if err := Check(good); err != nil {
		t.Fatalf("a compiled table breaks the contracts: %v", err)
	}
	for fault, flow := range map[string]string{
		"reads tun_src":             "cookie=0x1000000000000019, table=state, priority=10,ip,tun_src=172.31.0.2 actions=drop",
		"reads tun_gbp_id":          "cookie=0x100000000000003c, table=output, priority=10 actions=move:NXM_NX_TUN_GBP_ID[]->NXM_NX_REG0[0..15]",
		"continues in output":       "cookie=0x1000000000000000, table=classify, priority=10,in_port=7 actions=goto_table:output",
		"continues in policy":       "cookie=0x1000000000000014, table=conntrack, priority=10,ip actions=ct(table=policy,zone=60656)",
		"matches ct_nw_dst without": "cookie=0x1000000000000028, table=egress, priority=10,ct_nw_dst=10.0.0.1,ip actions=drop",
		"matches tcp_flags without": "cookie=0x1000000000000000, table=classify, priority=10,in_port=2,tcp_flags=+rst actions=drop",
		"matches nw_src without":    "cookie=0x1000000000000000, table=classify, priority=10,in_port=1,nw_src=10.0.0.1 actions=drop",
		"matches ct_tp_dst":         "cookie=0x1000000000000032, table=policy, priority=10,ct_tp_dst=80,ip actions=drop",
		"writes ofport":             "cookie=0x1000000000000032, table=policy, priority=10,ip actions=set_field:0x7->reg2,goto_table:output",
		"outputs to tunnel":         "cookie=0x1000000000000032, table=policy, priority=10,ip actions=output:1",
		"does to connections":       "cookie=0x1000000000000032, table=policy, priority=10,ip actions=ct(commit,zone=60656)",
		"must stay empty":           "cookie=0x100000000000003c, table=output, priority=10,ip actions=ct(commit,zone=60657)",
		"zone 7 is not ours":        "cookie=0x1000000000000014, table=conntrack, priority=10,ip actions=ct(table=state,zone=7)",
		"no table 12":               "cookie=0x1000000000000032, table=12, priority=10 actions=drop",
		"not one that this":         "cookie=0x1000000000000032, table=policy, priority=10 actions=NORMAL",
		"kind 0 is not one of":      "table=policy, priority=10 actions=drop",
		"no field in registers.go":  "cookie=0x1000000000000014, table=conntrack, priority=10 actions=load:0x1->NXM_NX_REG9[]",
		"another flow has":          "cookie=0x1000000000000014, table=conntrack, priority=100,ip actions=drop",
	} {
		f, err := ParseFlow(flow)
		if err != nil {
			t.Fatal(err)
		}
		err = Check(append(slices.Clone(good), f))
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: want a fault %q, got: %v", flow, fault, err)
		}
	}
	for i, f := range good {
		if f.Priority == missPriority {
			if err := Check(slices.Delete(slices.Clone(good), i, i+1)); err == nil {
				t.Errorf("nobody missed %v", f)
			}
		}
	}
}
