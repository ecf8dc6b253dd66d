package openflow

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestBytesAreThoseOfOvsOfctl: what ovs-ofctl sends for the text is what we send.
func TestBytesAreThoseOfOvsOfctl(t *testing.T) {
	r := newRig(t)
	sent := make(chan message, 100000)
	line := r.line(func(m message, _ net.Conn) bool {
		if m.kind == kindBundleAdd {
			sent <- m
		}
		return true
	})
	for name, table := range tables(t) {
		var input strings.Builder
		for _, f := range table {
			fmt.Fprintf(&input, "add table=%d,priority=%d,cookie=%v,%s actions=%s\n", f.Table, f.Priority, f.Cookie, f.Match, numbers.Replace(f.Actions))
		}
		for _, f := range table {
			fmt.Fprintf(&input, "delete_strict table=%d,priority=%d,%s\n", f.Table, f.Priority, f.Match)
		}
		cmd := exec.Command("ovs-ofctl", "-O", flows.OpenFlow, "--bundle", "--no-names", "add-flows", "unix:"+line.socket, "-")
		cmd.Stdin = strings.NewReader(input.String())
		if out, err := cmd.CombinedOutput(); err != nil || len(sent) != 2*len(table) {
			t.Fatalf("%s: ovs-ofctl sent %d flow mods, want %d: %v: %s", name, len(sent), 2*len(table), err, out)
		}
		for i := range 2 * len(table) {
			command, f, theirs := commandAdd, table[i%len(table)], <-sent
			if i >= len(table) {
				command = commandDeleteStrict
			}
			ours, err := appendFlowMod(nil, command, f, theirs.xid)
			if flowMod := theirs.body[bundleAddSize-headerSize:]; err != nil || !bytes.Equal(ours, flowMod) {
				t.Fatalf("command %d of %v\nours   %x (%v)\ntheirs %x", command, f, ours, err, flowMod)
			}
		}
	}
}

// numbers writes tables as numbers, so that ovs-ofctl needs no names.
var numbers = func() *strings.Replacer {
	var pairs []string
	for id, name := range flows.TableNames() {
		for _, where := range []string{"goto_table:", "table="} {
			pairs = append(pairs, where+name, fmt.Sprint(where, id))
		}
	}
	return strings.NewReplacer(pairs...)
}()
