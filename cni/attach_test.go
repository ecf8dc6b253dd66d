package cni_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// TestRoundTrip: ADD, CHECK and DEL in every version of the specification that
// runtimes ask for, twice each where that is allowed.
func TestRoundTrip(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	for _, version := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		t.Run(version, func(t *testing.T) {
			x, list := c.container("handle-"+strings.ReplaceAll(version, ".", "-")), c.list(version, c.conf)
			got, err := c.runtime().AddNetworkList(within(t), list, x.conf())
			if err != nil {
				t.Fatal(err)
			}
			if got.Version() != version {
				t.Errorf("result is of version %s, asked for %s", got.Version(), version)
			}
			result, err := current.NewResultFromResult(got)
			if err != nil {
				t.Fatal(err)
			}
			inspect(t, x, result)
			if version != "0.3.1" { // which has no CHECK
				if err := c.runtime().CheckNetworkList(within(t), list, x.conf()); err != nil {
					t.Errorf("CHECK: %v", err)
				}
			}
			for range 2 {
				if err := c.runtime().DelNetworkList(within(t), list, x.conf()); err != nil {
					t.Errorf("DEL: %v", err)
				}
			}
			c.mustBeEmpty()
		})
	}
}

// inspect compares the result, the namespace and the database with each other.
func inspect(t *testing.T, x *container, result *current.Result) {
	t.Helper()
	if len(result.IPs) != 1 || result.IPs[0].Interface == nil || *result.IPs[0].Interface != 1 || len(result.Interfaces) != 2 {
		t.Fatalf("result is %+v", result)
	}
	address, end := result.IPs[0].Address, result.Interfaces[1]
	ip, _ := netip.AddrFromSlice(address.IP.To4())
	if size, _ := address.Mask.Size(); size != 32 || !netip.MustParsePrefix("10.255.1.0/24").Contains(ip) ||
		result.IPs[0].Gateway.String() != "169.254.0.1" || end.Name != "eth0" || end.Mac != flows.MACOf(ip).String() || end.Sandbox != x.ns.Path() {
		t.Errorf("result says %v and %+v", result.IPs[0], end)
	}
	host, err := netlink.LinkByName(result.Interfaces[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if host.Attrs().MTU != 1450 || host.Attrs().OperState != netlink.OperUp {
		t.Errorf("the host's end is %+v", host.Attrs())
	}
	noIPv6(t, host.Attrs().Name)
	if err := x.ns.Do(func(ns.NetNS) error { return look(t, ip) }); err != nil {
		t.Error(err)
	}
	boot, err := ovsdb.BootID()
	if err != nil {
		t.Fatal(err)
	}
	ports := x.ports()
	if len(ports) != 1 {
		t.Fatalf("ports are %+v", ports)
	}
	want := ovsdb.Port{
		Name: host.Attrs().Name, Container: x.id, IfName: "eth0", Network: "weft", App: "dogs", IP: ip, MAC: end.Mac,
		NetNS: x.ns.Path(), BootID: boot, OFPort: ports[0].OFPort, OFPortRequest: int(flows.OFPortOf(netip.MustParsePrefix("10.255.1.0/24"), ip)), Ready: true, Started: true,
	}
	if !reflect.DeepEqual(ports[0], want) || want.OFPort < 1 {
		t.Errorf("port is\n%+v, expected\n%+v", ports[0], want)
	}
}

// look inspects eth0 from within the container.
func look(t *testing.T, ip netip.Addr) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if a := link.Attrs(); a.MTU != 1450 || a.HardwareAddr.String() != flows.MACOf(ip).String() || a.OperState != netlink.OperUp {
		t.Errorf("eth0 is %+v", a)
	}
	all, err := netlink.AddrList(link, netlink.FAMILY_ALL) // IPv6 too: there must be none
	if err != nil {
		return err
	}
	if len(all) != 1 || all[0].IPNet.String() != ip.String()+"/32" {
		t.Errorf("eth0 has %v, expected %s/32 alone", all, ip)
	}
	noIPv6(t, "eth0")
	routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	text := fmt.Sprint(routes)
	if len(routes) != 2 || !strings.Contains(text, "Dst: 169.254.0.1/32") || !strings.Contains(text, "Dst: 0.0.0.0/0") || !strings.Contains(text, "Gw: 169.254.0.1") {
		t.Errorf("routes are %s", text)
	}
	for _, r := range routes {
		if r.Dst.String() == "169.254.0.1/32" && r.Scope != netlink.SCOPE_LINK {
			t.Errorf("the gateway's route has scope %s", r.Scope)
		}
	}
	return nil
}

func noIPv6(t *testing.T, name string) {
	t.Helper()
	off, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6")
	if err != nil || strings.TrimSpace(string(off)) != "1" {
		t.Errorf("disable_ipv6 of %s is %q (%v)", name, off, err)
	}
}

// TestIdentityReachesThePort: Garden's metadata is a top-level key; other
// runtimes use CNI_ARGS.
func TestIdentityReachesThePort(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	metadata := map[string]any{"metadata": map[string]any{"policy_group_id": "group-guid", "app_id": "app-guid", "space_id": "s", "container_workload": "task"}}
	for name, in := range map[string]struct {
		keys map[string]any
		args [][2]string
		want [3]string // app, space, workload
	}{
		"garden":  {metadata, nil, [3]string{"group-guid", "s", "task"}},
		"podman":  {nil, [][2]string{{"K8S_POD_NAME", "x"}, {"WEFT_APP", "cats"}}, [3]string{"cats"}},
		"nothing": {map[string]any{"app": nil}, nil, [3]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			x, list := c.container(name), c.list("1.0.0", c.changed(in.keys))
			if _, err := c.runtime().AddNetworkList(within(t), list, x.conf(in.args...)); err != nil {
				t.Fatal(err)
			}
			if ports := c.ports(); len(ports) != 1 || [3]string{ports[0].App, ports[0].Space, ports[0].Workload} != in.want {
				t.Errorf("ports are %+v, expected app, space and workload %q", ports, in.want)
			}
			x.mustDel() // without metadata or arguments, as Garden does
			c.mustBeEmpty()
		})
	}
}

