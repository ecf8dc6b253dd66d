package ovsdb_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
)

func limited(n int, l ovsdb.Limits) ovsdb.Port {
	p := port(n)
	p.Limits = l
	return p
}

// limiting lists the QoS and Queue rows that are there.
func limiting(o *ovs) string {
	return strings.Join(strings.Fields(o.vsctl("--columns=type,other_config,external_ids", "--format=csv", "--no-headings", "list", "QoS")+"\n"+
		o.vsctl("--columns=other_config,external_ids", "--format=csv", "--no-headings", "list", "Queue")), " ")
}

// TestLimitsComeAndGoWithThePort: in both directions, in one transaction each.
func TestLimitsComeAndGoWithThePort(t *testing.T) {
	o, c := cell(t)
	want := ovsdb.Limits{In: ovsdb.Limit{RateKbps: 10000, BurstKb: 2000}, Out: ovsdb.Limit{RateKbps: 5000, BurstKb: 4000}}
	before := o.transactions()
	add(t, c, limited(2, want))
	if added := o.transactions() - before; added != 1 {
		t.Errorf("adding took %d transactions", added)
	}
	if got := o.vsctl("get", "interface", "c2", "ingress_policing_rate", "ingress_policing_burst"); got != "5000\n4000" {
		t.Errorf("policing is %q", got)
	}
	const qos = `linux-htb,"{max-rate=""10000000""}","{weft-owner=weft, weft-port=c2}" ` +
		`"{burst=""2000000"", max-rate=""10000000"", min-rate=""10000000""}","{weft-owner=weft, weft-port=c2}"`
	if got := limiting(o); got != qos {
		t.Errorf("rows\n%s\nwant\n%s", got, qos)
	}
	if got := o.vsctl("get", "port", "c2", "qos"); len(got) != 36 {
		t.Errorf("the port's qos is %q", got)
	}
	if got := ports(t, o.dial())[0].Limits; got != want {
		t.Errorf("read back %+v, want %+v", got, want)
	}
	add(t, c, port(3)) // without any
	if got := limiting(o); got != qos {
		t.Errorf("rows for a port without limits: %s", got)
	}
	before = o.transactions()
	if err := c.DeletePort(within(t, 10*time.Second), "br-weft", "c2"); err != nil {
		t.Fatal(err)
	}
	if got := limiting(o); got != "" {
		t.Errorf("left behind: %s", got)
	}
	if deleted := o.transactions() - before; deleted != 1 {
		t.Errorf("deleting took %d transactions", deleted)
	}
}

// TestLimitsOfOneDirection: the other one is as the switch has it by itself.
func TestLimitsOfOneDirection(t *testing.T) {
	o, c := cell(t)
	in, out := ovsdb.Limits{In: ovsdb.Limit{RateKbps: 8, BurstKb: 1}}, ovsdb.Limits{Out: ovsdb.Limit{RateKbps: 8, BurstKb: 2000}}
	add(t, c, limited(2, in))
	add(t, c, limited(3, out))
	if got := o.vsctl("get", "interface", "c2", "ingress_policing_rate"); got != "0" {
		t.Errorf("c2 is policed at %s", got)
	}
	if got := o.vsctl("get", "port", "c3", "qos"); got != "[]" {
		t.Errorf("c3 is shaped by %s", got)
	}
	if got := ports(t, o.dial()); got[0].Limits != in || got[1].Limits != out {
		t.Errorf("read back %+v and %+v", got[0].Limits, got[1].Limits)
	}
}

// TestSharedLimitsStay: what somebody else has come to use does not keep the
// port from being deleted, nor is it taken from him.
func TestSharedLimitsStay(t *testing.T) {
	o, c := cell(t)
	add(t, c, limited(2, ovsdb.Limits{In: ovsdb.Limit{RateKbps: 1000, BurstKb: 1000}}))
	o.vsctl("add-port", "br-weft", "theirs", "--", "set", "port", "theirs", "qos="+o.vsctl("get", "port", "c2", "qos"))
	for range 2 {
		if err := c.DeletePort(within(t, 10*time.Second), "br-weft", "c2"); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.vsctl("list-ports", "br-weft"); got != "theirs" {
		t.Errorf("ports left: %q", got)
	}
	if got := limiting(o); !strings.Contains(got, "weft-port=c2") {
		t.Errorf("the limits of somebody's port are %q", got)
	}
	o.vsctl("del-port", "theirs")
	if err := c.DeletePort(within(t, 10*time.Second), "br-weft", "c2"); err != nil {
		t.Fatal(err)
	}
	if got := limiting(o); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// TestLimitsAreWhatTheKernelCanKeep: a longer burst would wrap around to a short
// one, and a shorter one from the container would hold its large segments
// forever.
func TestLimitsAreWhatTheKernelCanKeep(t *testing.T) {
	const most = ovsdb.MaxLimit
	for asked, want := range map[ovsdb.Limit][2]ovsdb.Limit{
		{RateKbps: 100, BurstKb: 26000}: {{RateKbps: 100, BurstKb: 26000}, {RateKbps: 100, BurstKb: 26000}},
		{RateKbps: 100, BurstKb: 26001}: {{RateKbps: 100, BurstKb: 26000}, {RateKbps: 100, BurstKb: 26000}},
		{RateKbps: 10000, BurstKb: 100}: {{RateKbps: 10000, BurstKb: 100}, {RateKbps: 10000, BurstKb: 1000}},
		{RateKbps: 1, BurstKb: 1}:       {{RateKbps: 1, BurstKb: 1}, {RateKbps: 4, BurstKb: 1000}},
		{RateKbps: most, BurstKb: most}: {{RateKbps: most, BurstKb: most}, {RateKbps: most, BurstKb: most}},
		{RateKbps: 1, BurstKb: most}:    {{RateKbps: 1, BurstKb: 260}, {RateKbps: 4, BurstKb: 1040}},
		{}:                              {{}, {}},
	} {
		if l := (ovsdb.Limits{In: asked, Out: asked}).Possible(); l.In != want[0] || l.Out != want[1] {
			t.Errorf("%v becomes %v", asked, l)
		}
	}
}
