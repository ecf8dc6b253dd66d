package cellagent

import (
	"fmt"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// largeTable is that of a cell on which 250 apps run, each of which may be
// reached by 84 others: two flows for each pair.
func largeTable() desired {
	table := desired{fragments: fragments{}, revision: 7, complete: true}
	for app := range 250 {
		to := flows.GroupID(1000 + app)
		rules := make([]flows.Rule, 84)
		for i := range rules {
			rules[i] = flows.Rule{Policy: flows.PolicyID(1 + len(rules)*app + i), From: flows.GroupID(2000 + (app*97+i*31)%30000), To: to, Protocol: flows.TCP,
				Ports: flows.PortRange{First: 8080, Last: 8080}}
		}
		f := flows.PolicyFragment(to, rules)
		table.fragments[f.Key] = f
		table.hash = table.hash.Xor(f.Hash)
	}
	return table
}

// BenchmarkOpenLastGood reads the file of a large table, as an agent does first.
func BenchmarkOpenLastGood(b *testing.B) {
	folder, table := b.TempDir(), largeTable()
	l, _, err := openLastGood(folder, "cell-1")
	if err == nil {
		err = l.keep(table, []api.Message{{Type: api.TypeSnapshot}})
	}
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, f := range table.fragments {
		n += len(f.Flows)
	}
	b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
		for b.Loop() {
			if _, got, err := openLastGood(folder, "cell-1"); err != nil || got.hash != table.hash {
				b.Fatalf("hash %v, want %v: %v", got.hash, table.hash, err)
			}
		}
		b.ReportAllocs()
	})
}
