package cellagent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// TestAnyHistoryEndsInStep: whatever happens to switch, agent and controller
// while containers and policies come and go, the switch ends up with the table
// of the state that is left, and nothing else.
func TestAnyHistoryEndsInStep(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	b := newBed(t)
	b.startAgent()
	b.inStep()
	there, up, agent := map[int]bool{}, true, true
	steps := []func(){
		func() { // a container comes or goes
			host := 2 + dice.IntN(6)
			if there[host] {
				b.remove(fmt.Sprintf("c%d", host))
			} else {
				b.attach(fmt.Sprintf("container-%d", host), []string{"cats", "dogs", ""}[dice.IntN(3)], host)
			}
			there[host] = !there[host]
		},
		func() { b.allow(flows.PolicyID(1000+dice.IntN(1000)), uint16(1+2*dice.IntN(1000))) },
		func() { b.controller.change(func() { b.controller.state.Allow = nil }) },
		func() { b.controller.do(func() { b.controller.lies = 1 }) },
		func() {
			b.ovs.KillVswitchd()
			b.ovs.StartVswitchd()
		},
		func() {
			if agent = !agent; agent {
				b.startAgent()
			} else {
				b.stop()
			}
		},
		func() {
			if up = !up; up {
				b.controller.up()
			} else {
				b.controller.down()
			}
		},
		func() { time.Sleep(time.Duration(dice.IntN(100)) * time.Millisecond) },
	}
	for range 40 {
		steps[dice.IntN(len(steps))]()
	}
	if !up {
		b.controller.up()
	}
	if !agent {
		b.startAgent()
	}
	running := 0
	for _, is := range there {
		if is {
			running++
		}
	}
	eventually(t, "the controller knows what runs, and the switch holds its table", func() (known bool) {
		b.controller.do(func() { known = len(b.controller.state.Local) == running })
		return known && b.controller.acknowledged() && slices.Equal(b.ovs.table(), b.controller.want())
	})
	eventually(t, "the agent agrees", func() bool { return b.status().InStep })
}
