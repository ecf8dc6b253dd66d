package fleet_test

import (
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/fleet"
)

// TestTablesAreTheControllers: after policies and containers have come and gone,
// the table of every cell is what is compiled from scratch.
func TestTablesAreTheControllers(t *testing.T) {
	b := newBed(t)
	b.inStep()
	added := b.scene.NewPolicies(50)
	b.allow(added...)
	churned, err := b.fleet.Churn(t.Context(), fleet.Churn{PerSecond: 500, For: time.Second})
	b.must(err)
	if churned.Took.N == 0 || churned.Took.N > churned.Changes || churned.Took.Min <= 0 {
		t.Errorf("churned %+v", churned)
	}
	b.eventually("all is acknowledged", b.settled)
	b.inStep()
	_, err = b.client.RemovePolicies(t.Context(), b.policies(added...), api.Wait{For: api.WaitApplied, Timeout: patience})
	b.must(err)
	b.inStep()
}

// TestRestartOfTheController: all agents come back, but not all at once, to the
// tables that they had.
func TestRestartOfTheController(t *testing.T) {
	b := newBed(t)
	had, _ := b.fleet.Table(7)
	internal := b.server.Internal.String()
	b.must(b.server.Stop())
	b.eventually("all agents have tried to come back", func() bool { return b.fleet.Status().Broken >= 3*cells })
	b.startController(internal)
	b.eventually("an agent is back", func() bool { return b.fleet.Status().Settled > 0 })
	first := time.Now()
	b.eventually("all agents are back", b.settled)
	if spread := time.Since(first); spread < 100*time.Millisecond {
		t.Errorf("all agents came back within %v, and each pauses for a time of its own", spread)
	}
	b.inStep()
	if has, _ := b.fleet.Table(7); has != had {
		t.Errorf("table %v, before the restart %v", has, had)
	}
	if s := b.fleet.Status(); s.Streams != 2*cells || s.Snapshots != 2*cells {
		t.Errorf("%d streams with %d snapshots, want %d: %s", s.Streams, s.Snapshots, 2*cells, s.LastFault)
	}
}

// TestDeafAgent: one that does not read its stream slows nobody, the controller
// does not keep what it was to read, and when it reads again it gets a snapshot.
func TestDeafAgent(t *testing.T) {
	b := newBed(t)
	const deaf = 3
	b.fleet.Behave([]int{deaf}, fleet.Manner{Deaf: true})
	before := b.fleet.Status()
	// 140 times 100 containers are more fragments than the window of its
	// connection and the controller's bound hold together.
	b.must(b.fleet.Restart(t.Context(), []int{deaf}, 140))
	read := b.fleet.Status()
	if read.Settled < cells-1 || read.Bytes-before.Bytes > 1<<20 {
		t.Errorf("%d cells settled; %d bytes were read", read.Settled, read.Bytes-before.Bytes)
	}
	elsewhere := b.elsewhere(deaf, 20)
	start := time.Now()
	b.allow(elsewhere...)
	t.Logf("%d policies were applied elsewhere in %v", len(elsewhere), time.Since(start))

	b.fleet.Behave([]int{deaf}, fleet.Manner{})
	b.eventually("it is in step again", b.settled)
	b.inStep()
	s := b.fleet.Status()
	if s.Snapshots != read.Snapshots+1 || s.Streams != before.Streams {
		t.Errorf("%d snapshots on %d streams meanwhile, want 1 on none", s.Snapshots-read.Snapshots, s.Streams-before.Streams)
	}
	if backlog := s.Bytes - read.Bytes; backlog > 6<<20 {
		t.Errorf("%d bytes were kept for it", backlog)
	}
}

// TestSlowAgent: one that acknowledges late holds up those only that wait for it.
func TestSlowAgent(t *testing.T) {
	b := newBed(t)
	const slow, late = 3, 300 * time.Millisecond
	b.fleet.Behave([]int{slow}, fleet.Manner{AckAfter: late})
	start := time.Now()
	b.allow(b.elsewhere(slow, 1)...)
	if took := time.Since(start); took > late {
		t.Errorf("a policy that does not concern it took %v", took)
	}
	start = time.Now()
	b.allow(b.here(slow))
	if took := time.Since(start); took < late {
		t.Errorf("a policy that concerns it took %v, and it waits %v", took, late)
	}
}

// elsewhere are new policies that do not concern a cell.
func (b *bed) elsewhere(cell, n int) []scene.Policy {
	here := map[int]bool{}
	for _, c := range b.scene.Containers {
		here[c.App] = here[c.App] || c.Cell == cell
	}
	var list []scene.Policy
	for _, p := range b.scene.NewPolicies(1000) {
		if !here[p.To] && len(list) < n {
			list = append(list, p)
		}
	}
	if len(list) < n {
		b.Fatalf("%d policies that do not concern the cell, want %d", len(list), n)
	}
	return list
}

// here is a new policy that concerns a cell.
func (b *bed) here(cell int) scene.Policy {
	for _, c := range b.scene.Containers {
		if c.Cell == cell {
			return scene.Policy{From: 0, To: c.App, Port: 10_000}
		}
	}
	b.Fatalf("no container on cell %d", cell)
	return scene.Policy{}
}
