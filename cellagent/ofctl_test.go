package cellagent_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
)

// TestSwitchAppliesAllOrNothing: what is applied is what a dump shows, in the
// same text, and a refusal names the flow and leaves the bridge alone.
func TestSwitchAppliesAllOrNothing(t *testing.T) {
	o := startOVS(t)
	o.vsctl("add-br", "br-weft", "--", "set", "bridge", "br-weft", "fail_mode=secure", "protocols=OpenFlow14")
	sw := cellagent.NewSwitch("ovs-ofctl", o.path("br-weft.mgmt"))
	want := startController(t).want()
	if err := sw.Apply(t.Context(), want, nil); err != nil {
		t.Fatal(err)
	}
	have, err := sw.DumpFlows(t.Context())
	if err != nil || !slices.Equal(have, want) {
		t.Fatalf("the switch holds\n%v(%v), want\n%v", have, err, want)
	}
	for why, flow := range map[string]flows.Flow{
		"OFPBAC_BAD_OUT_GROUP":    {Table: flows.TablePolicy, Match: "tcp", Actions: "group:7"},
		"unknown keyword badness": {Table: flows.TablePolicy, Match: "badness=1", Actions: "drop"},
		"OFPBIC_BAD_TABLE_ID":     {Table: flows.TablePolicy, Match: "tcp", Actions: "goto_table:classify"},
	} {
		good := flows.Flow{Table: flows.TablePolicy, Priority: 3, Match: "udp", Actions: "drop"}
		err := sw.Apply(t.Context(), []flows.Flow{good, flow}, want[:3])
		var refused *cellagent.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, why) || !strings.Contains(refused.Flow, strings.Split(flow.Actions, ":")[0]) {
			t.Errorf("error %v, want %s and the flow %v", err, why, flow)
		}
		if now, err := sw.DumpFlows(t.Context()); err != nil || !slices.Equal(now, want) {
			t.Errorf("%s: the switch holds\n%v(%v)", why, now, err)
		}
	}
	if err := sw.Apply(t.Context(), want[:1], want[1:]); err != nil {
		t.Fatal(err)
	}
	if now, err := sw.DumpFlows(t.Context()); err != nil || !slices.Equal(now, want[:1]) {
		t.Errorf("after removing all but one flow: %v (%v)", now, err)
	}
	o.KillVswitchd()
	var refused *cellagent.RefusedError
	if err := sw.Apply(t.Context(), want, nil); err == nil || errors.As(err, &refused) {
		t.Errorf("without ovs-vswitchd: %v, want an error that is no refusal", err)
	}
}

// TestSwitchThatHangsIsSaid: not only that ovs-ofctl was killed.
func TestSwitchThatHangsIsSaid(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "br-weft.mgmt")
	listener, err := net.Listen("unix", socket) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := cellagent.NewSwitch("ovs-ofctl", socket).DumpFlows(ctx); err == nil || !strings.Contains(err.Error(), "the switch does not answer") {
		t.Errorf("got %v", err)
	}
}
