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

// toggle adds flows to a real ovs-vswitchd and takes them away again, in turns,
// until it has answered.
func toggle(b *testing.B, sw cellagent.Switch, flips []flows.Flow) {
	b.Helper()
	for i := 0; b.Loop(); i++ {
		add, remove := flips, flips[:0]
		if i%2 == 1 {
			add, remove = remove, add
		}
		if err := sw.Apply(b.Context(), add, remove); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/delta")
}

// BenchmarkApplyDelta applies one flow.
func BenchmarkApplyDelta(b *testing.B) {
	for _, installed := range []int{0, 10000} {
		b.Run(fmt.Sprintf("installed=%d", installed), func(b *testing.B) {
			sw, _ := startOVS(b).bridge()
			table := many(installed + 1)
			if err := sw.Apply(b.Context(), table[1:], nil); err != nil {
				b.Fatal(err)
			}
			toggle(b, sw, table[:1])
		})
	}
}

// BenchmarkApplyTable10k applies a table of 10,000 flows to an empty real
// ovs-vswitchd, until it has answered.
func BenchmarkApplyTable10k(b *testing.B) {
	sw, _ := startOVS(b).bridge()
	table := many(10000)
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

// BenchmarkApplyWays compares the OpenFlow connection with a process of ovs-ofctl
// for each bundle, on a switch that holds 10,000 other flows.
func BenchmarkApplyWays(b *testing.B) {
	for _, n := range []int{1, 25, 10000} {
		fast, slow := startOVS(b).bridge()
		table := many(20000)
		if err := fast.Apply(b.Context(), table[10000:], nil); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("flows=%d/way=openflow", n), func(b *testing.B) { toggle(b, fast, table[:n]) })
		b.Run(fmt.Sprintf("flows=%d/way=ovs-ofctl", n), func(b *testing.B) { toggle(b, slow, table[:n]) })
	}
}

// BenchmarkCompareWays compares what a switch holds with the same 42,000 flows,
// over the OpenFlow connection and by a process of ovs-ofctl.
func BenchmarkCompareWays(b *testing.B) {
	fast, slow := startOVS(b).bridge()
	want := []flows.Fragment{{Flows: many(42000)}}
	if err := fast.Apply(b.Context(), want[0].Flows, nil); err != nil {
		b.Fatal(err)
	}
	for way, sw := range map[string]cellagent.Switch{"openflow": fast, "ovs-ofctl": slow} {
		b.Run("way="+way, func(b *testing.B) {
			for b.Loop() {
				if _, same, err := sw.Compare(b.Context(), want); err != nil || !same {
					b.Fatalf("same %v, %v", same, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/comparison")
		})
	}
}
