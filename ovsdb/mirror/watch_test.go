package mirror_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// drain forgets the changes so far.
func drain(c *mirror.Client) {
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
	o.add(c, port(2))
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

// TestOtherOFPorts: of the bridge's interfaces, those that are no container's.
func TestOtherOFPorts(t *testing.T) {
	o, c := cell(t)
	o.add(c, port(2))
	o.vsctl("add-port", "br-weft", "theirs", "--", "set", "interface", "theirs", "ofport_request=107")
	eventually(t, "the bridge's own and theirs", func() bool {
		others, err := c.OtherOFPorts("br-weft")
		return err == nil && slices.Equal(others, []int{107, 0xfffe})
	})
	if _, err := c.OtherOFPorts("br-none"); !errors.Is(err, ovsdb.ErrNoBridge) {
		t.Errorf("of a bridge that is not there: %v", err)
	}
}

func TestMarks(t *testing.T) {
	o, c := cell(t)
	o.add(c, port(2))
	failed := func(reason string) func(context.Context, string) error {
		return func(ctx context.Context, name string) error { return c.MarkFailed(ctx, name, reason) }
	}
	delayed := func(reason string) func(context.Context, string) error {
		return func(ctx context.Context, name string) error { return c.MarkDelayed(ctx, name, reason) }
	}
	for _, step := range []struct {
		mark func(context.Context, string) error
		want ovsdb.Port
	}{
		{failed("not yet"), ovsdb.Port{Error: "not yet"}},
		{c.MarkReady, ovsdb.Port{Ready: true, Started: true}},
		{failed("no group ids left"), ovsdb.Port{Started: true, Error: "no group ids left"}},
		{failed("another reason"), ovsdb.Port{Started: true, Error: "another reason"}},
		{delayed("another reason"), ovsdb.Port{Started: true, Error: "another reason", Passes: true}},
		{failed("another reason"), ovsdb.Port{Started: true, Error: "another reason"}},
		{delayed("a third"), ovsdb.Port{Started: true, Error: "a third", Passes: true}},
		{c.MarkReady, ovsdb.Port{Ready: true, Started: true}},
	} {
		if err := step.mark(within(t, time.Second), "c2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the mark shows", func() bool {
			p := ports(t, c)[0]
			return p.Ready == step.want.Ready && p.Error == step.want.Error && p.Passes == step.want.Passes && p.Started == step.want.Started
		})
	}
	o.vsctl("remove", "interface", "c2", "external_ids", "weft-started") // as an agent of before it left the port
	eventually(t, "who is ready was started", func() bool { return ports(t, c)[0].Started })
	if err := c.MarkFailed(within(t, time.Second), "c2", "hurt"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "and stays it", func() bool { p := ports(t, c)[0]; return p.Started && !p.Ready })
	if err := o.plugin().DeletePort(within(t, time.Second), "br-weft", "c2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port is gone", func() bool { return errors.Is(c.MarkReady(within(t, time.Second), "c2"), ovsdb.ErrNoPort) })
}

func TestClientReturnsAfterServerRestart(t *testing.T) {
	o, c := cell(t)
	o.add(c, port(2))
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
	o.StartServer()
	eventually(t, "the client is back", func() bool { return c.Status("br-weft").Connected })
	if got := ports(t, c); len(got) != 1 || got[0].Container != "container-2" {
		t.Errorf("after the restart the ports are %+v", got)
	}
	if err := c.MarkReady(within(t, 5*time.Second), "c2"); err != nil {
		t.Fatal(err)
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
		if _, err := mirror.Dial(within(t, 5*time.Second), endpoint); err == nil || !strings.Contains(err.Error(), want) {
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
	if err := o.plugin().AddPort(within(t, time.Second), "br-weft", "cell-1", port(3)); err != nil {
		t.Fatal(err)
	}
	o.StartVswitchd()
	eventually(t, "the port has its number", func() bool { p := ports(t, c); return len(p) == 1 && p[0].OFPort > 0 })
}

func TestPinnedNumberSurvivesVswitchdRestart(t *testing.T) {
	o, c := cell(t)
	numbers := map[string]int{}
	for n := 2; n < 6; n++ {
		number := o.add(c, port(n))
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
