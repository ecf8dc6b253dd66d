package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/testbed/solo"
)

// fault is what befalls the host while weft-cni is between two steps.
type fault struct {
	name   string
	strike func(*solo.Cell, *mortal)
	heal   func(*solo.Cell, *mortal)
	passes bool // an ADD waits until it has passed, and succeeds
	keys   map[string]any
}

var faults = []fault{
	{name: "agent killed and started", passes: true, strike: func(c *solo.Cell, _ *mortal) {
		c.KillAgent()
		c.StartAgent()
	}},
	{name: "agent killed", keys: map[string]any{"readyTimeout": "1s"},
		strike: func(c *solo.Cell, _ *mortal) { c.KillAgent() }, heal: func(c *solo.Cell, _ *mortal) { c.StartAgent() }},
	{name: "ovsdb-server restarted", passes: true, strike: func(c *solo.Cell, _ *mortal) {
		c.Switch.KillServer()
		c.Switch.StartServer()
	}, heal: func(c *solo.Cell, _ *mortal) { restartVswitchd(c) }}, // it waits longer each time before it connects again
	{name: "ovsdb-server killed", keys: map[string]any{"readyTimeout": "1s"},
		strike: func(c *solo.Cell, _ *mortal) { c.Switch.KillServer() }, heal: func(c *solo.Cell, _ *mortal) {
			c.Switch.StartServer()
			restartVswitchd(c)
		}},
	{name: "ovs-vswitchd restarted", passes: true, strike: func(c *solo.Cell, _ *mortal) { restartVswitchd(c) }},
	{name: "disk full", keys: map[string]any{"readyTimeout": "1s"}, strike: func(_ *solo.Cell, x *mortal) { fill(x.t) }, heal: func(_ *solo.Cell, x *mortal) { free(x.t) }},
	{name: "namespace gone", keys: map[string]any{"readyTimeout": "1s"}, strike: func(_ *solo.Cell, x *mortal) { x.End() }},
}

func restartVswitchd(c *solo.Cell) {
	c.Switch.KillVswitchd()
	c.Switch.StartVswitchd()
}

// TestFaultsBetweenSteps: whatever happens to the others between two steps of ADD
// or DEL, an ADD succeeds and is whole, or fails and says why; and two DELs
// leave the host as it was.
func TestFaultsBetweenSteps(t *testing.T) {
	smallDisk(t)
	c, neighbour := cellWithNeighbour(t)
	before := c.Traces()
	probe := newMortal(t, c, "probe")
	adding, deleting := probe.namesOf(probe.Add), probe.namesOf(probe.Del)
	for _, f := range faults {
		if f.heal == nil {
			f.heal = func(*solo.Cell, *mortal) {}
		}
		for i, step := range slices.Concat(adding, deleting) {
			x := newMortal(t, c, fmt.Sprintf("held-%d", i))
			for key, value := range f.keys {
				x.Keys[key] = value
			}
			what := fmt.Sprintf("%s after %q", f.name, step)
			if i < len(adding) {
				f.duringADD(t, x, step, neighbour)
			} else {
				c.Must(x.Add())
				if err := x.held(step, x.Del, func() { f.strike(c, x) }); err != nil {
					explained(t, what, err)
				}
				f.heal(c, x)
			}
			for range 2 {
				if err := x.Del(); err != nil {
					t.Errorf("%s, then DEL: %v", what, err)
				}
			}
			c.InStep()
			c.Clean(before)
			x.End()
		}
	}
	works(t, c, neighbour)
}

func (f fault) duringADD(t *testing.T, x *mortal, step string, neighbour *solo.Container) {
	t.Helper()
	what := fmt.Sprintf("%s after %q", f.name, step)
	err := x.held(step, x.Add, func() { f.strike(x.Cell, x) })
	f.heal(x.Cell, x)
	switch {
	case err != nil:
		explained(t, what, err)
		if f.passes {
			t.Errorf("%s: ADD did not wait: %v", what, err)
		}
	case x.NS != nil:
		x.InStep()
		if err := x.Check(); err != nil {
			t.Errorf("%s: ADD succeeded, and CHECK says %v", what, err)
		}
		if id, err := x.Dial(neighbour, solo.Patient); err != nil || id != neighbour.ID {
			t.Errorf("%s: ADD succeeded, and %s answers as %q, %v", what, neighbour.ID, id, err)
		}
	}
}

// explained fails the test if an error does not have CNI's form, unless it is the
// runtime's own that has no room for its memory of the container.
func explained(t *testing.T, what string, err error) {
	t.Helper()
	if errors.Is(err, syscall.ENOSPC) {
		return
	}
	var coded *types.Error
	if !errors.As(err, &coded) || coded.Code == 0 || coded.Msg == "" {
		t.Errorf("%s: error %v does not say what is wrong", what, err)
	}
}

// TestDiskFull: ADD fails and says so, DEL does not claim what it could not do,
// and when there is room again all is as before.
func TestDiskFull(t *testing.T) {
	smallDisk(t)
	c, neighbour := cellWithNeighbour(t)
	before := c.Traces()
	running := c.Container("running", "cats")
	c.Must(running.Add())

	fill(t)
	fresh := c.Container("fresh", "cats")
	err := fresh.Add()
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("ADD: %v", err)
	} else {
		explained(t, "disk full", err)
	}
	if id, err := running.Dial(neighbour, solo.Patient); err != nil || id != neighbour.ID {
		t.Errorf("what runs: %q, %v", id, err)
	}
	if err := running.Del(); err != nil {
		explained(t, "disk full", err)
	}
	free(t)
	for _, x := range []*solo.Container{running, fresh} {
		c.Must(x.Del())
		c.Must(x.Del())
	}
	c.InStep()
	c.Clean(before)
	works(t, c, neighbour)
}

// smallDisk has all that the cell writes, the switch's database too, be on a disk
// that is soon full. The test's own files are elsewhere.
func smallDisk(t *testing.T) {
	t.Helper()
	small := t.TempDir()
	if err := syscall.Mount("small", small, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	t.Setenv("TMPDIR", small)
}

// filler is what a small disk is full of.
func filler() string { return filepath.Join(os.TempDir(), "filler") }

// fill takes all room of the small disk.
func fill(t *testing.T) {
	t.Helper()
	file, err := os.Create(filler())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// free gives it back.
func free(t *testing.T) {
	t.Helper()
	if err := os.Remove(filler()); err != nil {
		t.Fatal(err)
	}
}

// TestReboot: whatever weft-cni was doing when the host went down, nothing of any
// container is there when it is up again, whether its runtime calls DEL or not.
func TestReboot(t *testing.T) {
	c := solo.Start(t)
	c.Allow("cats", "dogs")
	empty := c.Traces()
	probe := newMortal(t, c, "probe")
	adding, deleting := probe.namesOf(probe.Add), probe.namesOf(probe.Del)
	for i, step := range slices.Concat(adding, deleting) {
		neighbour := c.Container("neighbour", "dogs")
		c.Must(neighbour.Add())
		x := newMortal(t, c, fmt.Sprintf("before-%d", i))
		if i < len(adding) {
			x.killed(step, x.Add)
		} else {
			c.Must(x.Add())
			x.killed(step, x.Del)
		}
		x.End()
		neighbour.End()
		c.Reboot()
		next := c.Container("neighbour", "dogs") // as a runtime that keeps its names
		c.Must(next.Add())
		c.Must(next.Serve())
		works(t, c, next)
		if i%2 == 0 {
			c.Must(x.Del())
			c.Must(next.Check())
		}
		c.Must(next.Del())
		c.Clean(empty)
		next.End()
	}
}
