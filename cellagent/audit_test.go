package cellagent_test

import (
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// TestAuditAmongChanges: what the agent changes while a dump is under way is not
// taken for drift, and what hands change meanwhile is.
func TestAuditAmongChanges(t *testing.T) {
	b := newBed(t)
	b.cfg.Reconcile = 100 * time.Millisecond
	b.startAgent()
	b.inStep()
	b.run("one", "dogs", 2)
	b.inStep()
	change := func(i int) {
		b.controller.change(func() {
			b.controller.state.Allow = []flows.Rule{{Policy: flows.PolicyID(1 + i), From: 101, To: 102, Protocol: flows.TCP,
				Ports: flows.PortRange{First: uint16(1 + i), Last: uint16(1 + i)}}}
		})
	}
	audits := b.status().Counters.Reconciles
	for i := 0; b.status().Counters.Reconciles < audits+10; i++ {
		change(i)
	}
	if drift := b.status().Counters.Drift; drift != 0 {
		t.Errorf("%d flows of its own were taken for drift", drift)
	}
	b.ovs.ofctl("br-weft", "add-flow", "table=7,priority=9,actions=FLOOD")
	for i := 0; b.status().Counters.Drift == 0; i++ {
		change(i)
	}
	b.inStep()
}