// TestTwentyAtOnce: twenty containers start at once and stop at once.
func TestTwentyAtOnce(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	var all []*container
	for n := range 20 {
		all = append(all, c.container(fmt.Sprint("container-", n)))
	}
	addresses := make([]string, len(all))
	together(all, func(n int, x *container) {
		if got, err := x.add(nil); err != nil {
			t.Error(err)
		} else {
			addresses[n] = got.IPs[0].Address.IP.String()
		}
	})
	owner := map[string]int{}
	for n, ip := range addresses {
		if other, taken := owner[ip]; taken {
			t.Errorf("containers %d and %d both have %q", other, n, ip)
		}
		owner[ip] = n
	}
	if got := len(c.remains()); got != 3*len(all) {
		t.Errorf("%d veths, ports and addresses, expected three for each of %d", got, len(all))
	}
	together(all, func(_ int, x *container) {
		if err := x.check(); err != nil {
			t.Errorf("CHECK: %v", err)
		}
		if err := x.del(); err != nil {
			t.Error(err)
		}
	})
	c.mustBeEmpty()
}

func together(all []*container, do func(int, *container)) {
	done := make(chan struct{})
	for n, x := range all {
		go func() {
			defer func() { done <- struct{}{} }()
			do(n, x)
		}()
	}
	for range all {
		<-done
	}
}

// TestSmallerMTUIsObeyed: an operator may lower it.
func TestSmallerMTUIsObeyed(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("small")
	if _, err := x.add(map[string]any{"mtu": 1300}); err != nil {
		t.Fatal(err)
	}
	err := x.ns.Do(func(ns.NetNS) error {
		link, err := netlink.LinkByName("eth0")
		if err == nil && link.Attrs().MTU != 1300 {
			t.Errorf("MTU is %d, expected 1300", link.Attrs().MTU)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	x.mustDel()
}

// TestCheckNoticesWhatIsMissing: each thing that ADD made, taken away.
func TestCheckNoticesWhatIsMissing(t *testing.T) {
	inContainer := func(do func(netlink.Link) error) func(*container, string) error {
		return func(x *container, _ string) error {
			return x.ns.Do(func(ns.NetNS) error {
				link, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				return do(link)
			})
		}
	}
	for want, harm := range map[string]func(x *container, port string) error{
		"route 0.0.0.0/0 via 169.254.0.1 is missing": inContainer(func(l netlink.Link) error {
			return netlink.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: flows.GatewayIP.AsSlice()})
		}),
		"addresses are []": inContainer(func(l netlink.Link) error {
			have, err := netlink.AddrList(l, netlink.FAMILY_V4)
			if err != nil {
				return err
			}
			return netlink.AddrDel(l, &have[0])
		}),
		"is down": inContainer(netlink.LinkSetDown),
		"MAC is 02:": inContainer(func(l netlink.Link) error {
			return netlink.LinkSetHardwareAddr(l, []byte{2, 0, 0, 0, 0, 1})
		}),
		"is not on bridge br-weft": func(x *container, port string) error {
			db := x.plugin()
			defer db.Close()
			return db.DeletePort(within(x.t), bridge, port)
		},
		"the cell agent: its group is gone": func(x *container, port string) error {
			return x.db.MarkFailed(within(x.t), port, "its group is gone")
		},
		`says that it is container "impostor"`: func(x *container, port string) error {
			x.sw.Vsctl("set", "interface", port, "external_ids:weft-container=impostor")
			return nil
		},
		"no address is reserved": func(x *container, _ string) error {
			return os.RemoveAll(x.cell.conf["dataDir"].(string))
		},
	} {
		t.Run(want, func(t *testing.T) {
			c := newCell(t)
			c.agent(ready)
			x := c.container("victim")
			port := x.mustAdd().Interfaces[0].Name
			if err := x.check(); err != nil {
				t.Fatalf("CHECK before anything happened: %v", err)
			}
			if err := harm(x, port); err != nil {
				t.Fatal(err)
			}
			if err := x.check(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("CHECK: %v, expected %q", err, want)
			}
			// A port that says that it is another's is not its to take away.
			x.sw.Vsctl("--if-exists", "set", "interface", port, "external_ids:weft-container="+x.id)
			if err := x.del(); err != nil {
				t.Errorf("DEL of what is damaged: %v", err)
			}
			c.mustBeEmpty()
		})
	}
}

// TestVersion: what the plugin says that it speaks, with no input at all.
func TestVersion(t *testing.T) {
	x := &container{cell: &cell{t: t}}
	out, err := x.command("VERSION", "").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ SupportedVersions []string }
	if err := json.Unmarshal(out, &got); err != nil || strings.Join(got.SupportedVersions, " ") != "0.3.0 0.3.1 0.4.0 1.0.0 1.1.0" {
		t.Errorf("VERSION prints %s (%v)", out, err)
	}
}
