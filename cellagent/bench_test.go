package cellagent_test

import (
	"fmt"
	"testing"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
)

// many is a table of n policy flows as the compiler makes them.
func many(n int) flows.Table {
	rules := make([]flows.Rule, n)
	for i := range rules {
		port := uint16(1 + 2*(i%30000)) // never adjacent: one flow each
		rules[i] = flows.Rule{Policy: flows.PolicyID(i + 1), From: flows.GroupID(200 + i/30000), To: 102, Protocol: flows.TCP,
			Ports: flows.PortRange{First: port, Last: port}}
	}
	return flows.Table(flows.PolicyFragment(102, rules).Flows)[:n] // without the last of the flows for ICMP errors
}

func benchSwitch(b *testing.B) cellagent.Switch {
	b.Helper()
	o := startOVS(b)
	o.vsctl("add-br", "br-weft", "--", "set", "bridge", "br-weft", "fail_mode=secure", "protocols=OpenFlow14")
	return cellagent.NewSwitch("ovs-ofctl", o.path("br-weft.mgmt"))
}

// BenchmarkApplyDelta applies one flow to a real ovs-vswitchd, until it has
// answered.
func BenchmarkApplyDelta(b *testing.B) {
	for _, installed := range []int{0, 10000} {
		b.Run(fmt.Sprintf("installed=%d", installed), func(b *testing.B) {
			sw, table := benchSwitch(b), many(installed+1)
			if err := sw.Apply(b.Context(), table[1:], nil); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				add, remove := table[:1], table[:0]
				if i%2 == 1 {
					add, remove = remove, add
				}
				if err := sw.Apply(b.Context(), add, remove); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/delta")
		})
	}
}

// BenchmarkApplyTable10k applies a table of 10,000 flows to an empty real
// ovs-vswitchd, until it has answered.
func BenchmarkApplyTable10k(b *testing.B) {
	sw, table := benchSwitch(b), many(10000)
	for b.Loop() {
		if err := sw.Apply(b.Context(), table, nil); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := sw.Apply(b.Context(), nil, table); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/table")
}
