package ovsdb_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
)

// drain forgets the changes so far.
func drain(c *ovsdb.Client) {
	for quiet := false; !quiet; {
		select {
		case <-c.Changes():
		case <-time.After(200 * time.Millisecond):
			quiet = true
		}
	}
}

func TestChangesFireForWhatOthersWrite(t *testing.T) {
	o, c := cell(t)
	add(t, c, port(2))
	drain(c)
	for what, command := range map[string][]string{
		"a key of a port": {"set", "interface", "c2", "external_ids:weft-app=cats"},
		"a bridge":        {"set", "bridge", "br-weft", "fail_mode=standalone"},
	} {
		o.vsctl(append([]string{"--no-wait"}, command...)...)
		select {
		case <-c.Changes():
		case <-time.After(5 * time.Second):
			t.Errorf("no change was told of %s", what)
		}
		drain(c)
	}
	if p := ports(t, c)[0]; p.App != "cats" {
		t.Errorf("app is %q, expected cats", p.App)
	}
}

func TestWaitReady(t *testing.T) {
	_, c := cell(t)
	add(t, c, port(2))
	wait := func(d time.Duration) error { return c.WaitReady(within(t, d), "c2") }

	if err := wait(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody answers, and the error is %v", err)
	}
	answer := make(chan error, 1)
	go func() { answer <- wait(10 * time.Second) }()
	if err := c.MarkReady(within(t, time.Second), "c2"); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("marked ready, and the error is %v", err)
	}
	if err := c.MarkFailed(within(t, time.Second), "c2", "no group ids left"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "failure shows", func() bool { p := ports(t, c)[0]; return !p.Ready && p.Error == "no group ids left" })
	if err := wait(10 * time.Second); !errors.Is(err, ovsdb.ErrNotReady) || !strings.HasSuffix(err.Error(), "no group ids left") {
		t.Errorf("refused, and the error is %v", err)
	}
	if err := c.MarkFailed(within(t, time.Second), "c2", "another reason"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new reason replaces the old", func() bool { return ports(t, c)[0].Error == "another reason" })
	if err := c.DeletePort(within(t, time.Second), "br-weft", "c2"); err != nil {
		t.Fatal(err)
	}
	if err := wait(10 * time.Second); !errors.Is(err, ovsdb.ErrNoPort) {
		t.Errorf("deleted, and the error is %v", err)
	}
}

func TestClientReturnsAfterServerRestart(t *testing.T) {
	o, c := cell(t)
	add(t, c, port(2))
	drain(c)
	o.KillServer()
	select {
	case <-c.Changes():
	case <-time.After(5 * time.Second):
		t.Fatal("the loss of ovsdb-server was not told")
	}
	eventually(t, "the client knows", func() bool { return !c.Status("br-weft").Connected })
	if _, err := c.Ports("br-weft"); !errors.Is(err, ovsdb.ErrNotConnected) {
		t.Errorf("Ports without a server: %v: an agent would take containers for gone", err)
	}
	if err := c.EnsureBridge(within(t, time.Second), wanted()); !errors.Is(err, ovsdb.ErrNotConnected) {
		t.Errorf("EnsureBridge without a server: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- c.WaitReady(within(t, 20*time.Second), "c2") }()

	o.StartServer()
	eventually(t, "the client is back", func() bool { return c.Status("br-weft").Connected })
	if got := ports(t, c); len(got) != 1 || got[0].Container != "container-2" {
		t.Errorf("after the restart the ports are %+v", got)
	}
	if err := c.MarkReady(within(t, 5*time.Second), "c2"); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("who waited through the restart got %v", err)
	}
	o.vsctl("del-port", "c2")
	eventually(t, "later changes arrive", func() bool { return len(ports(t, c)) == 0 })
}

func TestCloseDoesNotWaitForAnAbsentServer(t *testing.T) {
	o, c := cell(t)
	o.KillServer()
	eventually(t, "the client knows", func() bool { return !c.Status("br-weft").Connected })
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Fatal("Close hangs while ovsdb-server is away")
	}
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	for endpoint, want := range map[string]string{
		"tcp:127.0.0.1:6640":   "must be unix:",
		"unix:relative.sock":   "absolute path",
		"unix:/nonexistent/db": "connecting to ovsdb-server at unix:/nonexistent/db",
	} {
		if _, err := ovsdb.Dial(within(t, 5*time.Second), endpoint); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Dial(%q): %v, expected %q in it", endpoint, err, want)
		}
	}
}

func TestVswitchdAwayIsSaid(t *testing.T) {
	o, c := cell(t)
	o.KillVswitchd()
	changed := wanted()
	changed.Tables = nil
	if err := c.EnsureBridge(within(t, 200*time.Millisecond), changed); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("ovs-vswitchd is dead, and the error is %v", err)
	}
	if s := c.Status("br-weft"); s.CurCfg >= s.NextCfg {
		t.Errorf("status %+v says that ovs-vswitchd has caught up", s)
	}
	_, err := c.AddPort(within(t, 200*time.Millisecond), "br-weft", port(3))
	if err == nil || !strings.Contains(err.Error(), "is ovs-vswitchd running?") {
		t.Errorf("adding a port without ovs-vswitchd: %v", err)
	}
	o.StartVswitchd()
	eventually(t, "the port has its number", func() bool { return ports(t, c)[0].OFPort > 0 })
}

func TestPinnedNumberSurvivesVswitchdRestart(t *testing.T) {
	o, c := cell(t)
	numbers := map[string]int{}
	for n := 2; n < 6; n++ {
		number := add(t, c, port(n))
		numbers[port(n).Name] = number
		if err := c.PinOFPort(within(t, 5*time.Second), port(n).Name, number); err != nil {
			t.Fatal(err)
		}
	}
	o.KillVswitchd()
	o.StartVswitchd()
	o.vsctl("set", "bridge", "br-weft", "other_config:seen=true") // waits for ovs-vswitchd
	for _, p := range ports(t, c) {
		if p.OFPort != numbers[p.Name] || p.OFPortRequest != numbers[p.Name] {
			t.Errorf("%s had ofport %d and has %d (pinned to %d)", p.Name, numbers[p.Name], p.OFPort, p.OFPortRequest)
		}
	}
}
