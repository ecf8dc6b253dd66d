package ovsdb_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
)

// TestPortRoundTrip: all that a port carries is read back as it was written.
func TestPortRoundTrip(t *testing.T) {
	o, c := cell(t)
	want := port(2)
	want.App = `odd "app", with=signs {and} ünicode`
	want.OFPortRequest = 77
	want.Egress = "tcp 10.0.0.1-10.0.0.9 443; udp 0.0.0.0-255.255.255.255 53-54 log; icmp 10.1.0.0 */0; all 192.0.2.7"
	want.Space, want.Workload = "zoo", "staging"
	want.Mappings = []ovsdb.PortMapping{{HostPort: 61000, ContainerPort: 8080, Protocol: "tcp"}, {HostPort: 61000, ContainerPort: 53, Protocol: "udp"}}
	want.Limits = ovsdb.Limits{In: ovsdb.Limit{RateKbps: 10000, BurstKb: 2000}, Out: ovsdb.Limit{RateKbps: 5000, BurstKb: 4000}}
	add(t, c, want)
	want.OFPort = 77
	eventually(t, "ovs-vswitchd has given the number", func() bool { return ports(t, c)[0].OFPort != 0 })
	for _, conn := range []*ovsdb.Conn{c, o.dial()} {
		if got := ports(t, conn); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("ports are\n%+v, expected\n%+v", got, want)
		}
	}
	if got, err := c.Port(within(t, time.Second), "br-weft", "c2"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the port is\n%+v, expected\n%+v (%v)", got, want, err)
	}
	if got := o.vsctl("get", "port", "c2", "other_config", "external_ids"); got != "{transient=\"true\"}\n{weft-owner=weft}" {
		t.Errorf("the Port row has %q", got)
	}
	if err := c.AddPort(within(t, 10*time.Second), "br-weft", "cell-1", want); !errors.Is(err, ovsdb.ErrPortExists) {
		t.Errorf("adding it again: %v", err)
	}
	o.vsctl("set", "interface", "c2", "external_ids:weft-ip=nonsense")
	if ports(t, c)[0].IP.IsValid() {
		t.Error("an address that is none is valid")
	}
}

// TestRefusedPortLeavesNothing: rows without garbage collection neither.
func TestRefusedPortLeavesNothing(t *testing.T) {
	o, c := cell(t)
	p := port(2)
	p.Limits.In = ovsdb.Limit{RateKbps: 1000, BurstKb: 1000}
	tooHigh := p
	tooHigh.OFPortRequest = 70000
	for _, in := range []struct {
		bridge, cell string
		port         ovsdb.Port
		want         error
		text         string
	}{
		{"nobridge", "cell-1", p, ovsdb.ErrNoBridge, `"nobridge"`},
		{"br-weft", "cell-2", p, ovsdb.ErrForeignBridge, `"cell-1", not "cell-2"`},
		{"br-weft", "cell-1", tooHigh, nil, "constraint violation: 70000"},
		{"br-weft", "cell-1", ovsdb.Port{Name: "c2"}, nil, `container ""`},
	} {
		err := c.AddPort(within(t, 10*time.Second), in.bridge, in.cell, in.port)
		if err == nil || in.want != nil && !errors.Is(err, in.want) || !strings.Contains(err.Error(), in.text) {
			t.Errorf("%s of %s: %v, expected %v, %q", in.bridge, in.cell, err, in.want, in.text)
		}
	}
	for _, table := range []string{"Port", "Interface", "QoS", "Queue"} {
		got := o.vsctl("--columns=external_ids", "--format=csv", "--no-headings", "list", table)
		if strings.Contains(got, "weft-owner=weft") {
			t.Errorf("%s has %q", table, got)
		}
	}
}

