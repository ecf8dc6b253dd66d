package flows

import (
	"net/netip"
	"strings"
	"testing"
)

func TestValidateNamesTheFault(t *testing.T) {
	if err := threeApps().Validate(); err != nil {
		t.Fatalf("a good state is refused: %v", err)
	}
	for want, spoil := range map[string]func(*CellState){
		"vni 0":                   func(c *CellState) { c.VNI = 0 },
		"vni 16777216":            func(c *CellState) { c.VNI = 1 << 24 },
		"lease invalid Prefix":    func(c *CellState) { c.Lease = netip.Prefix{} },
		"overlay fd00::/8":        func(c *CellState) { c.Overlay[0] = netip.MustParsePrefix("fd00::/8") },
		"endpoint \"\"":           func(c *CellState) { c.Local[0].Container = "" },
		"endpoint \"good\"":       func(c *CellState) { c.Local[0].Container = "good" },
		"endpoint server: ip":     func(c *CellState) { c.Local[0].IP = netip.MustParseAddr("10.255.9.9") },
		"endpoint good: ip":       func(c *CellState) { c.Local[1].IP = c.Local[0].IP },
		"endpoint server: ofport": func(c *CellState) { c.Local[0].OFPort = TunnelOFPort },
		"endpoint bad: ofport":    func(c *CellState) { c.Local[2].OFPort = c.Local[1].OFPort },
		"cell \"cell-1\"":         func(c *CellState) { c.Remote[0].Cell = c.Cell },
		"cell cell-2: vtep":       func(c *CellState) { c.Remote[0].VTEP = netip.Addr{} },
		"overlaps 10.255.1.0/24":  func(c *CellState) { c.Remote[0].Lease = c.Lease },
		"policy 7: ports 0":       func(c *CellState) { c.Allow[0].Ports.First = 0 },
		"policy 7: ports 9000":    func(c *CellState) { c.Allow[0].Ports.First = 9000 },
		"policy 0":                func(c *CellState) { c.Allow[0].Policy = 0 },
	} {
		cell := threeApps()
		spoil(&cell)
		if err := cell.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault %q, got: %v", want, err)
		}
	}
}
