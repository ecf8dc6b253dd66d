package cellagent_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/cellagent/openflow"
	"github.com/weft-sdn/weft/flows"
)

// bridge makes one that belongs to nobody, and returns both ways to it: over an
// OpenFlow connection, and by processes.
func (o *ovs) bridge() (fast, slow cellagent.Switch) {
	o.t.Helper()
	o.vsctl("add-br", "br-weft", "--", "set", "bridge", "br-weft", "fail_mode=secure", "protocols=OpenFlow14")
	slow = cellagent.NewSwitch("ovs-ofctl", o.path("br-weft.mgmt"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := openflow.Dial(ctx, o.path("br-weft.mgmt"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(conn.Close)
	return cellagent.Connected(conn, slow, func(why *openflow.UnknownError) { o.t.Log(why) }), slow
}

// TestSwitchAppliesAllOrNothing: what is applied is what a dump shows, in the
// same text, and a refusal names the flow and leaves the bridge alone, whichever
// way it took.
func TestSwitchAppliesAllOrNothing(t *testing.T) {
	for name, way := range map[string]func(fast, slow cellagent.Switch) cellagent.Switch{
		"OpenFlow connection": func(fast, _ cellagent.Switch) cellagent.Switch { return fast },
		"ovs-ofctl":           func(_, slow cellagent.Switch) cellagent.Switch { return slow },
	} {
		t.Run(name, func(t *testing.T) {
			o := startOVS(t)
			sw := way(o.bridge())
			want := startController(t).want()
			holds := func(want flows.Table) {
				t.Helper()
				if have, err := sw.DumpFlows(t.Context()); err != nil || !flows.Same(have, slices.Values([]flows.Fragment{{Flows: want}})) {
					t.Errorf("the switch holds\n%v(%v), want\n%v", have, err, want)
				}
			}
			if err := sw.Apply(t.Context(), want, nil); err != nil {
				t.Fatal(err)
			}
			holds(want)
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
				holds(want)
			}
			if err := sw.Apply(t.Context(), want[:1], want[1:]); err != nil {
				t.Fatal(err)
			}
			holds(want[:1])
			o.KillVswitchd()
			var refused *cellagent.RefusedError
			if err := sw.Apply(t.Context(), want, nil); err == nil || errors.As(err, &refused) {
				t.Errorf("without ovs-vswitchd: %v, want an error that is no refusal", err)
			}
		})
	}
}

// TestDifferenceToALostSwitchGoesNowhere: what was right for the flows of a
// switch that is gone must not reach the empty one that follows.
func TestDifferenceToALostSwitchGoesNowhere(t *testing.T) {
	o := startOVS(t)
	fast, _ := o.bridge()
	want := startController(t).want()
	if err := fast.Apply(t.Context(), want[1:], nil); err != nil {
		t.Fatal(err)
	}
	o.KillVswitchd()
	o.StartVswitchd()
	eventually(t, "the switch is back, and empty", func() bool { return o.table() != nil && len(o.table()) == 0 })
	if err := fast.Apply(t.Context(), want[:1], nil); err == nil || !strings.Contains(err.Error(), "OpenFlow connection lost") {
		t.Errorf("error %v", err)
	}
	if have := o.table(); len(have) != 0 {
		t.Errorf("the switch holds\n%v", have)
	}
}

// TestChangesStartNoProcess: but for what the agent has no encoding for, which
// ovs-ofctl applies: counted, and logged once.
func TestChangesStartNoProcess(t *testing.T) {
	b := newBed(t)
	b.cfg.OVSOfctl = b.ovs.path("ovs-ofctl")
	calls := b.ovs.path("calls")
	script := "#!/bin/sh\necho \"$@\" >> " + calls + "\nexec ovs-ofctl \"$@\"\n"
	if err := os.WriteFile(b.cfg.OVSOfctl, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	changes := func() int {
		text, err := os.ReadFile(calls)
		if err != nil || !strings.Contains(string(text), "dump-flows") {
			t.Fatalf("the agent called ovs-ofctl for %q (%v), want dump-flows among it", text, err)
		}
		return strings.Count(string(text), "add-flows")
	}
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	for port := range uint16(5) {
		b.allow(flows.PolicyID(port+1), 8080+port)
		b.inStep()
	}
	if n := changes(); n != 0 || b.status().Counters.OfctlBundles != 0 {
		t.Errorf("%d changes by ovs-ofctl, %d counted, want none", n, b.status().Counters.OfctlBundles)
	}
	for priority := range uint16(3) {
		odd := flows.Flow{Table: flows.TablePolicy, Priority: 5 + priority, Match: "tcp6", Actions: "drop"}
		b.controller.change(func() {
			b.controller.extra = []flows.Fragment{flows.NewFragment("policy/999", []flows.Flow{odd})}
		})
		b.inStep()
	}
	if n := changes(); n != 3 || b.status().Counters.OfctlBundles != 3 {
		t.Errorf("%d changes by ovs-ofctl, %d counted, want 3", n, b.status().Counters.OfctlBundles)
	}
	if n := strings.Count(b.log.String(), "applied by ovs-ofctl"); n != 1 || !strings.Contains(b.log.String(), "term=tcp6") {
		t.Errorf("logged %d times, want once, with the term", n)
	}
}

// TestHangingSwitchIsSaidAndSurvived: an agent whose switch hangs says so, and
// goes on when it is back.
func TestHangingSwitchIsSaidAndSurvived(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.allow(1, 8080)
	b.inStep()
	before := b.status().Counters
	b.ovs.PauseVswitchd()
	b.allow(2, 9090)
	eventually(t, "the agent says so", func() bool {
		return strings.Contains(b.log.String(), "the switch does not answer: is ovs-vswitchd, or ovsdb-server, stuck?")
	})
	if b.controller.acknowledged() {
		t.Error("the controller was told that the switch has it")
	}
	b.ovs.ResumeVswitchd()
	b.inStep()
	eventually(t, "it has another connection and no fault", func() bool {
		s := b.status()
		return s.Switch && s.InStep && len(s.Faults) == 0 && s.Counters.SwitchConnections > before.SwitchConnections
	})
}
