package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cni"
	"github.com/weft-sdn/weft/testbed/solo"
)

// cellWithNeighbour has one container that runs throughout, and that nothing may
// change.
func cellWithNeighbour(t *testing.T) (*solo.Cell, *solo.Container) {
	t.Helper()
	c := solo.Start(t)
	c.Allow("cats", "dogs")
	neighbour := c.Container("neighbour", "dogs")
	c.Must(neighbour.Add())
	c.Must(neighbour.Serve())
	c.InStep()
	return c, neighbour
}

// works plugs a container in and out, and has it talk to the neighbour.
func works(t *testing.T, c *solo.Cell, neighbour *solo.Container) {
	t.Helper()
	x := c.Container("after-all", "cats")
	defer x.End()
	c.Must(x.Add())
	c.Must(x.Check())
	if id, err := x.Dial(neighbour, solo.Patient); err != nil || id != neighbour.ID {
		t.Errorf("%s answers as %q, %v", neighbour.ID, id, err)
	}
	c.Must(x.Del())
	c.Must(neighbour.Check())
}

// namesOf are the steps' names, without their line ends.
func (x *mortal) namesOf(call func() error) []string {
	x.t.Helper()
	lines, err := x.steps(call)
	if err != nil {
		x.t.Fatal(err)
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// TestBelongingsAreSeen: what the other tests find gone was there.
func TestBelongingsAreSeen(t *testing.T) {
	c, _ := cellWithNeighbour(t)
	before := c.Traces()
	x := newMortal(t, c, "rich")
	c.Must(x.Add())
	c.InStep()
	for _, what := range []string{
		"link c", "port row c", "interface row c", "qos row ", "queue row ", "file br-weft/10.255.1.", "file br-weft/owners/",
		"nftables elements = { 61000 : ", "ct_nw_dst=198.51.100.7,",
	} {
		c.Eventually(fmt.Sprintf("there is %q", what), func() bool { return strings.Contains(c.Traces().Since(before), what) })
	}
	c.Must(x.Del())
	c.Clean(before)
}

// TestKilledAfterEachStep: whatever step of ADD or DEL weft-cni does not survive,
// two DELs, or GC, leave the host as it was.
func TestKilledAfterEachStep(t *testing.T) {
	c, neighbour := cellWithNeighbour(t)
	before := c.Traces()
	probe := newMortal(t, c, "probe")
	adding := probe.namesOf(probe.Add)
	deleting := probe.namesOf(probe.Del)
	if len(adding) < 6 || len(deleting) < 3 {
		t.Fatalf("steps of ADD %q, of DEL %q", adding, deleting)
	}
	c.Clean(before)
	cleaners := []struct {
		name string
		do   func(*mortal) error
	}{
		{"two DELs", func(x *mortal) error {
			c.Must(x.Del())
			return x.Del()
		}},
		{"GC", func(*mortal) error { return c.GC(neighbour) }},
		{"the namespace's end and DEL", func(x *mortal) error {
			x.End()
			return x.Del()
		}},
	}
	for _, clean := range cleaners {
		for i, step := range append(adding, deleting...) {
			x := newMortal(t, c, fmt.Sprintf("mortal-%d", i))
			if i < len(adding) {
				x.killed(step, x.Add)
			} else {
				c.Must(x.Add())
				x.killed(step, x.Del)
			}
			if err := clean.do(x); err != nil {
				t.Errorf("killed after %q, then %s: %v", step, clean.name, err)
			}
			c.Clean(before)
			x.End()
		}
	}
	works(t, c, neighbour)
	c.Clean(before)
}

// TestKilledWhileUndoing: an ADD that fails takes back what it did, and does not
// survive that either.
func TestKilledWhileUndoing(t *testing.T) {
	c, neighbour := cellWithNeighbour(t)
	before := c.Traces()
	refused := func() *mortal { // by the agent, in the last step
		x := newMortal(t, c, "refused")
		wants := belongings(0)
		wants["portMappings"] = []any{map[string]any{"hostPort": solo.VXLANPort, "containerPort": 1, "protocol": "udp"}}
		x.Keys["runtimeConfig"] = wants
		return x
	}
	probe := refused()
	lines, err := probe.steps(probe.Add)
	if err == nil {
		t.Fatal("the tunnels' port can be mapped")
	}
	undone := 0
	for _, line := range lines {
		step := strings.TrimSpace(line)
		if !strings.HasPrefix(step, cni.Undone) {
			continue
		}
		undone++
		x := refused()
		x.killed(step, x.Add)
		c.Must(x.Del())
		c.Must(x.Del())
		c.Clean(before)
		x.End()
	}
	if undone < 3 {
		t.Errorf("steps %q: only %d are undone", lines, undone)
	}
	works(t, c, neighbour)
}

// TestKilledInGC: who dies while it removes what nobody knows leaves it to the
// next.
func TestKilledInGC(t *testing.T) {
	c, neighbour := cellWithNeighbour(t)
	before := c.Traces()
	for _, step := range []string{"deleting the port", "deleting the veth", "releasing the address"} {
		x := newMortal(t, c, "forgotten")
		c.Must(x.Add())
		x.killed(step, func() error { return c.GCBy(x.Plugins, neighbour) })
		c.Must(c.GC(neighbour))
		c.Clean(before)
		x.End()
	}
	works(t, c, neighbour)
}

// TestKilledAtAnyMoment: also between the steps.
func TestKilledAtAnyMoment(t *testing.T) {
	c, neighbour := cellWithNeighbour(t)
	before := c.Traces()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 40 {
		x := newMortal(t, c, fmt.Sprintf("mortal-%d", i))
		call := x.Add
		if random.IntN(2) == 0 {
			c.Must(x.Add())
			call = x.Del
		}
		x.killedWithin(time.Duration(random.Int64N(int64(40*time.Millisecond))), call)
		c.Must(x.Del())
		c.Clean(before)
		x.End()
	}
	works(t, c, neighbour)
	c.Clean(before)
}
