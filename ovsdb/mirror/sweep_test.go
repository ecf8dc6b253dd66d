package mirror_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
)

// TestLimitsOfLostPortsAreSwept: those of a port that somebody else deleted;
// other people's rows, and what another port uses, stay.
func TestLimitsOfLostPortsAreSwept(t *testing.T) {
	o, c := cell(t)
	for n := 2; n < 5; n++ {
		p := port(n)
		p.Limits.In = ovsdb.Limit{RateKbps: 1000, BurstKb: 1000}
		o.add(c, p)
	}
	theirs := o.vsctl("create", "QoS", "type=linux-htb", "external_ids:of=somebody")
	rows := func(table string) int {
		return len(strings.Fields(o.vsctl("--columns=_uuid", "--format=csv", "--no-headings", "list", table)))
	}
	sweep := func() {
		if err := c.Sweep(within(t, 10*time.Second)); err != nil {
			t.Logf("the copy is a moment behind: %v", err)
		}
	}
	sweep()
	if got := rows("QoS"); got != 4 {
		t.Errorf("%d rows of QoS after nothing was deleted, expected 4", got)
	}
	o.vsctl("del-port", "br-weft", "c2")
	o.vsctl("add-port", "br-weft", "user", "--", "set", "port", "user", "qos="+o.vsctl("get", "port", "c4", "qos"))
	o.vsctl("del-port", "br-weft", "c4")
	eventually(t, "c2's go, those of c3 and of the user stay, and somebody's", func() bool { sweep(); return rows("QoS") == 3 && rows("Queue") == 2 })
	before := o.transactions()
	sweep()
	if after := o.transactions(); after != before {
		t.Errorf("a sweep without anything to do wrote %d transactions", after-before)
	}
	o.vsctl("del-port", "br-weft", "user", "--", "del-port", "br-weft", "c3")
	eventually(t, "the last users are gone", func() bool { sweep(); return rows("Queue") == 0 })
	if got := o.vsctl("get", "QoS", theirs, "external_ids"); got != "{of=somebody}" || rows("QoS") != 1 {
		t.Errorf("somebody's row is %q among %d", got, rows("QoS"))
	}
}
