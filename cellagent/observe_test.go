package cellagent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent/hostnet"
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
		if seen := observe(source{ports: ports, lease: lease, boot: "now"}); len(seen.endpoints) != len(ports) {
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
	seen := observe(source{ports: ports, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
	if len(seen.rejected) != 3 || len(seen.endpoints) != len(ports)-3 || !strings.Contains(seen.rejected["c2"].text, ovsdb.KeyEgress) {
		t.Errorf("rejected %v", seen.rejected)
	}
}

// TestUnmappableSaysWhy: a container whose ports cannot be mapped is told the
// host's own fault, once it lasts; one whose ports are mapped hears nothing.
func TestUnmappableSaysWhy(t *testing.T) {
	p := ovsdb.Port{IP: netip.MustParseAddr("10.255.1.2"), Mappings: []ovsdb.PortMapping{{HostPort: 61000, ContainerPort: 80, Protocol: "tcp"}}}
	fails := func(since time.Duration) map[string]*fault {
		return map[string]*fault{"host network": {Text: "nft broke", Since: time.Now().Add(-since)}}
	}
	mapped := mappingsOf(p)
	for name, c := range map[string]struct {
		on       bool
		off      string
		mappings []hostnet.Mapping
		faults   map[string]*fault
		want     string
	}{
		"not tried yet":               {},
		"about to be mapped":          {on: true},
		"no device":                   {off: "no device", want: "host network is off: no device"},
		"failed once":                 {faults: fails(0)},
		"never worked":                {faults: fails(2 * heartbeat), want: "nft broke"},
		"failed once, while on":       {on: true, faults: fails(0)},
		"does not load, though on":    {on: true, faults: fails(2 * heartbeat), want: "nft broke"},
		"mapped before it went wrong": {on: true, mappings: mapped, faults: fails(2 * heartbeat)},
	} {
		a := &Agent{faults: c.faults}
		a.host.on, a.host.off, a.host.mappings = c.on, c.off, c.mappings
		if got := a.unmappable(p).text; (got == "") != (c.want == "") || !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if (&Agent{}).unmappable(ovsdb.Port{}) != (reason{}) {
		t.Error("a container without mappings waits for the host")
	}
}
