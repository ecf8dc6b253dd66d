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
		"vni 0":                               func(c *CellState) { c.VNI = 0 },
		"vni 16777216":                        func(c *CellState) { c.VNI = 1 << 24 },
		"lease invalid Prefix":                func(c *CellState) { c.Lease = netip.Prefix{} },
		"lease 0.0.0.0/0":                     func(c *CellState) { c.Lease = netip.MustParsePrefix("0.0.0.0/0") },
		"without the gateway":                 func(c *CellState) { c.Lease = netip.MustParsePrefix("169.254.0.0/24") },
		"overlay 0.0.0.0/0":                   func(c *CellState) { c.Overlay[0] = netip.MustParsePrefix("0.0.0.0/0") },
		"overlay fd00::/8":                    func(c *CellState) { c.Overlay[0] = netip.MustParsePrefix("fd00::/8") },
		"endpoint \"\"":                       func(c *CellState) { c.Local[0].Container = "" },
		"endpoint \"good\"":                   func(c *CellState) { c.Local[0].Container = "good" },
		"endpoint server: ip":                 func(c *CellState) { c.Local[0].IP = netip.MustParseAddr("10.255.9.9") },
		"endpoint good: ip":                   func(c *CellState) { c.Local[1].IP = c.Local[0].IP },
		"endpoint server: ofport":             func(c *CellState) { c.Local[0].OFPort = TunnelOFPort },
		"endpoint good: ofport":               func(c *CellState) { c.Local[1].OFPort = DenyOFPort },
		"egress rules \"tcp x\"":              func(c *CellState) { c.Local[0].Egress = "tcp x" },
		"egress rules \"tcp 10.0.0.1 80-80\"": func(c *CellState) { c.Local[0].Egress = "tcp 10.0.0.1 80-80" },
		// Two sets of one number, 998e0655: found by trying some 80,000.
		"\"all 10.0.163.128\" have the profile 998e0655": func(c *CellState) { c.Local[0].Egress, c.Local[1].Egress = "all 10.0.21.37", "all 10.0.163.128" },
		"deny network 0.0.0.0/0":                         func(c *CellState) { c.Deny = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} },
		"service udp 169.254.0.2:0":                      func(c *CellState) { c.Services = []Service{{UDP, netip.MustParseAddr("169.254.0.2"), 0}} },
		"endpoint bad: ofport":                           func(c *CellState) { c.Local[2].OFPort = c.Local[1].OFPort },
		"cell \"cell-1\"":                                func(c *CellState) { c.Remote[0].Cell = c.Cell },
		"cell cell-2: vtep":                              func(c *CellState) { c.Remote[0].VTEP = netip.Addr{} },
		"vtep 0.0.0.0":                                   func(c *CellState) { c.Remote[0].VTEP = netip.IPv4Unspecified() },
		"vtep 224.0.0.1":                                 func(c *CellState) { c.Remote[0].VTEP = netip.MustParseAddr("224.0.0.1") },
		"cell cell-2: lease ::/8":                        func(c *CellState) { c.Remote[0].Lease = netip.MustParsePrefix("::/8") },
		"overlaps 10.255.1.0/24":                         func(c *CellState) { c.Remote[0].Lease = c.Lease },
		"policy 7: ports 0":                              func(c *CellState) { c.Allow[0].Ports.First = 0 },
		"policy 7: ports 9000":                           func(c *CellState) { c.Allow[0].Ports.First = 9000 },
		"policy 7: protocol(1)":                          func(c *CellState) { c.Allow[0].Protocol = 1 },
		"policy 1152921504606846976":                     func(c *CellState) { c.Allow[0].Policy = 1 << cookieIDBits },
		"policy 0":                                       func(c *CellState) { c.Allow[0].Policy = 0 },
	} {
		cell := threeApps()
		spoil(&cell)
		if err := cell.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault %q, got: %v", want, err)
		}
	}
}

// TestNetworksAreComparedMasked: host bits mean nothing, so one network twice
// is one flow.
func TestNetworksAreComparedMasked(t *testing.T) {
	cell := threeApps()
	want := Compile(cell)
	cell.Overlay = []netip.Prefix{netip.MustParsePrefix("10.255.9.1/16"), netip.MustParsePrefix("10.255.0.0/16"), netip.MustParsePrefix("10.255.9.1/16")}
	cell.Lease = netip.MustParsePrefix("10.255.1.77/24")
	if err := cell.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := Compile(cell); got.String() != want.String() {
		t.Error(diffText(got, want))
	}
}

// TestLongRulesAreQuotedInPart: an error about a set of rules is for a screen,
// whatever somebody wrote into it.
func TestLongRulesAreQuotedInPart(t *testing.T) {
	_, err := ParseEgressRules("tcp 10.0.0.1 80; tcp 10.0.0.1 " + strings.Repeat("1 ", 50000))
	if err == nil || !strings.Contains(err.Error(), `egress rule "tcp 10.0.0.1 1 1`) || len(err.Error()) > 250 {
		t.Errorf("%d bytes: %.300v", len(err.Error()), err)
	}
}
