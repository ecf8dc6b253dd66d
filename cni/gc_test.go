package cni_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/cni"
)

// gc runs GC as libcni does, which knows nothing of the containers unless their
// ADD went through it.
func (c *cell) gc(network string, valid ...types.GCAttachment) error {
	c.t.Helper()
	list := c.list("1.1.0", c.conf)
	list.Name = network
	fresh := libcni.NewCNIConfigWithCacheDir([]string{plugin}, c.t.TempDir(), nil)
	return fresh.GCNetworkList(within(c.t), list, &libcni.GCArgs{ValidAttachments: valid})
}

// attached runs ADD past libcni, so that nobody but the plugin remembers.
func (x *container) attached(network string) types.GCAttachment {
	x.t.Helper()
	text, err := json.Marshal(x.changed(map[string]any{"cniVersion": "1.1.0", "name": network}))
	if err != nil {
		x.t.Fatal(err)
	}
	if out, err := x.command("ADD", string(text)).Output(); err != nil {
		x.t.Fatalf("ADD: %v: %s", err, out)
	}
	return types.GCAttachment{ContainerID: x.id, IfName: "eth0"}
}

// TestGCKeepsWhatTheRuntimeKnows: and removes the rest of its network, whatever
// is left of it; other networks on the bridge are not its business.
func TestGCKeepsWhatTheRuntimeKnows(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	kept := c.container("kept").attached("weft")
	c.container("other").attached("another")
	before := c.remains()
	c.container("forgotten").attached("weft")
	gone := c.container("namespace-gone")
	gone.attached("weft")
	gone.end()
	lost := c.container("port-gone")
	lost.attached("weft")
	for _, p := range c.ports() {
		if p.Container == lost.id {
			c.sw.Vsctl("del-port", p.Name)
		}
	}
	for range 2 {
		if err := c.gc("weft", kept, types.GCAttachment{ContainerID: "never-was", IfName: "eth0"}); err != nil {
			t.Fatal(err)
		}
		if left := c.remains(); !slices.Equal(left, before) {
			t.Errorf("left are %v, expected %v", left, before)
		}
	}
	if err := c.gc("another"); err != nil {
		t.Fatal(err)
	}
	if err := c.gc("weft"); err != nil {
		t.Fatal(err)
	}
	c.mustBeEmpty()
}

// TestGCWithoutAnything: there may be no bridge and no folder yet; without a
// database it says so, since ports may be left.
func TestGCWithoutAnything(t *testing.T) {
	c := newCell(t)
	c.conf["bridge"] = "br-none"
	if err := c.gc("weft"); err != nil {
		t.Errorf("nothing to collect: %v", err)
	}
	c.conf["ovsdb"] = "unix:/nonexistent"
	refused(t, c.gc("weft"), 11, "connecting to ovsdb-server")
}

// TestStatus: whether an ADD could succeed, and why not.
func TestStatus(t *testing.T) {
	c := newCell(t)
	status := func(keys map[string]any) error {
		return c.runtime().GetStatusNetworkList(context.Background(), c.list("1.1.0", c.changed(keys)))
	}
	if err := status(nil); err != nil {
		t.Errorf("all is well, and STATUS says %v", err)
	}
	refused(t, status(map[string]any{"subnetFile": "/nonexistent"}), 50, "cell has no lease yet")
	refused(t, status(map[string]any{"bridge": "br-none"}), 50, `bridge "br-none" does not exist`)
	refused(t, status(map[string]any{"ovsdb": "unix:/nonexistent"}), 51, "connecting to ovsdb-server")
	c.subnetFile(`{"cell":"cell-1","subnet":"10.255.1.0/24","mtu":1450,"socket":"/nonexistent/agent.sock"}`)
	refused(t, status(nil), 50, "weft-agent does not run")
	c.subnetFile(`{"cell":"cell-1","subnet":"10.255.1.0/24","mtu":1450,"socket":"` + strings.TrimPrefix(c.sw.DB(), "unix:") + `"}`)
	if err := status(nil); err != nil { // somebody listens there
		t.Errorf("the agent lives, and STATUS says %v", err)
	}
	c.subnetFile(`{"cell":"cell-1","refuse":"it is being drained"}`)
	refused(t, status(nil), 50, "cell cell-1 takes no containers now: it is being drained")
	c.subnetFile(`{"cell":"cell-1","refuse":"ovs-vswitchd does not answer","limited":true}`)
	refused(t, status(nil), 51, "ovs-vswitchd does not answer")
	_, err := c.container("unlucky").add(nil)
	refused(t, err, 11, "ovs-vswitchd does not answer") // 51 is of STATUS alone
	c.mustBeEmpty()
}

// TestChain: what plugins before have made is in the result, ours first among
// the addresses; those after us get it, and DEL and CHECK go the way back.
func TestChain(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	before := map[string]any{
		"cniVersion": "1.0.0", "interfaces": []any{map[string]any{"name": "lo", "sandbox": "/x"}, map[string]any{"name": "net1", "mac": "02:00:00:00:00:09", "sandbox": "/x"}},
		"ips":    []any{map[string]any{"address": "192.0.2.9/24", "interface": 1}},
		"routes": []any{map[string]any{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}},
		"dns":    map[string]any{"nameservers": []any{"192.0.2.53"}},
	}
	x := c.container("chained")
	got, err := x.add(map[string]any{"prevResult": before})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Interfaces) != 4 || len(got.IPs) != 2 || got.Interfaces[*got.IPs[0].Interface].Name != "eth0" || got.Interfaces[*got.IPs[1].Interface].Name != "net1" ||
		got.IPs[0].Address.String() != "10.255.1.1/32" || len(got.Routes) != 2 || got.DNS.Nameservers[0] != "192.0.2.53" {
		t.Errorf("the result is %+v", got)
	}
	x.mustDel()
	named := map[string]any{"prevResult": before, "dns": map[string]any{"nameservers": []any{"169.254.0.2"}}}
	if got, err = x.add(named); err != nil || got.DNS.Nameservers[0] != "169.254.0.2" {
		t.Errorf("our own DNS: %+v, %v", got, err)
	}
	if err := x.checkWith(nil); err != nil { // libcni passes the cached result
		t.Errorf("CHECK: %v", err)
	}
	x.mustDel()
	_, err = x.add(map[string]any{"prevResult": map[string]any{"cniVersion": "1.0.0", "ips": "none"}})
	refused(t, err, 6, "prevResult")
	c.mustBeEmpty()
}

// TestOwnMAC: the one that the runtime asks for is that of the interface and on
// the port; CHECK knows it.
func TestOwnMAC(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("own")
	got, err := x.add(map[string]any{"runtimeConfig": map[string]any{"mac": "02:00:00:00:00:0A", "ips": []any{"10.255.1.77/24"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Interfaces[1].Mac != "02:00:00:00:00:0a" || got.IPs[0].Address.IP.String() != "10.255.1.77" {
		t.Errorf("result is %+v, %+v", got.Interfaces[1], got.IPs[0])
	}
	if p := c.ports()[0]; p.MAC != "02:00:00:00:00:0a" {
		t.Errorf("the port has %s", p.MAC)
	}
	if err := x.check(); err != nil {
		t.Errorf("CHECK: %v", err)
	}
	_, err = c.container("late").add(map[string]any{"runtimeConfig": map[string]any{"ips": []any{"10.255.1.77"}}})
	refused(t, err, cni.CodeTaken, "address 10.255.1.77 is that of container own (eth0)")
	x.mustDel()
	c.mustBeEmpty()
}
