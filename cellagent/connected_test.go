package cellagent_test

import (
	"context"
	"errors"
	"io/fs"
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
				if have, same, err := sw.Compare(t.Context(), []flows.Fragment{{Flows: want}}); err != nil || !same || have != nil {
					t.Errorf("the switch holds\n%v(%v), want\n%v", have, err, want)
				}
				less := want[1:]
				have, same, err := sw.Compare(t.Context(), []flows.Fragment{{Flows: less}})
				if add, remove := flows.Diff(have, less); err != nil || same || len(add) > 0 || !slices.Equal(remove, want[:1]) {
					t.Errorf("with one flow less wanted: same %v, %v missing, %v foreign (%v)", same, add, remove, err)
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
	calls := b.ofctlCalls()
	changes := func() int {
		text := calls()
		if !strings.Contains(text, "dump-flows") {
			t.Fatalf("the agent called ovs-ofctl for %q, want dump-flows among it", text)
		}
		return strings.Count(text, "add-flows")
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

// ofctlCalls has the agent call a script in place of ovs-ofctl, and returns what
// tells the arguments of all calls so far.
func (b *bed) ofctlCalls() (calls func() string) {
	b.t.Helper()
	b.cfg.OVSOfctl = b.ovs.path("ovs-ofctl")
	log := b.ovs.path("calls")
	script := "#!/bin/sh\necho \"$@\" >> " + log + "\nexec ovs-ofctl \"$@\"\n"
	if err := os.WriteFile(b.cfg.OVSOfctl, []byte(script), 0o755); err != nil {
		b.t.Fatal(err)
	}
	return func() string {
		text, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.t.Fatal(err)
		}
		return string(text)
	}
}

// TestComparisonsStartNoProcess: neither that of an agent which starts, with the
// controller or without, nor those that follow, nor that of the status, as long as
// nothing differs.
func TestComparisonsStartNoProcess(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.allow(1, 8080)
	b.inStep()
	b.stop()
	calls := b.ofctlCalls()
	b.cfg.Reconcile = 100 * time.Millisecond
	looks := func(start int) {
		t.Helper()
		b.startAgent()
		eventually(t, "the agent knows what is wanted", func() bool { // before that, its status tells how many flows there are
			return strings.Count(b.log.String(), "the switch holds the last good table") == start
		})
		eventually(t, "the agent has looked several times", func() bool { return b.status().Counters.Reconciles > 5 })
		if s := b.status(); !s.InStep || s.Have != s.Want || s.Counters.FlowMods != 0 {
			t.Errorf("status %+v, want in step and no flow mod", s)
		}
		if text := calls(); text != "" {
			t.Errorf("the agent called ovs-ofctl for %q", text)
		}
		b.stop()
	}
	looks(1)
	b.controller.down()
	looks(2)
	b.ovs.ofctl("br-weft", "add-flow", "table=7,priority=9,actions=FLOOD")
	b.controller.up()
	b.startAgent()
	b.inStep()
	if !strings.Contains(calls(), "dump-flows") {
		t.Error("what differed was not read by ovs-ofctl")
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
