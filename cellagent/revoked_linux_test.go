package cellagent

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	ctnetlink "github.com/ti-mo/conntrack"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/ownnet"
)

func always() bool { return true }

// entries are the kernel's, by source port.
type entries struct {
	*testing.T
	conn *ctnetlink.Conn
}

func (k entries) add(port uint16, source, destination string, judged uint32) {
	k.Helper()
	f := ctnetlink.NewFlow(17, ctnetlink.StatusConfirmed, netip.MustParseAddr(source), netip.MustParseAddr(destination), port, 53, 600, judged)
	f.Zone = flows.ZoneOverlay
	f.Labels = append(binary.NativeEndian.AppendUint32(nil, 101<<16|102), make([]byte, 12)...)
	if err := k.conn.Create(f); err != nil {
		k.Fatal(err)
	}
}

// become waits until just these are left.
func (k entries) become(ports ...uint16) {
	k.Helper()
	want := map[uint16]bool{}
	for _, p := range ports {
		want[p] = true
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all, err := k.conn.Dump(nil)
		if err != nil {
			k.Fatal(err)
		}
		right := len(all) == len(want)
		for _, f := range all {
			right = right && want[f.TupleOrig.Proto.SourcePort]
		}
		if right {
			return
		}
		if time.Now().After(deadline) {
			k.Fatalf("want entries %v; there are %+v", ports, all)
		}
	}
}

// TestTrackerForgets on a kernel's tracker: containers that left, policies that
// went, and once more what the datapath made of them meanwhile.
func TestTrackerForgets(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	script := `nft add table inet t; nft 'add chain inet t c { type filter hook output priority 0; }'; nft add rule inet t c ct label 1 ct state new accept`
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	conn, err := ctnetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	k := entries{t, conn}
	allowed := tableOf(rule(7, flows.UDP, 53, 53))
	var seen atomic.Pointer[view]
	seen.Store(viewOf(t, &view{}, allowed))
	tracker := newTracker(seen.Load, always, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tracker.run(ctx) }()
	defer func() { cancel(); <-done }()

	k.add(1, "10.255.2.9", "10.255.1.2", 1) // allowed by policy 7
	k.add(2, "10.255.1.3", "10.255.2.9", 0) // of another container here
	k.add(3, "10.255.1.8", "10.255.2.9", 0) // of one that left while the agent was down
	k.add(4, "10.255.2.9", "10.255.1.8", 2)
	tracker.sweep()
	k.become(1, 2)

	k.add(5, "10.255.1.8", "10.255.2.9", 0)
	tracker.forget([]netip.Addr{netip.MustParseAddr("10.255.1.8")})
	k.become(1, 2)
	k.add(6, "10.255.1.8", "10.255.2.9", 0) // by a flow that the datapath still had
	k.become(1, 2)

	seen.Store(viewOf(t, seen.Load(), tableOf()))
	tracker.revoke(allowed.fragments[flows.PolicyKey(101)].Flows)
	k.become(2)
	if c := tracker.counters(); c.Deleted != 5 || c.Failures != 0 {
		t.Errorf("%+v", c)
	}
}
