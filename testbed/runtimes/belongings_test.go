package runtimes

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// belongings is everything that containers could leave behind on the cell, as
// lines that say what it is.
type belongings map[string]bool

func (c *cell) belongings() belongings {
	c.Helper()
	b := belongings{}
	add := func(kind string, names ...string) {
		for _, n := range names {
			b[kind+" "+n] = true
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		c.Fatal(err)
	}
	for _, l := range links {
		add("link", l.Attrs().Name)
	}
	for _, table := range []string{"Port", "Interface", "QoS", "Queue"} {
		for row := range strings.Lines(c.sw.Vsctl("--bare", "--columns=_uuid", "list", table)) {
			add("row of "+table, strings.TrimSpace(row))
		}
	}
	for _, dir := range []string{"/run/netns", "/run/weft/addresses", "/var/lib/cni"} {
		add("file", c.files(dir)...)
	}
	for _, object := range []string{"map inet weft tcp_ports", "map inet weft udp_ports"} {
		if _, elements, found := strings.Cut(c.must("nft list "+object), "elements = "); found {
			add("element of "+object, strings.Fields(elements)...)
		}
	}
	for line := range strings.Lines(c.must("nft -s -t list ruleset 2>/dev/null")) { // without what is counted, and what is in sets
		add("rule", strings.TrimSpace(line))
	}
	for line := range strings.Lines(c.sw.Ofctl("", "--no-stats", "dump-flows", c.sw.Mgmt(bridge))) {
		add("flow", strings.TrimSpace(line))
	}
	return b
}

// files are those of a folder that are some container's: addresses that rest,
// and what host-local remembers, are nobody's.
func (c *cell) files(dir string) (all []string) {
	c.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err): // it may be made by the first container
			return nil
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "resting":
			return filepath.SkipDir
		case !entry.IsDir() && !slices.Contains([]string{"boot", "lock", "last_reserved_ip.0"}, entry.Name()):
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		c.Fatal(err)
	}
	return all
}

// leavesNothing waits until everything is as it was.
func (c *cell) leavesNothing(then belongings) {
	c.Helper()
	c.eventually("nothing is left behind", func() error {
		var differences []string
		now := c.belongings()
		for _, line := range slices.Sorted(maps.Keys(now)) {
			if !then[line] {
				differences = append(differences, "too much: "+line)
			}
		}
		for _, line := range slices.Sorted(maps.Keys(then)) {
			if !now[line] {
				differences = append(differences, "missing: "+line)
			}
		}
		if len(differences) > 0 {
			return fmt.Errorf("%s", strings.Join(differences, "\n"))
		}
		return nil
	})
}
