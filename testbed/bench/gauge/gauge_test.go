package gauge

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/daemon"
)

func TestSpread(t *testing.T) {
	ms := func(n ...int) (all []time.Duration) {
		for _, each := range n {
			all = append(all, time.Duration(each)*time.Millisecond)
		}
		return all
	}
	if got, want := SpreadOf(ms(4, 1, 3, 2, 5)), (Spread{N: 5, P50: 3, P99: 4.96, Min: 1, Max: 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := SpreadOf(nil); got != (Spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

// TestBounds: the budget ends sampling, but not before there are enough.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		bounds Bounds
		want   int
	}{{Bounds{Least: 3, Most: 10}, 3}, {Bounds{Least: 3, Most: 2}, 2}, {Bounds{Most: 4, Budget: time.Hour}, 4}} {
		n := 0
		if err := c.bounds.Each(t.Context(), func(i int) error { n = i + 1; return nil }); err != nil || n != c.want {
			t.Errorf("%+v: %d samples, %v; want %d", c.bounds, n, err, c.want)
		}
	}
}

// TestFlows: a real switch's flows are counted, and that they were fewer for a
// moment is seen.
func TestFlows(t *testing.T) {
	dir, err := os.MkdirTemp("", "gauge") // a test's own is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := StartSwitch(t.Context(), dir, DummySystem)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	run := func(argv ...string) {
		t.Helper()
		if _, err := s.Run(t.Context(), argv...); err != nil {
			t.Fatal(err)
		}
	}
	run("ovs-vsctl", "--db="+s.DB(), "add-br", "br", "--", "set", "bridge", "br", "fail_mode=secure")
	file := dir + "/flows"
	if err := os.WriteFile(file, []byte("table=1,priority=1,actions=drop\ntable=2,priority=1,actions=drop\ntable=3,priority=1,actions=drop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("ovs-ofctl", "add-flows", "br", file)
	counter, err := CountFlows(s.Mgmt("br"))
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	if n, err := counter.Count(); err != nil || n != 3 {
		t.Errorf("%d flows, %v; want 3", n, err)
	}
	stop, err := Lowest(s.Mgmt("br"))
	if err != nil {
		t.Fatal(err)
	}
	run("ovs-ofctl", "del-flows", "br", "table=2")
	run("ovs-ofctl", "add-flows", "br", file)
	if n, err := stop(); err != nil || n != 2 {
		t.Errorf("at least %d flows, %v; want 2", n, err)
	}
	if n, err := counter.Count(); err != nil || n != 3 {
		t.Errorf("%d flows in the end, %v; want 3", n, err)
	}
}

// TestProcess: a busy program's CPU time and memory are seen, and that it ends.
func TestProcess(t *testing.T) {
	p, err := daemon.Start(daemon.Program{Argv: []string{"sh", "-c", "while :; do :; done"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := Poll(ctx, time.Millisecond, func() (bool, error) {
		used, err := CPU(p.PID)
		return used >= 5*tick, err
	}); err != nil {
		t.Errorf("a loop uses no CPU time: %v", err)
	}
	if m, err := MemoryOf(p.PID); err != nil || m.RSS <= 0 || m.Peak < m.RSS {
		t.Errorf("memory %+v, %v", m, err)
	}
	if Ended(p) {
		t.Error("it has ended")
	}
	if err := Stop(ctx, p); err != nil || !Ended(p) {
		t.Errorf("it was stopped, and lives: %v", err)
	}
	if _, err := CPU(p.PID); err == nil {
		t.Error("CPU time of a process that is gone")
	}
}
