package mirror_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// wanted is the bridge of these tests.
func wanted() mirror.Bridge {
	return mirror.Bridge{Name: "br-weft", Cell: "cell-1", Tables: map[uint8]string{0: "classify", 50: "policy", 60: "output"}}
}

func port(n int) ovsdb.Port {
	return ovsdb.Port{
		Name: fmt.Sprintf("c%d", n), Container: fmt.Sprintf("container-%d", n), IfName: "eth0", App: "dogs",
		IP: netip.AddrFrom4([4]byte{10, 255, 1, byte(n)}), MAC: fmt.Sprintf("ee:ee:0a:ff:01:%02x", n),
		NetNS: "/run/netns/x", BootID: "boot-1",
	}
}

// cell starts OVS with our bridge on it.
func cell(t *testing.T) (*ovs, *mirror.Client) {
	t.Helper()
	o := startOVS(t)
	c := o.dial()
	if err := c.EnsureBridge(within(t, 10*time.Second), wanted()); err != nil {
		t.Fatal(err)
	}
	return o, c
}

func ports(t *testing.T, c *mirror.Client) []ovsdb.Port {
	t.Helper()
	all, err := c.Ports("br-weft")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBridgeIsSecureNamedAndSpeaksEveryOpenFlow(t *testing.T) {
	o, c := cell(t)
	if got := o.vsctl("get", "bridge", "br-weft", "fail_mode", "protocols", "external_ids", "datapath_type"); got !=
		"secure\n[OpenFlow10, OpenFlow11, OpenFlow12, OpenFlow13, OpenFlow14, OpenFlow15]\n{weft-owner=cell-1}\n\"\"" {
		t.Errorf("bridge is %s", got)
	}
	o.Ofctl("", "add-flow", o.Mgmt("br-weft"), "table=50,actions=drop")
	if got := o.Ofctl("", "--names", "dump-flows", o.Mgmt("br-weft")); !strings.Contains(got, "table=policy") {
		t.Errorf("ovs-ofctl --names prints %q: where is table=policy?", got)
	}
	s := c.Status("br-weft")
	if !s.Connected || !s.Bridge || s.Owner != "cell-1" || s.CurCfg != s.NextCfg || len(s.DatapathID) != 16 {
		t.Errorf("status is %+v", s)
	}
}

func TestSecondEnsureWritesNothing(t *testing.T) {
	o, c := cell(t)
	tunnel := mirror.Tunnel{Name: "weftvxlan", OFPort: 1, UDPPort: 4790, LocalIP: netip.MustParseAddr("192.0.2.1")}
	ctx := within(t, 10*time.Second)
	if err := c.EnsureTunnel(ctx, "br-weft", tunnel); err != nil {
		t.Fatal(err)
	}
	number := o.add(c, port(2))
	marks := func() error {
		return errors.Join(c.PinOFPort(ctx, "c2", number), c.MarkReady(ctx, "c2"))
	}
	if err := marks(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the marks arrive", func() bool { p := ports(t, c)[0]; return p.Ready && p.OFPortRequest == number })
	before := o.transactions()
	if before < 5 { // bridge, tunnel, port, pin, mark
		t.Fatalf("%d transactions of ours in the log so far: does the count see them?", before)
	}
	// A new process, too, must find everything as it should be.
	for _, client := range []*mirror.Client{c, o.dial()} {
		if err := errors.Join(client.EnsureBridge(ctx, wanted()), client.EnsureTunnel(ctx, "br-weft", tunnel)); err != nil {
			t.Fatal(err)
		}
	}
	if err := marks(); err != nil {
		t.Fatal(err)
	}
	if after := o.transactions(); after != before {
		t.Errorf("%d transactions, expected the %d of before", after, before)
	}
}

func TestEnsureBridgeRepairsWhatDrifted(t *testing.T) {
	o, c := cell(t)
	o.vsctl("set", "bridge", "br-weft", "fail_mode=standalone", "protocols=OpenFlow13", "external_ids:somebody=else",
		"--", "clear", "bridge", "br-weft", "flow_tables")
	eventually(t, "the drift is repaired", func() bool {
		if err := c.EnsureBridge(within(t, 10*time.Second), wanted()); err != nil {
			t.Fatal(err)
		}
		return o.vsctl("get", "bridge", "br-weft", "fail_mode") == "secure"
	})
	if got := o.vsctl("get", "bridge", "br-weft", "external_ids:somebody", "flow_tables:50"); !strings.HasPrefix(got, "else\n") {
		t.Errorf("keys of other people and the tables: %q", got)
	}
}

func TestTablesAreRenamed(t *testing.T) {
	o, c := cell(t)
	b := wanted()
	b.Tables = map[uint8]string{0: "classify", 45: "judge"}
	if err := c.EnsureBridge(within(t, 10*time.Second), b); err != nil {
		t.Fatal(err)
	}
	if got := o.vsctl("--columns=name", "--format=csv", "--no-headings", "list", "Flow_Table"); len(strings.Fields(got)) != 2 || !strings.Contains(got, "judge") {
		t.Errorf("rows of Flow_Table: %q, expected classify and judge alone", got)
	}
}

func TestForeignBridgeIsRefusedAndUntouched(t *testing.T) {
	o := startOVS(t)
	c := o.dial()
	for name, owner := range map[string]string{"nobody's": "", "another cell's": "cell-2"} {
		t.Run(name, func(t *testing.T) {
			o.vsctl("--if-exists", "del-br", "br-weft", "--", "add-br", "br-weft", "--", "add-port", "br-weft", "theirs")
			if owner != "" {
				o.vsctl("set", "bridge", "br-weft", "external_ids:weft-owner="+owner)
			}
			eventually(t, "the copy shows the bridge", func() bool { s := c.Status("br-weft"); return s.Bridge && s.Owner == owner })
			before := o.vsctl("list", "bridge", "br-weft")
			err := c.EnsureBridge(within(t, 10*time.Second), wanted())
			if !errors.Is(err, ovsdb.ErrForeignBridge) || !strings.Contains(err.Error(), `"br-weft"`) || !strings.Contains(err.Error(), "ovs-vsctl set bridge") {
				t.Errorf("error is %v", err)
			}
			if after := o.vsctl("list", "bridge", "br-weft"); after != before {
				t.Errorf("the bridge was changed from\n%s\nto\n%s", before, after)
			}
			plugin := o.plugin()
			if err := plugin.AddPort(within(t, 10*time.Second), "br-weft", "cell-1", port(2)); !errors.Is(err, ovsdb.ErrForeignBridge) {
				t.Errorf("AddPort on it: %v", err)
			}
			if err := plugin.DeletePort(within(t, 10*time.Second), "br-weft", "theirs"); !errors.Is(err, ovsdb.ErrForeignPort) {
				t.Errorf("DeletePort of their port: %v", err)
			}
		})
	}
}

func TestOtherPeoplesBridgesSurvive(t *testing.T) {
	o := startOVS(t)
	o.vsctl("add-br", "br-other", "--", "add-port", "br-other", "theirs", "--", "set", "interface", "theirs", "external_ids:weft-container=trap")
	before := o.vsctl("list", "bridge", "br-other") + o.vsctl("list", "port", "theirs") + o.vsctl("--columns=_uuid,name,external_ids,ofport", "list", "interface", "theirs")
	c := o.dial()
	ctx := within(t, 10*time.Second)
	if err := c.EnsureBridge(ctx, wanted()); err != nil {
		t.Fatal(err)
	}
	o.add(c, port(2))
	for _, name := range []string{"c2", "theirs"} { // "theirs" is on another bridge, so absent from ours
		if err := o.plugin().DeletePort(ctx, "br-weft", name); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "our port is gone", func() bool { return len(ports(t, c)) == 0 })
	after := o.vsctl("list", "bridge", "br-other") + o.vsctl("list", "port", "theirs") + o.vsctl("--columns=_uuid,name,external_ids,ofport", "list", "interface", "theirs")
	if after != before {
		t.Errorf("theirs was\n%s\nand is\n%s", before, after)
	}
}

func TestPortRoundTrip(t *testing.T) {
	o, c := cell(t)
	want := port(2)
	want.App = `odd "app", with=signs {and} ünicode`
	want.OFPortRequest = 77
	want.Egress = "tcp 10.0.0.1-10.0.0.9 443; udp 0.0.0.0-255.255.255.255 53-54 log; icmp 10.1.0.0 */0; all 192.0.2.7"
	want.Space, want.Workload = "zoo", "staging"
	want.Mappings = []ovsdb.PortMapping{{HostPort: 61000, ContainerPort: 8080, Protocol: "tcp"}, {HostPort: 61000, ContainerPort: 53, Protocol: "udp"}}
	want.OFPort = o.add(c, want)
	if want.OFPort != 77 {
		t.Errorf("ofport is %d, requested 77", want.OFPort)
	}
	for _, client := range []*mirror.Client{c, o.dial()} {
		if got := ports(t, client); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("ports are\n%+v, expected\n%+v", got, want)
		}
	}
	if got := o.vsctl("get", "port", "c2", "other_config", "external_ids"); got != "{transient=\"true\"}\n{weft-owner=weft}" {
		t.Errorf("the Port row has %q", got)
	}
	o.vsctl("set", "interface", "c2", "external_ids:weft-ip=nonsense")
	eventually(t, "an address that is none is not valid", func() bool { return !ports(t, c)[0].IP.IsValid() })
}

func TestTunnelGetsItsNumberOrIsRefused(t *testing.T) {
	o, c := cell(t)
	ctx := within(t, 10*time.Second)
	tunnel := mirror.Tunnel{Name: "weftvxlan", OFPort: 1, UDPPort: 4790, LocalIP: netip.MustParseAddr("192.0.2.1")}
	if err := c.EnsureTunnel(ctx, "br-weft", tunnel); err != nil {
		t.Fatal(err)
	}
	if got := o.vsctl("get", "interface", "weftvxlan", "type", "options", "ofport"); got !=
		"vxlan\n{dst_port=\"4790\", exts=gbp, key=flow, local_ip=\"192.0.2.1\", remote_ip=flow}\n1" {
		t.Errorf("tunnel is %s", got)
	}
	if listed := ports(t, c); len(listed) != 0 {
		t.Errorf("the tunnel is listed among the containers: %+v", listed)
	}
	tunnel.LocalIP = netip.MustParseAddr("192.0.2.9") // the cell has moved
	if err := c.EnsureTunnel(ctx, "br-weft", tunnel); err != nil {
		t.Fatal(err)
	}
	if got := o.vsctl("get", "interface", "weftvxlan", "options:local_ip"); got != `"192.0.2.9"` {
		t.Errorf("local_ip is %s after the change", got)
	}
	o.add(c, ovsdb.Port{Name: "taker", Container: "x", OFPortRequest: 5})
	err := c.EnsureTunnel(ctx, "br-weft", mirror.Tunnel{Name: "second", OFPort: 5, UDPPort: 4791})
	if err == nil || !strings.Contains(err.Error(), "not 5") {
		t.Errorf("ofport 5 is taken, and the error is %v", err)
	}
}

func TestVswitchdsOwnTextIsInTheError(t *testing.T) {
	_, c := cell(t)
	ctx := within(t, 10*time.Second)
	if err := c.EnsureTunnel(ctx, "br-weft", mirror.Tunnel{Name: "first", OFPort: 1, UDPPort: 4790}); err != nil {
		t.Fatal(err)
	}
	err := c.EnsureTunnel(ctx, "br-weft", mirror.Tunnel{Name: "second", OFPort: 2, UDPPort: 4790})
	if err == nil || !strings.Contains(err.Error(), "ovs-vswitchd: second: VXLAN-GBP") {
		t.Errorf("a second tunnel on the same UDP port: %v", err)
	}
}
