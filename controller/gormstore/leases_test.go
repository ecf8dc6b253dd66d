package gormstore

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

func grant(t testing.TB, s *Store, cell int, vtep string) error {
	t.Helper()
	_, err := s.Write(t.Context(), controller.GrantLease{Cell: flows.CellID(fmt.Sprintf("cell-%d", cell)), VTEP: netip.MustParseAddr(vtep)})
	return err
}

// TestLeases: first free block, never the first; one per cell, for good; a VTEP
// belongs to one cell.
func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		o := options()
		o.Networks = []netip.Prefix{netip.MustParsePrefix("10.255.0.0/22"), netip.MustParsePrefix("10.77.0.0/23")}
		s := open(t, db, o)
		for i := 1; i <= 4; i++ {
			if err := grant(t, s, i, fmt.Sprintf("192.0.2.%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := grant(t, s, 5, "192.0.2.5"); !errors.Is(err, api.ErrExhausted) || !strings.Contains(err.Error(), "cell-5") {
			t.Errorf("beyond the last block: %v", err)
		}
		if err := grant(t, s, 5, "192.0.2.1"); !errors.Is(err, api.ErrConflict) || !strings.Contains(err.Error(), "cell cell-1 has it") {
			t.Errorf("another cell's vtep: %v", err)
		}
		if err := grant(t, s, 2, "192.0.2.1"); !errors.Is(err, api.ErrConflict) {
			t.Errorf("moving onto another cell's vtep: %v", err)
		}
		if err := grant(t, s, 1, "192.0.2.11"); err != nil {
			t.Errorf("a cell that moves: %v", err)
		}
		if err := grant(t, s, 5, "192.0.2.1"); !errors.Is(err, api.ErrExhausted) {
			t.Errorf("the vtep that was left: %v", err)
		}
		s = reopen(t, s, db)
		got := state(load(t, s)).Cells()
		want := "[{cell-1 192.0.2.11 10.255.1.0/24} {cell-2 192.0.2.2 10.255.2.0/24} {cell-3 192.0.2.3 10.255.3.0/24} {cell-4 192.0.2.4 10.77.1.0/24}]"
		var short []string
		for _, c := range got {
			short = append(short, fmt.Sprintf("{%s %s %s}", c.Cell, c.VTEP, c.Subnet))
		}
		if fmt.Sprint(short) != want {
			t.Errorf("leases %v, want %v", short, want)
		}
	})
}

// TestFirstFree: blocks of other sizes than today's are never overlapped.
func TestFirstFree(t *testing.T) {
	for _, c := range []struct {
		network string
		bits    int
		taken   []string
		want    string
	}{
		{"10.0.0.0/16", 24, nil, "10.0.1.0/24"},
		{"10.0.0.0/16", 24, []string{"10.0.2.0/24", "10.0.1.0/24"}, "10.0.3.0/24"},
		{"10.0.0.0/16", 24, []string{"10.0.1.192/26"}, "10.0.2.0/24"},
		{"10.0.0.0/16", 24, []string{"10.0.0.0/22"}, "10.0.4.0/24"},
		{"10.0.0.0/16", 26, []string{"10.0.0.64/26", "10.0.1.0/24"}, "10.0.0.128/26"},
		{"10.0.0.0/16", 24, []string{"10.0.0.0/16"}, ""},
		{"10.0.0.0/8", 30, []string{"10.0.0.0/9"}, "10.128.0.0/30"},
		{"0.0.0.0/0", 8, nil, "1.0.0.0/8"},
		{"255.255.0.0/16", 17, []string{"255.255.128.0/17"}, ""},
		{"10.0.0.0/23", 24, []string{"9.0.0.0/24", "11.0.0.0/24"}, "10.0.1.0/24"},
	} {
		var taken []netip.Prefix
		for _, p := range c.taken {
			taken = append(taken, netip.MustParsePrefix(p))
		}
		got, free := firstFree([]netip.Prefix{netip.MustParsePrefix(c.network)}, c.bits, taken)
		if free != (c.want != "") || free && got.String() != c.want {
			t.Errorf("%s in /%d without %v: %v %v, want %q", c.network, c.bits, c.taken, got, free, c.want)
		}
	}
}
