package cellagent_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// TestLastGoodTableIsReadMeanwhile: while it is, the agent connects to all that it
// needs, answers, and does nothing to the bridge nor says what it has; then it goes
// on from the table.
func TestLastGoodTableIsReadMeanwhile(t *testing.T) {
	b := newBed(t)
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.inStep()
	b.stop()
	path := filepath.Join(b.cfg.StateDir, "table.ndjson")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil { // whoever reads it waits for who writes
		t.Fatal(err)
	}
	b.ovs.ofctl("br-weft", "add-flow", "table=7,priority=9,actions=FLOOD")
	before, leases, opened := b.ovs.table(), 0, 0
	b.controller.do(func() { leases, opened = b.controller.leases, b.controller.opened })
	b.startAgent()
	eventually(t, "the agent has a switch, a lease and knows its container", func() (all bool) {
		if _, err := os.Stat(b.cfg.Socket); err != nil {
			return false
		}
		s := b.status()
		b.controller.do(func() { all = b.controller.leases > leases })
		return all && s.Switch && s.MTU != 0 && len(s.Endpoints) == 1
	})
	b.controller.do(func() {
		if b.controller.opened != opened {
			t.Error("the controller was told what the agent has before the agent knew")
		}
	})
	if s := b.status(); s.Want != 0 || s.Have != len(before) || s.InStep || len(s.Foreign) != 0 {
		t.Errorf("status %+v: nothing is wanted yet, and nothing foreign", s)
	}
	if after := b.ovs.table(); !slices.Equal(after, before) {
		t.Errorf("the bridge changed from\n%vto\n%v", before, after)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.inStep()
	b.controller.do(func() {
		if b.controller.opened != opened+1 || b.controller.hello.Holds == "" {
			t.Errorf("%d streams were opened, the last with the table %q; want one more, with that of the disk", b.controller.opened, b.controller.hello.Holds)
		}
	})
	if s := b.status(); s.Counters.FlowMods != 1 {
		t.Errorf("counters %+v, want the foreign flow removed and no other change", s.Counters)
	}
}