func TestDeletingTheAbsentIsFine(t *testing.T) {
	o, c := cell(t)
	add(t, c, port(2))
	o.vsctl("add-br", "br-other", "--", "add-port", "br-other", "elsewhere", "--", "add-port", "br-weft", "theirs")
	ctx := within(t, 10*time.Second)
	for _, at := range [][2]string{{"br-weft", "c2"}, {"br-weft", "c2"}, {"br-weft", "never"}, {"nobridge", "c2"}, {"br-weft", "elsewhere"}} {
		if err := c.DeletePort(ctx, at[0], at[1]); err != nil {
			t.Errorf("DeletePort%q: %v", at, err)
		}
	}
	if err := c.DeletePort(ctx, "br-weft", "theirs"); !errors.Is(err, ovsdb.ErrForeignPort) {
		t.Errorf("DeletePort of their port: %v", err)
	}
	if got := o.vsctl("list-ports", "br-weft") + " " + o.vsctl("list-ports", "br-other"); got != "theirs elsewhere" {
		t.Errorf("ports left: %q", got)
	}
	if _, err := c.Ports(ctx, "nobridge"); !errors.Is(err, ovsdb.ErrNoBridge) {
		t.Errorf("Ports of an absent bridge: %v", err)
	}
	if _, err := c.Port(ctx, "br-weft", "c2"); !errors.Is(err, ovsdb.ErrNoPort) {
		t.Errorf("an absent port: %v", err)
	}
}

// TestOthersPortStays: whoever deletes for one interface takes no port, and no
// limits, of another's, also under the same name.
func TestOthersPortStays(t *testing.T) {
	o, c := cell(t)
	p := limited(2, ovsdb.Limits{In: ovsdb.Limit{RateKbps: 1000, BurstKb: 1000}})
	add(t, c, p)
	before := o.vsctl("list", "port", p.Name) + limiting(o)
	ctx := within(t, 10*time.Second)
	for _, of := range [][2]string{{"another", "eth0"}, {p.Container, "eth1"}} {
		if err := c.DeletePortOf(ctx, "br-weft", p.Name, of[0], of[1]); !errors.Is(err, ovsdb.ErrOthersPort) || !strings.Contains(err.Error(), p.Container) {
			t.Errorf("DeletePortOf%q: %v, expected that it is container %s's", of, err, p.Container)
		}
	}
	if after := o.vsctl("list", "port", p.Name) + limiting(o); after != before {
		t.Errorf("the port was changed from\n%s\nto\n%s", before, after)
	}
	for range 2 {
		if err := c.DeletePortOf(ctx, "br-weft", p.Name, p.Container, p.IfName); err != nil {
			t.Errorf("its own: %v", err)
		}
	}
	if got := o.vsctl("list-ports", "br-weft") + limiting(o); got != "" {
		t.Errorf("left are %s", got)
	}
}

func TestTwentyPortsAtOnce(t *testing.T) {
	o, c := cell(t)
	var wg sync.WaitGroup
	for n := 2; n < 22; n++ {
		conn := o.dial()
		wg.Go(func() {
			if err := conn.AddPort(within(t, 20*time.Second), "br-weft", "cell-1", port(n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	numbers := map[int]string{}
	eventually(t, "all twenty have numbers of their own", func() bool {
		clear(numbers)
		for _, p := range ports(t, c) {
			if p.OFPort > 0 {
				numbers[p.OFPort] = p.Name
			}
		}
		return len(numbers) == 20
	})
}

// TestStatus: what an ADD asks first.
func TestStatus(t *testing.T) {
	o, c := cell(t)
	s, err := c.Status(within(t, time.Second), "br-weft")
	if err != nil || !s.Connected || !s.Bridge || s.Owner != "cell-1" || s.CurCfg != s.NextCfg || len(s.DatapathID) != 16 {
		t.Errorf("status is %+v, %v", s, err)
	}
	if s, err := c.Status(within(t, time.Second), "nobridge"); err != nil || !s.Connected || s.Bridge {
		t.Errorf("status of an absent bridge is %+v, %v", s, err)
	}
	o.KillServer()
	if _, err := c.Status(within(t, time.Second), "br-weft"); !errors.Is(err, ovsdb.ErrNotConnected) {
		t.Errorf("status without a server: %v", err)
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

// TestManyPorts: an answer of half a megabyte is read as one.
func TestManyPorts(t *testing.T) {
	o, c := cell(t)
	o.KillVswitchd() // nobody needs to make them
	for n := range 400 {
		p := port(n)
		p.Name, p.Container, p.Egress = fmt.Sprintf("c%d", n), fmt.Sprintf("container-%d", n), strings.Repeat("x", 1000)
		add(t, c, p)
	}
	if got := ports(t, c); len(got) != 400 || got[399].Egress != strings.Repeat("x", 1000) {
		t.Errorf("%d ports", len(got))
	}
}
