package ovsdb_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
)

// mark is what the agent does, in an operator's words.
func (o *ovs) mark(name, key, value, without string) {
	o.t.Helper()
	o.vsctl("--no-wait", "remove", "interface", name, "external_ids", without, "--", "set", "interface", name, `external_ids:`+key+`="`+value+`"`)
}

func TestWaitReady(t *testing.T) {
	o, c := cell(t)
	add(t, c, port(2))
	if err := c.WaitReady(within(t, 50*time.Millisecond), "c2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody answers, and the error is %v", err)
	}
	if got := ports(t, c); len(got) != 1 { // whoever has waited in vain still has to take the port back
		t.Errorf("after a wait in vain the ports are %+v", got)
	}
	answer := make(chan error, 1)
	go func() { answer <- c.WaitReady(within(t, 10*time.Second), "c2") }()
	o.vsctl("--no-wait", "set", "interface", "c2", "external_ids:of=somebody") // decides nothing
	o.mark("c2", "weft-ready", "true", "weft-error")
	if err := <-answer; err != nil {
		t.Errorf("marked ready, and the error is %v", err)
	}
	o.mark("c2", "weft-error", "no group ids left", "weft-ready")
	if err := c.WaitReady(within(t, 10*time.Second), "c2"); !errors.Is(err, ovsdb.ErrNotReady) || !strings.HasSuffix(err.Error(), "no group ids left") {
		t.Errorf("refused, and the error is %v", err)
	}
	o.vsctl("--no-wait", "set", "interface", "c2", "external_ids:weft-passes=true")
	if err := c.WaitReady(within(t, 10*time.Second), "c2"); !errors.Is(err, ovsdb.ErrNotYet) || errors.Is(err, ovsdb.ErrNotReady) || !strings.HasSuffix(err.Error(), "no group ids left") {
		t.Errorf("delayed, and the error is %v", err)
	}
	o.vsctl("remove", "interface", "c2", "external_ids", "weft-error", "weft-passes")
	go func() { answer <- c.WaitReady(within(t, 10*time.Second), "c2") }()
	if err := o.dial().DeletePort(within(t, time.Second), "br-weft", "c2"); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; !errors.Is(err, ovsdb.ErrNoPort) {
		t.Errorf("deleted, and the error is %v", err)
	}
}

// TestWaitEndsWithItsContext: at once, whatever the server does.
func TestWaitEndsWithItsContext(t *testing.T) {
	_, c := cell(t)
	add(t, c, port(2))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if err := c.WaitReady(ctx, "c2"); !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

// TestServerEndsWhileWaiting: who waits is told.
func TestServerEndsWhileWaiting(t *testing.T) {
	o, c := cell(t)
	add(t, c, port(2))
	answer := make(chan error, 1)
	go func() { answer <- c.WaitReady(within(t, 20*time.Second), "c2") }()
	time.AfterFunc(50*time.Millisecond, o.KillServer)
	if err := <-answer; !errors.Is(err, ovsdb.ErrNotConnected) {
		t.Errorf("the server was killed, and the error is %v", err)
	}
}

// TestEchoesAreAnswered: the server asks who has been silent for five seconds
// whether he lives, and hangs up on who does not answer for another five.
func TestEchoesAreAnswered(t *testing.T) {
	o, c := cell(t)
	add(t, c, port(2))
	time.AfterFunc(11*time.Second, func() { o.mark("c2", "weft-ready", "true", "weft-error") })
	if err := c.WaitReady(within(t, 30*time.Second), "c2"); err != nil {
		t.Error(err)
	}
}

func TestVswitchdsErrorSurfaces(t *testing.T) {
	o, c := cell(t)
	p := port(2)
	p.Name = "ovs-netdev" // a name that ovs-vswitchd keeps for itself
	add(t, c, p)
	err := c.WaitReady(within(t, 10*time.Second), p.Name)
	if err == nil || !strings.Contains(err.Error(), "ovs-vswitchd") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a device that cannot be opened: %v", err)
	}
	if err := c.DeletePort(within(t, 10*time.Second), "br-weft", p.Name); err != nil {
		t.Fatal(err)
	}
	if got := o.vsctl("list-ports", "br-weft"); got != "" {
		t.Errorf("left behind: %s", got)
	}
}
