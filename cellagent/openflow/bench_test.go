package openflow

import "testing"

// BenchmarkEncode is what a flow costs before the switch hears of it.
func BenchmarkEncode(b *testing.B) {
	table := scenarios(b)["host"]
	out := make([]byte, 0, 1<<12)
	for i := 0; b.Loop(); i++ {
		var err error
		if out, err = appendBundled(out[:0], commandAdd, table[i%len(table)], 1, 2); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
}
