package cellagent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// TestFirstSnapshotIsInstalledAndAcknowledged: an empty bridge becomes the
// compiled table, and the controller hears of it.
func TestFirstSnapshotIsInstalledAndAcknowledged(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	if s := b.status(); !s.InStep || !s.Connected || s.Want == 0 || s.Want != s.Have || s.MTU == 0 {
		t.Errorf("status %+v: want in step, connected, with flows and an MTU", s)
	}
	if got := b.ovs.vsctl("get", "bridge", "br-weft", "fail_mode"); got != "secure" {
		t.Errorf("fail_mode %s", got)
	}
	if said, want := b.told(), (told{Cell: "cell-1", Subnet: "10.255.1.0/24", MTU: 65485, RestMS: 60_000, Socket: b.cfg.Socket}); said != want {
		t.Errorf("weft-cni is told %+v, want %+v", said, want)
	}
}

// TestDeltaAppliesOnlyItsOwnFlows: one policy costs its flows and one bundle.
func TestDeltaAppliesOnlyItsOwnFlows(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.allow(1, 8080)
	b.inStep()
	before, table := b.status().Counters, b.ovs.table()
	b.allow(2, 9090)
	b.inStep()
	after := b.status().Counters
	add, remove := flows.Diff(table, b.ovs.table())
	if got, want := after.FlowMods-before.FlowMods, uint64(len(add)+len(remove)); got != want || want == 0 {
		t.Errorf("a second policy cost %d flow mods and changed %d flows", got, want)
	}
	if got := after.Bundles - before.Bundles; got != 1 {
		t.Errorf("it cost %d bundles, want 1", got)
	}
	both := b.ovs.table()
	b.controller.change(func() { b.controller.state.Allow = nil })
	b.inStep()
	b.controller.change(func() {
		for policy, port := range map[flows.PolicyID]uint16{1: 8080, 2: 9090} {
			b.controller.state.Allow = append(b.controller.state.Allow, flows.Rule{Policy: policy, From: 101, To: 102, Protocol: flows.TCP,
				Ports: flows.PortRange{First: port, Last: port}})
		}
	})
	b.inStep()
	if !slices.Equal(b.ovs.table(), both) {
		t.Error("policies that were removed and added again are not what they were")
	}
}

var durations = regexp.MustCompile(`duration=([0-9.]+)s`)

// youngest is the age of the flow that was added last.
func (b *bed) youngest() time.Duration {
	b.t.Helper()
	least := time.Hour
	for _, m := range durations.FindAllStringSubmatch(b.ovs.ofctl("br-weft", "dump-flows"), -1) {
		seconds, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			b.t.Fatal(err)
		}
		least = min(least, time.Duration(seconds*float64(time.Second)))
	}
	return least
}

// TestRestartWithNothingNewChangesNothing: no flow is touched and nothing is
// written to the database.
func TestRestartWithNothingNewChangesNothing(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.inStep()
	b.stop()
	written, age := b.writes(), b.youngest()
	start := time.Now()
	b.startAgent()
	b.inStep()
	if s := b.status(); s.Counters.FlowMods != 0 || s.Counters.Bundles != 0 || s.Counters.Reconciles != 1 {
		t.Errorf("counters %+v, want one comparison and no flow mod", s.Counters)
	}
	if young := b.youngest(); young < age+time.Since(start)/2 {
		t.Errorf("a flow is %v old, all were at least %v before the restart %v ago", young, age, time.Since(start))
	}
	if now := b.writes(); now != written {
		t.Errorf("%d transactions of ours after the restart, %d before", now, written)
	}
}

