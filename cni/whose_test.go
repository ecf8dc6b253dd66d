package cni_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/cni"
)

// Two containers whose host ends would have one name: 48 bits of a hash are
// found by trying for some seconds.
const one, other = "web-6365418", "web-6986073"

// namesakes are both, of which the first runs.
func namesakes(t *testing.T) (c *cell, first, second *container) {
	t.Helper()
	c = newCell(t)
	c.agent(ready)
	first, second = c.container(one), c.container(other)
	first.mustAdd()
	return c, first, second
}

// runs fails unless the container is as its ADD left it.
func (x *container) runs(when string) {
	x.t.Helper()
	if err := x.check(); err != nil {
		x.t.Errorf("CHECK %s: %v", when, err)
	}
}

// TestNamesakeIsRefusedAndHarmless: neither its ADD nor the DEL that runtimes
// call then takes anything from the container that runs, which goes as a whole
// with its own DEL; then the other may come.
func TestNamesakeIsRefusedAndHarmless(t *testing.T) {
	c, first, second := namesakes(t)
	before := c.remains()
	_, err := second.add(nil)
	refused(t, err, cni.CodeDuplicate, `the host end of container "web-6986073"'s "eth0" would have the name of container "web-6365418"'s "eth0", ca66a5995e7cc`)
	first.runs("after the refused ADD")
	for range 2 {
		second.mustDel()
		first.runs("after the DEL of the refused")
	}
	if after := c.remains(); !slices.Equal(after, before) {
		t.Errorf("there are %v, and before were %v", after, before)
	}
	first.mustDel()
	c.mustBeEmpty()
	second.mustAdd()
	second.runs("once the name is free")
	first.mustDel()
	second.runs("after another DEL of the first")
	second.mustDel()
	c.mustBeEmpty()
}

// TestNamesakesVethStays: a veth whose port is not there yet, or not any more, is
// whose reservation it is.
func TestNamesakesVethStays(t *testing.T) {
	c, first, second := namesakes(t)
	c.sw.Vsctl("del-port", c.ports()[0].Name)
	before := c.remains()
	second.mustDel()
	if after := c.remains(); !slices.Equal(after, before) {
		t.Errorf("there are %v, and before were %v", after, before)
	}
	first.mustDel()
	c.mustBeEmpty()
}

// TestNamesakesPortStays: where the folder of addresses is lost, the port itself
// says whose it is, to DEL and to an ADD that takes back what it did.
func TestNamesakesPortStays(t *testing.T) {
	c, first, second := namesakes(t)
	if err := os.RemoveAll(c.conf["dataDir"].(string)); err != nil {
		t.Fatal(err)
	}
	second.mustDel()
	if left := c.remains(); len(left) != 2 {
		t.Errorf("left are %v, expected veth and port of the first", left)
	}
	veth, err := netlink.LinkByName(c.ports()[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(veth); err != nil {
		t.Fatal(err)
	}
	_, err = second.add(nil)
	refused(t, err, cni.CodeAttach, "port exists already")
	if ports := c.ports(); len(ports) != 1 || ports[0].Container != first.id || len(c.remains()) != 1 {
		t.Errorf("left are %v (%+v), expected the port of the first", c.remains(), ports)
	}
	first.mustDel()
	c.mustBeEmpty()
}

// TestGCOfANamesake: what a version left that did not refuse it goes alone.
func TestGCOfANamesake(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	first := c.container(one)
	kept := first.attached("weft")
	stale := filepath.Join(c.conf["dataDir"].(string), bridge, "10.255.1.9")
	if err := os.WriteFile(stale, []byte(other+"\r\neth0\r\nweft"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := c.remains()
	if err := c.gc("weft", kept); err != nil {
		t.Fatal(err)
	}
	if after := c.remains(); len(after) != len(before)-1 || slices.Contains(after, "address 10.255.1.9") {
		t.Errorf("there are %v, and before were %v", after, before)
	}
	first.runs("after GC")
	first.mustDel()
	c.mustBeEmpty()
}
