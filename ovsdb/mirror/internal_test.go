package mirror_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

func TestInternalPortGetsItsNumberOrIsRefused(t *testing.T) {
	o, c := cell(t)
	ctx := within(t, 10*time.Second)
	deny := mirror.Internal{Name: "weftdeny", OFPort: 2}
	if err := c.EnsureInternal(ctx, "br-weft", deny); err != nil {
		t.Fatal(err)
	}
	if got := o.vsctl("get", "interface", "weftdeny", "type", "ofport"); got != "internal\n2" {
		t.Errorf("the port is %q", got)
	}
	if listed := ports(t, c); len(listed) != 0 {
		t.Errorf("it is listed among the containers: %+v", listed)
	}
	before := o.transactions()
	if err := c.EnsureInternal(ctx, "br-weft", deny); err != nil {
		t.Fatal(err)
	}
	if after := o.transactions(); after != before {
		t.Errorf("ensuring it again wrote %d transactions", after-before)
	}
	o.add(c, ovsdb.Port{Name: "taker", Container: "x", OFPortRequest: 5})
	err := c.EnsureInternal(ctx, "br-weft", mirror.Internal{Name: "second", OFPort: 5})
	if err == nil || !strings.Contains(err.Error(), "not 5") {
		t.Errorf("ofport 5 is taken, and the error is %v", err)
	}
	o.vsctl("add-port", "br-weft", "theirs", "--", "set", "interface", "theirs", "type=internal")
	eventually(t, "a port of somebody else is left alone", func() bool {
		err := c.EnsureInternal(ctx, "br-weft", mirror.Internal{Name: "theirs", OFPort: 9})
		return errors.Is(err, ovsdb.ErrForeignPort)
	})
}

func TestHWAddrKeepsOtherPeoplesKeys(t *testing.T) {
	o, c := cell(t)
	ctx := within(t, 10*time.Second)
	o.vsctl("set", "bridge", "br-weft", "other_config:mac-table-size=4096", "other_config:hwaddr=02:00:00:00:00:01")
	b := wanted()
	b.HWAddr = "ee:ee:a9:fe:00:01"
	eventually(t, "the address is set beside the other key", func() bool {
		if err := c.EnsureBridge(ctx, b); err != nil {
			t.Fatal(err)
		}
		return o.vsctl("get", "bridge", "br-weft", "other_config") == `{hwaddr="ee:ee:a9:fe:00:01", mac-table-size="4096"}`
	})
	before := o.transactions()
	if err := c.EnsureBridge(ctx, b); err != nil {
		t.Fatal(err)
	}
	if after := o.transactions(); after != before {
		t.Errorf("ensuring it again wrote %d transactions", after-before)
	}
}

func TestDeleteBridgeTakesOursAlone(t *testing.T) {
	o, c := cell(t)
	ctx := within(t, 10*time.Second)
	if err := c.DeleteBridge(ctx, "br-weft", "cell-2"); !errors.Is(err, ovsdb.ErrForeignBridge) {
		t.Errorf("as another cell: %v", err)
	}
	o.vsctl("add-br", "br-other")
	limit := ovsdb.Limits{In: ovsdb.Limit{RateKbps: 10000, BurstKb: 2000}}
	for n := 2; n < 4; n++ {
		p := port(n)
		p.Limits = limit
		o.add(c, p)
	}
	o.vsctl("del-port", "c2") // which leaves its limits behind
	eventually(t, "somebody else's deletion is seen", func() bool { return len(ports(t, c)) == 1 })
	for range 2 {
		if err := c.DeleteBridge(ctx, "br-weft", "cell-1"); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.vsctl("list-br"); got != "br-other" {
		t.Errorf("bridges left: %q", got)
	}
	if got := o.vsctl("--columns=_uuid", "--no-headings", "list", "QoS") + o.vsctl("--columns=_uuid", "--no-headings", "list", "Queue"); got != "" {
		t.Errorf("limits left: %s", got)
	}
}
