package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// BenchmarkPolicy adds a policy over REST and waits until the switch has
// confirmed its flows (?wait=applied), then removes it the same way. The
// policy's destination has a container on the cell.
func BenchmarkPolicy(b *testing.B) {
	c := startCell(b)
	c.start("dogs-1", "dogs")
	wait := api.Wait{For: api.WaitApplied, Timeout: 10 * time.Second}
	var add, remove samples
	for i := 0; b.Loop(); i++ {
		policy := []api.PolicyBody{{
			Source:      api.Source{ID: fmt.Sprintf("cats-%d", i%100)},
			Destination: api.Destination{ID: "dogs", Protocol: "tcp", Ports: api.Ports{Start: 1000 + i, End: 1000 + i}},
		}}
		add.time(func() { c.applied(c.client.AddPolicies(b.Context(), policy, wait)) })
		if i == 0 {
			c.installed(policy[0].Destination.Ports.Start)
		}
		remove.time(func() { c.applied(c.client.RemovePolicies(b.Context(), policy, wait)) })
	}
	add.report(b, "add", 50, 99)
	remove.report(b, "remove", 50, 99)
}

func (c *cell) applied(change api.Change, err error) {
	c.b.Helper()
	c.must(err)
	if len(change.Pending) > 0 {
		c.b.Fatalf("revision %d is not applied on %v", change.Revision, change.Pending)
	}
}

// installed checks once that what was confirmed is true.
func (c *cell) installed(port int) {
	c.b.Helper()
	if want := fmt.Sprintf("ct_tp_dst=%d", port); !strings.Contains(c.sw.Ofctl("", "-O", "OpenFlow14", "dump-flows", "br-weft"), want) {
		c.b.Fatalf("the policy was confirmed, but no flow has %s", want)
	}
}
