package openflow

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestUnknownTermsAreNamed: what has no encoding is an error that says which
// term of which flow, whatever else is in the flow.
func TestUnknownTermsAreNamed(t *testing.T) {
	for _, term := range []string{
		"badness=1", "nonsense", "tcp6", "nw_tos=4", "tp_dst=80", "in_port=65280", "in_port=eth0", "reg16=0x1", "reg0", "reg0=", "reg0=0x1ffffffff",
		"reg0=1_0", "reg0=010", "reg0=-1", "reg0=0x5/0x1", "reg0=0x5/0x1ffffffff", "ct_label=0x100000000000000000000000000000000", "vlan_tci=0x1005", "vlan_tci=0x2000/0x2000",
		"nw_src=10.0.0.1/8", "nw_src=10.0.0.0/33", "nw_src=10.0.0", "nw_src=fe80::1", "dl_src=ee:ee:0a:ff:01", "dl_src=ee:ee:0a:ff:01:0g", "dl_src=ee-ee-0a-ff-01-02",
		"ct_state=new", "ct_state=+odd", "ct_state=+new-new", "ct_state=", "tcp_flags=0x2",
	} {
		isUnknown(t, term, flows.Flow{Table: flows.TablePolicy, Priority: 7, Match: "ip," + term, Actions: "drop"})
	}
	for _, term := range []string{
		"group:7", "resubmit(,10)", "NORMAL", "FLOOD", "output:eth0", "output:65280", "output:LOCAL", "output:NXM_NX_CT_LABEL[]", "output:NXM_NX_REG2",
		"load:0x4->NXM_NX_REG4[0..1]", "load:0x4->NXM_NX_REG4[30..32]", "load:0x4->NXM_NX_REG4[3..2]", "load:0x4->reg4", "load:0x4", "load:x->NXM_NX_REG4[]",
		"load:0->NXM_NX_CT_LABEL[]", "move:NXM_NX_REG0[]->NXM_NX_TUN_GBP_ID[]", "move:NXM_NX_REG0[]", "set_field:0x1/0x3->reg0", "set_field:0x1->conj_id", "set_field:0x1->NXM_NX_REG0[]",
		"conjunction(1,0/2)", "conjunction(1,1)", "conjunction(4294967296,1/2)", "ct(nat)", "ct(commit,zone=NXM_NX_REG0[0..15])", "ct(zone=65536)", "ct(table=255)", "ct(commit,)",
		"ct(commit,commit)", "ct(force,force)", "ct(zone=1,zone=2)", "ct(table=conntrack,table=policy)",
		"ct(commit,exec(load:0x1->NXM_NX_CT_MARK[]),exec(load:0x2->NXM_NX_CT_LABEL[0..15]))",
		"ct(commit,exec(output:1))", "ct(commit,exec())", "ct(commit,exec(ct(commit)))", "ct", "drop", "", "goto_table:nowhere",
	} {
		isUnknown(t, term, flows.Flow{Table: flows.TableARP, Priority: 7, Match: "ip", Actions: term + ",output:1"})
	}
	isUnknown(t, "LOCAL", flows.Flow{Table: flows.TableARP, Match: "ip", Actions: "goto_table:state,LOCAL"})
	long := "load:0x1->NXM_NX_REG4[]" + strings.Repeat(",load:0x1->NXM_NX_REG4[]", maxFlowMod/24)
	isUnknown(t, "a message of 65584 bytes, more than 65519", flows.Flow{Table: flows.TableARP, Actions: long})
}

func isUnknown(t *testing.T, term string, f flows.Flow) {
	t.Helper()
	before := []byte("before")
	b, err := appendFlowMod(before, commandAdd, f, 1)
	var unknown *UnknownError
	if !errors.As(err, &unknown) || unknown.Term != term || unknown.Flow != f.String() || string(b) != "before" {
		t.Errorf("%.200v: %x, error %v, want one that says %q", f, b, err, term)
	}
}

// FuzzFlow: no text makes the encoder panic, and what it makes is a message.
func FuzzFlow(f *testing.F) {
	for _, table := range scenarios(f) {
		for _, flow := range table {
			f.Add(flow.Match, flow.Actions)
		}
	}
	f.Add("ip,ct_label=0x1/0x1", "ct(commit,force,table=state,zone=1,exec(set_field:0x5->ct_label)),ct_clear")
	f.Fuzz(func(t *testing.T, match, actions string) {
		before := []byte("before")
		b, err := appendBundled(before, commandAdd, flows.Flow{Match: match, Actions: actions}, 1, 2)
		if err != nil {
			if string(b) != "before" {
				t.Fatalf("a refused flow left %x", b)
			}
			return
		}
		m, err := readMessage(bytes.NewReader(b[len(before):]))
		if err != nil || m.kind != kindBundleAdd || len(m.body) != len(b)-len(before)-headerSize {
			t.Fatalf("%x: %v", b, err)
		}
		in := bytes.NewReader(m.body[bundleAddSize-headerSize:])
		if inner, err := readMessage(in); err != nil || inner.kind != kindFlowMod || in.Len() != 0 || (headerSize+len(inner.body))%8 != 0 {
			t.Fatalf("%x: %v", b, err)
		}
	})
}
