package mirror_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// gbpPort is not 4789: OVS's userspace loses a GBP tunnel with that number at
// the next reconfiguration.
const gbpPort = 4788

// TestVXLANsOfAllBridges, with the port that ovs-vswitchd takes for each.
func TestVXLANsOfAllBridges(t *testing.T) {
	o, c := cell(t)
	tunnel := mirror.Tunnel{Name: "weftvxlan", OFPort: 1, UDPPort: gbpPort, LocalIP: netip.MustParseAddr("192.0.2.1")}
	if err := c.EnsureTunnel(within(t, 10*time.Second), "br-weft", tunnel); err != nil {
		t.Fatal(err)
	}
	o.vsctl("add-br", "br-other", "--", "set", "bridge", "br-other", "datapath_type=dummy")
	for name, options := range map[string][]string{
		"plain": {"options:remote_ip=192.0.2.9"},
		"gpe":   {"options:remote_ip=192.0.2.9", "options:dst_port=8472", "options:exts=gpe"},
		"odd":   {"options:remote_ip=192.0.2.9", "options:dst_port=vxlan"},
	} {
		o.vsctl(append([]string{"add-port", "br-other", name, "--", "set", "interface", name, "type=vxlan"}, options...)...)
	}
	o.vsctl("add-port", "br-other", "other", "--", "set", "interface", "other", "type=internal")
	want := []mirror.VXLAN{
		{Bridge: "br-other", Name: "gpe", UDPPort: 8472},
		{Bridge: "br-other", Name: "odd"},
		{Bridge: "br-other", Name: "plain", UDPPort: 4789},
		{Bridge: "br-weft", Name: "weftvxlan", UDPPort: gbpPort, GBP: true, OFPort: 1},
	}
	var got []mirror.VXLAN
	eventually(t, "all are there, and work", func() bool {
		var err error
		if got, err = c.VXLANs(); err != nil {
			t.Fatal(err)
		}
		return len(got) == len(want) && !slices.ContainsFunc(got, func(x mirror.VXLAN) bool { return !x.Works() })
	})
	for i := range got[:3] {
		got[i].OFPort = 0 // OVS's own choice
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestRefusedTunnelIsTriedAgain when what was in the way is gone, which
// ovs-vswitchd does not do by itself.
func TestRefusedTunnelIsTriedAgain(t *testing.T) {
	o, c := cell(t)
	o.vsctl("add-br", "br-other", "--", "set", "bridge", "br-other", "datapath_type=dummy")
	o.vsctl("add-port", "br-other", "theirs", "--", "set", "interface", "theirs", "type=vxlan", "options:remote_ip=192.0.2.9", "options:dst_port=4788")
	ctx, tunnel := within(t, 10*time.Second), mirror.Tunnel{Name: "weftvxlan", OFPort: 1, UDPPort: gbpPort}
	if err := c.EnsureTunnel(ctx, "br-weft", tunnel); err == nil || !strings.Contains(err.Error(), "same dst_port") {
		t.Fatalf("beside a VXLAN without group policy on its port: %v", err)
	}
	if err := c.EnsureTunnel(ctx, "br-weft", tunnel); err == nil || !strings.Contains(err.Error(), "same dst_port") {
		t.Fatalf("again, while nothing has changed: %v", err)
	}
	o.vsctl("del-port", "theirs")
	if got := o.vsctl("get", "interface", "weftvxlan", "ofport"); got != "-1" {
		t.Fatalf("ofport %s: ovs-vswitchd tried again by itself, and this test proves nothing", got)
	}
	if err := c.EnsureTunnel(ctx, "br-weft", tunnel); err != nil {
		t.Errorf("when the other is gone: %v", err)
	}
}

// TestFlowRestoreWaitIsSeen: a bridge that forwards nothing new must be told
// from one that works.
func TestFlowRestoreWaitIsSeen(t *testing.T) {
	o, c := cell(t)
	if c.Status("br-weft").FlowRestoreWait {
		t.Error("it is set before anybody has set it")
	}
	o.vsctl("--no-wait", "set", "open_vswitch", ".", "other_config:flow-restore-wait=true")
	eventually(t, "it is seen", func() bool { return c.Status("br-weft").FlowRestoreWait })
	o.vsctl("--no-wait", "remove", "open_vswitch", ".", "other_config", "flow-restore-wait")
	eventually(t, "it is gone", func() bool { return !c.Status("br-weft").FlowRestoreWait })
}
