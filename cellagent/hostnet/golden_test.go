package hostnet

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

var update = flag.Bool("update", false, "write testdata")

// plain is a cell whose file has defaults alone.
func plain() State {
	return State{
		Bridge: "br-weft", Lease: netip.MustParsePrefix("10.255.1.0/24"), VTEP: netip.MustParseAddr("192.0.2.1"), VXLANPort: 4789,
		Answers: AnswerLimits{PerContainer: 100, PerCell: 1000},
		Log:     Log{On: true, DeniedPerSec: 1, AcceptedUDPPerSec: 100},
	}
}

// full is one whose file has everything.
func full() State {
	s := plain()
	s.Services = []flows.Service{
		{Protocol: flows.UDP, Addr: netip.MustParseAddr("169.254.0.2"), Port: 53},
		{Protocol: flows.TCP, Addr: netip.MustParseAddr("169.254.0.3"), Port: 8301},
	}
	s.NoMasquerade = []netip.Prefix{
		netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.0.0.0/8"),
	}
	s.Outbound = ConnectionLimit{RatePerSec: 100, Burst: 1000}
	s.Mappings = []Mapping{
		{flows.TCP, 61001, netip.MustParseAddrPort("10.255.1.3:2222")},
		{flows.TCP, 61000, netip.MustParseAddrPort("10.255.1.2:8080")},
		{flows.UDP, 61000, netip.MustParseAddrPort("10.255.1.2:53")},
	}
	return s
}

// variants are states whose rules differ, by the name of their golden file.
func variants() map[string]State {
	mute, dry := plain(), full()
	mute.Mute, mute.Log = true, Log{}
	dry.Outbound.DryRun = true
	dry.Log.DeniedPerSec, dry.Log.AcceptedUDPPerSec = 0, 0
	return map[string]State{"plain": plain(), "full": full(), "mute": mute, "dry": dry}
}

// TestRulesReadAsExpected: what an operator reads in nft list table.
func TestRulesReadAsExpected(t *testing.T) {
	for file, state := range variants() {
		got := state.inetTable() + state.mappingCommands() + state.bridgeTable()
		path := filepath.Join("testdata", file+".nft")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: go test -update and look at the difference; got\n%s", path, got)
		}
	}
}
