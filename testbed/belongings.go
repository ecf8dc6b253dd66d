package testbed

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Belongings is everything that containers could leave behind on a cell.
type Belongings struct {
	veths, ports, addresses, flows map[string]bool
}

// Belongings lists what is there now.
func (c *Cell) Belongings() Belongings {
	c.bed.Helper()
	b := Belongings{veths: map[string]bool{}, addresses: map[string]bool{}, flows: map[string]bool{}}
	b.ports = setOf(c.Ports())
	c.bed.must(c.Do(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if l.Type() == "veth" {
				b.veths[l.Attrs().Name] = true
			}
		}
		return err
	}))
	c.bed.must(filepath.WalkDir(c.path("addresses"), func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // before the first container
		}
		if err == nil && entry.IsDir() && entry.Name() == "resting" {
			return filepath.SkipDir // nobody's, for a while
		}
		if err == nil && isAddress(entry.Name()) {
			b.addresses[entry.Name()] = true
		}
		return err
	}))
	for _, line := range c.Flows("") {
		b.flows[withoutStatistics(line)] = true
	}
	return b
}

// isAddress tells host-local's reservations, files named by their address,
// from its lock and the like.
func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

func setOf(names []string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set
}

// Same returns an error that lists what b has and the other has not, and what
// it lacks.
func (b Belongings) Same(other Belongings) error {
	var errs []error
	for _, kind := range []struct {
		name      string
		now, then map[string]bool
	}{
		{"veth", b.veths, other.veths}, {"port", b.ports, other.ports},
		{"address", b.addresses, other.addresses}, {"flow", b.flows, other.flows},
	} {
		for _, item := range slices.Sorted(maps.Keys(kind.now)) {
			if !kind.then[item] {
				errs = append(errs, fmt.Errorf("%s too much: %s", kind.name, item))
			}
		}
		for _, item := range slices.Sorted(maps.Keys(kind.then)) {
			if !kind.now[item] {
				errs = append(errs, fmt.Errorf("%s is missing: %s", kind.name, item))
			}
		}
	}
	return errors.Join(errs...)
}

// SmallLease returns the plugin's configuration for a part of the cell's lease
// that has only n addresses (2, 6, 14 …) for containers. Its reservations are
// its own.
func (c *Cell) SmallLease(n int) map[string]any {
	bed := c.bed
	bed.Helper()
	file := c.path("small-subnet.json")
	data, err := os.ReadFile(c.path("subnet.json"))
	bed.must(err)
	lease := c.Lease()
	bits := 32
	for size := 1; size < n+2; size *= 2 {
		bits--
	}
	last := lease.Addr().As4()
	last[3] = 240 // away from what the whole lease gives first
	small := netip.PrefixFrom(netip.AddrFrom4(last), bits).Masked()
	bed.must(os.WriteFile(file, []byte(strings.Replace(string(data), lease.String(), small.String(), 1)), 0o644))
	return map[string]any{"subnetFile": file, "dataDir": c.path("small-addresses")}
}
