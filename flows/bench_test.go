package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// largeCell has 100 endpoints of 100 apps, 1,000 policies towards them and 500
// other cells.
func largeCell() CellState {
	cell := CellState{Cell: "cell-0", VNI: 1, Lease: netip.MustParsePrefix("10.1.0.0/24"), Overlay: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for i := range 100 {
		cell.Local = append(cell.Local, Endpoint{Container: fmt.Sprintf("container-%d", i), App: AppID(fmt.Sprintf("app-%d", i)), Group: GroupID(1 + i),
			IP: netip.AddrFrom4([4]byte{10, 1, 0, byte(2 + i)}), OFPort: OFPort(10 + i)})
	}
	for i := range 500 {
		cell.Remote = append(cell.Remote, Peer{Cell: CellID(fmt.Sprintf("cell-%d", i+1)), VTEP: netip.AddrFrom4([4]byte{172, 16, byte(i / 250), byte(i%250 + 1)}),
			Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2 + byte(i/250), byte(i % 250), 0}), 24)})
	}
	for i := range 1000 {
		cell.Allow = append(cell.Allow, Rule{Policy: PolicyID(i + 1), From: GroupID(200 + i), To: GroupID(1 + i%100), Protocol: TCP, Ports: PortRange{8080, 8080}})
	}
	return cell
}

func BenchmarkCompile(b *testing.B) {
	cell := largeCell()
	b.ReportAllocs()
	var flows int
	for b.Loop() {
		flows = len(Compile(cell))
	}
	b.ReportMetric(float64(flows), "flows")
}

// BenchmarkFragmentOnePolicy is what the controller does for each cell when a
// policy is added: one fragment, and the table's hash.
func BenchmarkFragmentOnePolicy(b *testing.B) {
	cell := largeCell()
	fragments := Fragments(cell)
	hash := TableHash(fragments)
	added := Rule{Policy: 1001, From: 5000, To: 1, Protocol: TCP, Ports: PortRange{8080, 8090}}
	var rules []Rule
	for _, r := range cell.Allow {
		if r.To == added.To {
			rules = append(rules, r)
		}
	}
	i := slices.IndexFunc(fragments, func(f Fragment) bool { return f.Key == PolicyKey(added.To) })
	old := fragments[i]
	rules = append(rules, added)
	b.ReportAllocs()
	for b.Loop() {
		hash = hash.Xor(old.Hash)
		old = PolicyFragment(added.To, rules)
		hash = hash.Xor(old.Hash)
	}
	b.ReportMetric(float64(len(old.Flows)), "flows")
}

func BenchmarkDiffEqual(b *testing.B) {
	table := Compile(largeCell())
	b.ReportAllocs()
	for b.Loop() {
		Diff(table, table)
	}
}

func BenchmarkParseTable(b *testing.B) {
	text := Compile(largeCell()).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTable(text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestOnePolicyIsCheap holds the allocations of the change that happens most.
func TestOnePolicyIsCheap(t *testing.T) {
	cell := largeCell()
	rules := slices.Clone(cell.Allow[:11])
	for i := range rules {
		rules[i].To = 1
	}
	if n := testing.AllocsPerRun(100, func() { PolicyFragment(1, rules) }); n >= 100 {
		t.Errorf("compiling an app with %d policies takes %.0f allocations, want less than 100", len(rules), n)
	}
}
