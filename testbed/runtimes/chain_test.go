package runtimes

import (
	"fmt"
	"strings"
	"testing"
)

// standardChain is a network where the standard plugins do what weft-cni could:
// portmap maps ports, with rules of its own.
const standardChain = `{"type": "weft-cni", "app": "dogs"},
    {"type": "portmap", "capabilities": {"portMappings": true}},
    {"type": "firewall"},
    {"type": "tuning"}`

// TestPortmapChained: the port that CNI's portmap publishes leads to the
// container, although no mapping of ours does; it ends with the container.
func TestPortmapChained(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", standardChain)
	c.podman()
	const run = "podman run -d --name dogs-1 --network weft -p 8000:8080 --rootfs /run/rootfs httpd -f -p 8080 -h /www"
	const remove = "podman rm -f -t 0 dogs-1"
	c.must(run + "; " + remove) // the standard plugins make chains once and for all
	before := c.belongings()

	s := c.transcript("portmap")
	s.do("cat /etc/cni/net.d/10-weft.conflist")
	s.do(run)
	if got := c.must("nft list map inet weft tcp_ports"); strings.Contains(got, "8000") {
		t.Fatalf("weft-cni was told of the port as well:\n%s", got)
	}
	s.has(s.outside("wget -q -O - http://192.0.2.1:8000"), "hello")
	s.end()
	const ask = "ip netns exec outside timeout 2 busybox wget -q -O - http://"
	c.must("ip -n outside route add 10.255.0.0/16 via " + cellIP)
	if err := c.try(ask + "10.255.1.2:8080"); err == nil {
		t.Error("the container's own address is open to the outside")
	}
	c.must(remove)
	if err := c.try(ask + cellIP + ":8000"); err == nil {
		t.Error("the port is still open")
	}
	c.leavesNothing(before)
}

// TestOnlyOurLimitsOutliveTheSwitch: a limit of weft-cni is Open vSwitch's, which
// sets it again whenever it starts. What CNI's bandwidth puts on the container's
// host end stays while others come and go, and is gone when ovs-vswitchd starts
// anew. docs/cni.md says so; should this fail, it may say more.
func TestOnlyOurLimitsOutliveTheSwitch(t *testing.T) {
	c := newCell(t)
	const limits = `"ingressRate": 8000000, "ingressBurst": 8000000`
	attach := func(name, plugins string) string {
		c.network("1.0.0", plugins)
		c.must("ip netns add " + name + " && cnitool add weft /run/netns/" + name)
		return strings.TrimSpace(c.sw.Vsctl("--bare", "--columns=name", "find", "interface", fmt.Sprintf("external_ids:weft-netns=%q", "/run/netns/"+name)))
	}
	ours := attach("ours", `{"type": "weft-cni", "app": "dogs", "rate": 8000, "burst": 8000}`)
	theirs := attach("theirs", `{"type": "weft-cni", "app": "dogs"}, {"type": "bandwidth", `+limits+`}`)
	limited := func(kind, port string) error {
		if queues := c.must("tc qdisc show dev " + port); !strings.Contains(queues, "qdisc "+kind+" ") {
			return fmt.Errorf("%s has no %s:\n%s", port, kind, queues)
		}
		return nil
	}
	c.eventually("ours is set", func() error { return limited("htb", ours) })
	c.eventually("theirs is set", func() error { return limited("tbf", theirs) })
	attach("another", `{"type": "weft-cni", "app": "dogs"}`)
	if err := limited("tbf", theirs); err != nil {
		t.Errorf("a new container took the limit of another: %v", err)
	}
	c.sw.KillVswitchd()
	c.must("tc qdisc del dev " + ours + " root") // as after a reboot of the datapath
	c.sw.StartVswitchd()
	c.eventually("ours is set again", func() error { return limited("htb", ours) })
	if limited("tbf", theirs) == nil {
		t.Error("theirs outlived ovs-vswitchd: say so in docs/cni.md")
	}
	for _, name := range []string{"ours", "theirs", "another"} {
		c.must("cnitool del weft /run/netns/" + name + "; ip netns del " + name)
	}
}
