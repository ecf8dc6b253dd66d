package solo

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
)

// Traces are all things on the host that a container could leave behind, in
// words: links, rows of the switch's database, its flows, nftables rules and
// files.
type Traces map[string]int

// What of nftables packets change: counters, and sets that remember senders for a
// while.
var (
	counted    = regexp.MustCompile(`packets \d+ bytes \d+`)
	remembered = regexp.MustCompile(`(?s)(flags [a-z,]*dynamic[a-z,]*\n[^}]*?)elements = \{.*?\}`)
)

// Traces lists what is there now.
func (c *Cell) Traces() Traces {
	c.Helper()
	found := Traces{}
	links, err := netlinksafe.LinkList()
	c.Must(err)
	for _, l := range links {
		found["link "+l.Attrs().Name]++
	}
	for _, table := range []string{"Port", "Interface", "QoS", "Queue"} {
		column := map[bool]string{true: "name", false: "external_ids"}[table == "Port" || table == "Interface"]
		for row := range strings.Lines(c.Switch.Vsctl("--bare", "--no-headings", "--columns="+column, "list", table)) {
			if row = strings.TrimSpace(row); row != "" {
				found[strings.ToLower(table)+" row "+row]++
			}
		}
	}
	for _, flow := range c.flows() {
		found["flow "+flow]++
	}
	for _, line := range c.rules() {
		found["nftables "+line]++
	}
	c.files(found)
	return found
}

// files adds what weft-cni keeps: but not who had an address before, nor what
// stays for ever.
func (c *Cell) files(found Traces) {
	c.Helper()
	root := c.Path("addresses")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := entry.Name(); {
		case entry.IsDir() && name == "resting":
			return filepath.SkipDir
		case !entry.IsDir() && name != "lock" && name != "boot" && !strings.HasPrefix(name, "last_reserved_ip."):
			inside, _ := filepath.Rel(root, path)
			found["file "+inside]++
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Fatal(err)
	}
}

// rules are the lines of nftables' tables.
func (c *Cell) rules() (lines []string) {
	c.Helper()
	all, err := exec.Command("nft", "list", "ruleset").Output()
	c.Must(err)
	all = remembered.ReplaceAll(counted.ReplaceAll(all, nil), []byte("$1"))
	for line := range strings.Lines(string(all)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// flows are those of the bridge, without what is counted.
func (c *Cell) flows() []string {
	var all []string
	dump, err := c.Switch.Try("", "ovs-ofctl", "--no-stats", "dump-flows", c.Switch.Mgmt(Bridge))
	if err != nil {
		return nil // ovs-vswitchd is away, and its flows with it
	}
	for line := range strings.Lines(dump) {
		if line = strings.TrimSpace(line); strings.Contains(line, "actions=") {
			all = append(all, line)
		}
	}
	return all
}

// Since says what is there that was not before, and the other way round; "" if
// there is no difference.
func (now Traces) Since(before Traces) string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(now)) {
		if n := now[what] - before[what]; n > 0 {
			out = append(out, fmt.Sprintf("%d too many: %s", n, what))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(before)) {
		if n := before[what] - now[what]; n > 0 {
			out = append(out, fmt.Sprintf("%d missing: %s", n, what))
		}
	}
	return strings.Join(out, "\n")
}

// Clean waits until the host is as it was before: agent and kernel tidy up a
// little later than a plugin ends.
func (c *Cell) Clean(before Traces) {
	c.Helper()
	var left string
	defer func() {
		if left != "" {
			c.Logf("left behind:\n%s", left)
		}
	}()
	c.Eventually("the host is as it was before", func() bool {
		left = c.Traces().Since(before)
		return left == ""
	})
}
