package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// Two containers started at once have their own addresses and work.
func TestTwoAtOnce(t *testing.T) {
	bed := bed(t)
	both := runAtOnce(t, bed.Cell(1), 2)
	if both[0].IP == both[1].IP {
		t.Fatalf("both have the address %s", both[0].IP)
	}
	bed.Allow(both[0], both[1], "tcp/8080")
	bed.Matrix("tcp/8080", both, func(from, to *testbed.Container) bool { return true })
}

// Twenty containers started and stopped at once leave no veth, port, address
// or flow behind.
func TestTwentyAtOnce(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(3)
	before := cell.Belongings()

	twenty := runAtOnce(t, cell, 20)
	lease, seen := cell.Lease(), map[netip.Addr]bool{}
	for _, c := range twenty {
		if !lease.Contains(c.IP) || seen[c.IP] {
			t.Errorf("%s has the address %s: outside %s, or given twice", c.ID, c.IP, lease)
		}
		seen[c.IP] = true
	}
	atOnce(20, func(n int) {
		if err := twenty[n].Check(); err != nil {
			t.Errorf("CHECK of %s: %v", twenty[n].ID, err)
		}
	})
	bed.Allow(twenty[0], twenty[0], "udp/8080")
	bed.Matrix("udp/8080", twenty[:4], func(from, to *testbed.Container) bool { return true })
	bed.Deny(twenty[0], twenty[0], "udp/8080")

	atOnce(20, func(n int) { twenty[n].Stop() })
	err := bed.Eventually(func() error { return cell.Belongings().Same(before) })
	if err != nil {
		t.Errorf("after all are stopped: %v", err)
	}
}

// A second DEL, one for a container that never was, and one after the
// namespace has gone all succeed, also with agent and controller down.
func TestDetachIsIdempotent(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(3)
	before := cell.Belongings()
	one, two := cell.Run("one"), cell.Run("two")
	for range 2 {
		if err := one.Detach(); err != nil {
			t.Errorf("DEL: %v", err)
		}
	}
	cell.KillAgent()
	bed.KillController()
	if err := two.DetachWithoutNamespace(); err != nil {
		t.Errorf("DEL with an empty CNI_NETNS, agent and controller down: %v", err)
	}
	bed.StartController()
	cell.StartAgent()
	for _, c := range bed.Cells() {
		c.AwaitConnected()
	}
	if err := bed.Eventually(func() error { return cell.Belongings().Same(before) }); err != nil {
		t.Errorf("after both are detached: %v", err)
	}
}

func runAtOnce(t *testing.T, cell *testbed.Cell, n int) []*testbed.Container {
	t.Helper()
	all, errs := make([]*testbed.Container, n), make([]error, n)
	start := time.Now()
	atOnce(n, func(i int) { all[i], errs[i] = cell.Try("app") })
	for _, err := range errs {
		if err != nil {
			t.Fatalf("ADD, one of %d at once: %v", n, err)
		}
	}
	fmt.Fprintf(os.Stderr, "%d containers at once: attached in %s\n", n, time.Since(start).Round(time.Millisecond))
	return all
}

func atOnce(n int, f func(int)) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { f(i) })
	}
	wait.Wait()
}
