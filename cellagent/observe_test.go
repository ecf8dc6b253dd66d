package cellagent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// fullCell is a cell of 250 containers, all with the same 200 egress rules.
func fullCell(t testing.TB) []ovsdb.Port {
	t.Helper()
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "tcp 10.0.%d.0-10.0.%d.255 %d;", i, i, 1000+i)
	}
	rules, err := flows.ParseEgressRules(strings.TrimSuffix(text.String(), ";"))
	if err != nil {
		t.Fatal(err)
	}
	ports := make([]ovsdb.Port, 250)
	for i := range ports {
		ip := netip.AddrFrom4([4]byte{10, 255, 1, byte(i + 2)})
		ports[i] = ovsdb.Port{Name: fmt.Sprint("c", i), Container: fmt.Sprint(i), IP: ip, MAC: flows.MACOf(ip).String(), OFPort: i + 10, Egress: string(rules)}
	}
	return ports
}

// BenchmarkObserve is what each change of the switch's database costs the
// agent's loop.
func BenchmarkObserve(b *testing.B) {
	ports, lease := fullCell(b), netip.MustParsePrefix("10.255.1.0/24")
	for b.Loop() {
		if seen := observe(ports, lease, "now"); len(seen.endpoints) != len(ports) {
			b.Fatal(seen.rejected)
		}
	}
}

// TestOneUnfitTextRejectsAllWhoHaveIt, and nobody else.
func TestOneUnfitTextRejectsAllWhoHaveIt(t *testing.T) {
	ports := fullCell(t)
	for i := range 3 {
		ports[i].Egress = "nonsense"
	}
	seen := observe(ports, netip.MustParsePrefix("10.255.1.0/24"), "now")
	if len(seen.rejected) != 3 || len(seen.endpoints) != len(ports)-3 || !strings.Contains(seen.rejected["c2"], ovsdb.KeyEgress) {
		t.Errorf("rejected %v", seen.rejected)
	}
}
