package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/solo"
)

// BenchmarkPolicy adds a policy over REST and waits until the switch has
// confirmed its flows (?wait=applied), then removes it the same way. The
// policy's destination has a container on the cell.
func BenchmarkPolicy(b *testing.B) {
	c := solo.StartDummy(b)
	c.Must(c.Container("dogs-1", "dogs").Add())
	wait := api.Wait{For: api.WaitApplied, Timeout: 10 * time.Second}
	var add, remove samples
	for i := 0; b.Loop(); i++ {
		policy := []api.PolicyBody{{
			Source:      api.Source{ID: fmt.Sprintf("cats-%d", i%100)},
			Destination: api.Destination{ID: "dogs", Protocol: "tcp", Ports: api.Ports{Start: 1000 + i, End: 1000 + i}},
		}}
		add.time(func() {
			change, err := c.Client.AddPolicies(b.Context(), policy, wait)
			applied(c, change, err)
		})
		if i == 0 {
			installed(c, policy[0].Destination.Ports.Start)
		}
		remove.time(func() {
			change, err := c.Client.RemovePolicies(b.Context(), policy, wait)
			applied(c, change, err)
		})
	}
	add.report(b, "add", 50, 99)
	remove.report(b, "remove", 50, 99)
}

func applied(c *solo.Cell, change api.Change, err error) {
	c.Helper()
	c.Must(err)
	if len(change.Pending) > 0 {
		c.Fatalf("revision %d is not applied on %v", change.Revision, change.Pending)
	}
}

// installed checks once that what was confirmed is true.
func installed(c *solo.Cell, port int) {
	c.Helper()
	if want := fmt.Sprintf("ct_tp_dst=%d", port); !strings.Contains(c.Switch.Ofctl("", "-O", "OpenFlow14", "dump-flows", solo.Bridge), want) {
		c.Fatalf("the policy was confirmed, but no flow has %s", want)
	}
}