// writes counts our transactions in the database's log.
func (b *bed) writes() int {
	b.t.Helper()
	log, err := os.ReadFile(b.ovs.path("conf.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Count(string(log), `"_comment":"weft: `)
}

// TestDriftIsRepaired: what hands do to the bridge does not last.
func TestDriftIsRepaired(t *testing.T) {
	b := newBed(t)
	b.cfg.Reconcile = 100 * time.Millisecond
	b.startAgent()
	b.inStep()
	b.ovs.ofctl("br-weft", "add-flow", "table=7,priority=9,udp,tp_dst=53,idle_timeout=600,actions=learn(table=8,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]),FLOOD")
	b.ovs.ofctl("br-weft", "del-flows", "table=50")
	b.inStep()
	if s := b.status(); s.Counters.Drift < 2 {
		t.Errorf("drift %d, want the foreign flow and the missing drop counted", s.Counters.Drift)
	}
}

// TestFlowThatADumpDoesNotTell: a foreign flow goes even if what is printed of its
// match does not remove it, and is not found again.
func TestFlowThatADumpDoesNotTell(t *testing.T) {
	b := newBed(t)
	b.cfg.Reconcile = 100 * time.Millisecond
	b.startAgent()
	b.inStep()
	b.ovs.ofctl("br-weft", "add-flow", "table=0,priority=7,tun_gbp_flags=0x8/0x8,actions=drop")
	eventually(t, "it is noticed", func() bool { return b.status().Counters.Drift > 0 })
	b.inStep()
	seen := b.status().Counters
	eventually(t, "the agent has looked again", func() bool { return b.status().Counters.Reconciles > seen.Reconciles+2 })
	if s := b.status(); s.Counters.Drift != seen.Drift || s.Counters.Bundles != seen.Bundles || s.Counters.OfctlBundles != 1 {
		t.Errorf("counters %+v, had %+v: want one replacement and then no more", s.Counters, seen)
	}
}

// TestNothingIsDeletedBeforeACompleteTable: without the controller an agent
// that starts leaves the bridge as it finds it.
func TestNothingIsDeletedBeforeACompleteTable(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"last good table known": false, "not known": true} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.startAgent()
			b.inStep()
			b.stop()
			b.controller.down()
			if forget {
				if err := os.Remove(filepath.Join(b.cfg.StateDir, "table.ndjson")); err != nil {
					t.Fatal(err)
				}
			}
			b.ovs.ofctl("br-weft", "add-flow", "table=50,priority=77,ip,actions=drop")
			before := b.ovs.table()
			b.cfg.Reconcile = 100 * time.Millisecond
			b.startAgent()
			eventually(t, "the agent sees the switch and no controller", func() bool {
				_, err := os.Stat(b.cfg.Socket)
				return err == nil && b.status().Switch && b.fault("lease") != ""
			})
			time.Sleep(300 * time.Millisecond) // several reconcile intervals
			if after := b.ovs.table(); !slices.Equal(after, before) {
				t.Errorf("the bridge changed from\n%vto\n%v", before, after)
			}
			b.controller.up()
			b.inStep()
		})
	}
}

// TestWrongHashReopensTheStream: a table that does not add up is not applied,
// and the controller is told.
func TestWrongHashReopensTheStream(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	before := b.ovs.table()
	b.controller.do(func() { b.controller.lies = 3 }) // the delta, and two snapshots after it
	b.allow(1, 8080)
	eventually(t, "three refusals", func() bool {
		refusals := 0
		b.controller.do(func() {
			for _, a := range b.controller.acks {
				if strings.Contains(a.Error, "hash") {
					refusals++
				}
			}
		})
		if refusals < 3 && !slices.Equal(b.ovs.table(), before) {
			t.Fatal("a table with a wrong hash was applied")
		}
		return refusals == 3
	})
	b.inStep()
	b.controller.do(func() {
		if b.controller.opened != 4 {
			t.Errorf("%d streams were opened, want 4", b.controller.opened)
		}
	})
}

// TestRefusedFlowLeavesTheSwitchAsItWas: a bundle is applied whole or not at
// all, and everybody learns why.
func TestRefusedFlowLeavesTheSwitchAsItWas(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	before := b.ovs.table()
	bad := flows.Flow{Table: flows.TablePolicy, Priority: 5, Match: "tcp", Actions: "group:7"}
	b.controller.change(func() {
		b.controller.extra = []flows.Fragment{flows.NewFragment("policy/999", []flows.Flow{bad})}
		b.controller.state.Remote = nil // a good change in the same message
	})
	why := "OFPBAC_BAD_OUT_GROUP"
	eventually(t, "the controller is told", func() (told bool) {
		b.controller.do(func() { told = strings.Contains(b.controller.acks[len(b.controller.acks)-1].Error, why) })
		return told
	})
	if after := b.ovs.table(); !slices.Equal(after, before) {
		t.Errorf("half of a refused bundle was applied:\n%v", after)
	}
	if got := b.fault("apply"); !strings.Contains(got, why) || !strings.Contains(got, "group:7") {
		t.Errorf("status says %q, want the switch's reason and the flow", got)
	}
	name := b.attach("late", "cats", 2)
	eventually(t, "a container that needs the switch is told", func() bool {
		p := b.port(name)
		return strings.Contains(p.Error, why) && p.Passes
	})
	b.controller.change(func() { b.controller.extra = nil })
	b.inStep()
	eventually(t, "it becomes ready after all", func() bool { p := b.port(name); return p.Ready && p.Error == "" })
	if got := b.fault("apply"); got != "" {
		t.Errorf("status still says %q", got)
	}
}

// TestSwitchRestartWithoutController: ovs-vswitchd comes back empty, and is
// filled with nobody but the agent there.
func TestSwitchRestartWithoutController(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.allow(1, 8080)
	b.inStep()
	want := b.ovs.table()
	b.controller.down()

	restart := func(what string) {
		t.Helper()
		b.ovs.KillVswitchd()
		b.ovs.StartVswitchd()
		start := time.Now()
		eventually(t, what, func() bool { return slices.Equal(b.ovs.table(), want) })
		t.Logf("%s: %v after ovs-vswitchd answered", what, time.Since(start).Round(time.Millisecond))
	}
	restart("flows are back, from the agent's memory")
	b.stop()
	b.ovs.KillVswitchd()
	b.startAgent()
	restart("flows are back, from the file of the last good table")
	if s := b.status(); s.Counters.LastGoodInstalls != 1 {
		t.Errorf("counters %+v, want one use of the last good table", s.Counters)
	}
	if p := b.port("c2"); !p.Ready {
		t.Error("the container is no longer marked ready")
	}
	b.controller.up()
	b.inStep()
}

// TestRevokedPolicyStaysRevoked: the last good table is as new as the switch,
// also when the agent is killed right after the change.
func TestRevokedPolicyStaysRevoked(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.allow(1, 8080)
	b.inStep()
	b.controller.change(func() { b.controller.state.Allow = nil })
	b.inStep()
	b.controller.down()
	b.stop()
	want := b.ovs.table()
	b.ovs.KillVswitchd()
	b.ovs.StartVswitchd()
	b.startAgent()
	eventually(t, "the table without the policy is back", func() bool { return slices.Equal(b.ovs.table(), want) })
}

// TestDatabaseRestartChangesNothing: a lost ovsdb-server is not a cell without
// containers.
func TestDatabaseRestartChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.inStep()
	before, age, start := b.status().Counters, b.youngest(), time.Now()
	b.ovs.KillServer()
	eventually(t, "the agent notices", func() bool { return strings.Contains(b.log.String(), "not connected to ovsdb-server") })
	b.ovs.StartServer()
	eventually(t, "the agent is connected again", func() bool { return strings.Contains(b.log.String(), "works again: ovsdb") })
	eventually(t, "the switch answers again", func() bool { return b.ovs.table() != nil })
	if young := b.youngest(); young < age+time.Since(start)/2 {
		t.Errorf("a flow is %v old, all were at least %v before the restart %v ago", young, age, time.Since(start))
	}
	b.run("two", "dogs", 3)
	b.inStep()
	if after := b.status().Counters; after.Drift != 0 || after.FlowMods-before.FlowMods > 10 {
		t.Errorf("counters %+v, before %+v: more than the second container's flows changed", after, before)
	}
	b.controller.do(func() {
		for _, r := range b.controller.reports {
			if len(r.Down) > 0 {
				t.Errorf("endpoints were reported down: %v", r.Down)
			}
		}
	})
}

// TestTwentyContainersAtOnce: all of them come up, and all go.
func TestTwentyContainersAtOnce(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	empty := b.ovs.table()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { b.run(fmt.Sprintf("many-%d", i), "cats", 2+i) })
	}
	all.Wait()
	b.inStep()
	if s := b.status(); len(s.Endpoints) != 20 || !s.InStep {
		t.Errorf("%d endpoints, in step: %v", len(s.Endpoints), s.InStep)
	}
	for i := range 20 {
		all.Go(func() { b.remove(fmt.Sprintf("c%d", 2+i)) })
	}
	all.Wait()
	eventually(t, "no flow is left behind", func() bool { return slices.Equal(b.ovs.table(), empty) })
	b.inStep()
}

// TestLeaseRefusedIsLoudAndRetried: the agent says why and does not give up.
func TestLeaseRefusedIsLoudAndRetried(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.controller.do(func() { b.controller.leaseErr = api.Conflict("vtep 127.0.0.1 is held by cell cell-9") })
	b.startAgent()
	eventually(t, "several tries", func() (enough bool) {
		b.controller.do(func() { enough = b.controller.leases >= 3 })
		return enough
	})
	if got := b.fault("lease"); !strings.Contains(got, "held by cell cell-9") {
		t.Errorf("status says %q, want the controller's reason", got)
	}
	if !strings.Contains(b.log.String(), "level=ERROR") || !strings.Contains(b.log.String(), "held by cell cell-9") {
		t.Error("the log does not say it")
	}
	b.refuses("held by cell cell-9", limited)
	b.controller.do(func() { b.controller.leaseErr = nil })
	b.inStep()
	if got := b.fault("lease"); got != "" {
		t.Errorf("status still says %q", got)
	}
}

// TestForeignLeaseIsNotTaken: a controller that lost its database must not
// renumber a cell on which containers run.
func TestForeignLeaseIsNotTaken(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.inStep()
	before := b.ovs.table()
	b.controller.down()
	b.controller.do(func() { b.controller.state.Lease = b.controller.state.Remote[0].Lease })
	b.controller.up()
	eventually(t, "the agent says so", func() bool {
		return strings.Contains(b.fault("lease"), "the lease of now, 10.255.1.0/24, has 1 container here")
	})
	if !slices.Equal(b.ovs.table(), before) {
		t.Error("flows changed")
	}
}

// TestStreamThatEndsSoonIsNotHurried: an agent whose streams somebody ends again
// and again, such as a machine of the same name, asks less and less often.
func TestStreamThatEndsSoonIsNotHurried(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	began := time.Now()
	for n := 1; n <= 6; n++ {
		eventually(t, "the agent is connected", func() bool { return strings.Count(b.log.String(), "connected to the controller") == n })
		b.controller.do(func() { b.controller.current.end(); b.controller.current = nil })
	}
	if took := time.Since(began); took < 1500*time.Millisecond { // 50, 100, 200, 400 and 800 ms at least
		t.Errorf("six streams in %v", took)
	}
}
