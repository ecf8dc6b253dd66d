package runtimes

import (
	"strings"
	"testing"
)

// podman makes podman's configuration. All but the backend is for where the
// tests run: without systemd, and without the right to raise limits.
func (c *cell) podman() {
	c.Helper()
	c.write("/etc/containers/containers.conf", `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
`)
	c.write("/etc/containers/storage.conf", "[storage]\ndriver = \"vfs\"\ngraphroot = \"/var/lib/containers/storage\"\nrunroot = \"/run/containers/storage\"\n")
	c.Cleanup(func() {
		if err := c.try("podman rm -f -a -t 0"); err != nil {
			c.Error(err)
		}
	})
}

// weftForPodman is its network of the documentation.
const weftForPodman = `{
    "type": "weft-cni",
    "identity": ["alias.weft"],
    "netOutRules": [{"protocol": 1, "networks": [{"start": "192.0.2.0", "end": "192.0.2.255"}], "ports": [{"start": 80}]}],
    "capabilities": {"aliases": true, "portMappings": true, "ips": true}
  }`

// TestPodman runs containers of two apps: nothing is allowed, then one policy; a
// port is published; a container is started anew, and all are removed.
func TestPodman(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", weftForPodman)
	c.podman()
	c.must("podman ps") // makes what it keeps for good
	before := c.belongings()
	s := c.transcript("podman")
	s.do("cat /etc/cni/net.d/10-weft.conflist")
	s.do("podman run -d --name dogs-1 --network weft:alias=dogs -p 8000:8080 --rootfs /run/rootfs httpd -f -p 8080 -h /www")
	s.do("podman run -d --name cats-1 --network weft:alias=cats --rootfs /run/rootfs sleep 1000")
	s.endpoints("cats", "dogs")
	s.sees("podman exec cats-1 timeout 2 wget -q -O - http://10.255.1.1:8080 || echo denied", "denied")
	s.do("weft allow-access cats dogs --protocol tcp --port 8080 --wait")
	s.sees("podman exec cats-1 wget -q -O - http://10.255.1.1:8080", "hello")
	s.has(s.outside("wget -q -O - http://192.0.2.1:8000"), "hello")
	s.do("podman restart -t 0 dogs-1")
	s.endpoints("cats", "dogs")
	s.sees("podman exec cats-1 wget -q -O - http://10.255.1.3:8080", "hello")
	s.has(s.outside("wget -q -O - http://192.0.2.1:8000"), "hello")
	s.do("podman rm -f -t 0 dogs-1")
	s.do("podman stop -t 0 cats-1")
	s.do("podman rm cats-1")
	s.endpoints()
	s.end()
	c.leavesNothing(before)
}

// TestPodmanAsksForAddressAndMAC, and its container has the network's egress
// rules, to the outside with the cell's address.
func TestPodmanAsksForAddressAndMAC(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", weftForPodman)
	c.podman()
	c.serveOutside()
	c.must("podman run -d --name owls-1 --network weft:alias=owls,ip=10.255.1.77,mac=02:00:00:00:00:0a -p 8001:8080 --rootfs /run/rootfs httpd -f -p 8080 -h /www")
	if got := c.must("podman exec owls-1 ip addr show eth0"); !strings.Contains(got, "inet 10.255.1.77/32") || !strings.Contains(got, "link/ether 02:00:00:00:00:0a") {
		t.Errorf("eth0 is\n%s", got)
	}
	c.isOwls("10.255.1.77")
	c.must("podman restart -t 0 owls-1")
	c.isOwls("10.255.1.77")
	c.must("podman run -d --name owls-2 --ip 10.255.1.90 --network weft:alias=owls --rootfs /run/rootfs sleep 1000")
	c.isOwls("10.255.1.77", "10.255.1.90")
	if got := c.must("podman exec owls-1 wget -q -O - http://" + outsideIP + ":80"); got != "hello\n" {
		t.Errorf("egress: %q", got)
	}
	if err := c.try("podman exec owls-1 timeout 1 wget -q -O - http://" + outsideIP + ":81"); err == nil {
		t.Error("a port that no rule opens is reached")
	}
	c.must("podman run -d --name none-1 --network weft --rootfs /run/rootfs sleep 1000")
	if got := c.sw.Vsctl("--bare", "--columns=external_ids", "find", "interface", "external_ids:weft-ip=10.255.1.91"); !strings.Contains(got, "weft-netns") || strings.Contains(got, "weft-app") {
		t.Errorf("who gives no alias is of no app; the port says %s", got)
	}
}

// isOwls checks that the containers with these addresses are of the app owls, and
// that the first one's port is mapped: podman gives a plugin nothing but the
// address where one is asked for and the capability is not named.
func (c *cell) isOwls(addresses ...string) {
	c.Helper()
	for _, ip := range addresses {
		c.eventually("weft endpoints shows owls at "+ip, func() error {
			return c.try("weft endpoints | grep ' owls .* " + ip + " '")
		})
	}
	if got := c.must("ip netns exec outside busybox wget -q -O - http://" + cellIP + ":8001"); got != "hello\n" {
		c.Errorf("the mapped port: %q", got)
	}
}

// TestPodmanTellsWhy: the plugin's reason is in podman's error, and nothing is
// left of the container.
func TestPodmanTellsWhy(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", weftForPodman)
	c.podman()
	c.must("podman ps")
	before := c.belongings()
	err := c.try("podman run -d --name late-1 --network weft:alias=late,ip=10.255.9.9 --rootfs /run/rootfs sleep 1000")
	if err == nil || !strings.Contains(err.Error(), `CNI_ARGS: IP "10.255.9.9": must be inside the cell's lease 10.255.1.0/24`) {
		t.Errorf("podman says %v", err)
	}
	c.must("podman rm -f late-1")
	c.leavesNothing(before)
}

// serveOutside serves a page on the ports 80 and 81 of the host outside.
func (c *cell) serveOutside() {
	c.Helper()
	for _, port := range []string{"80", "81"} {
		c.start("ip", "netns", "exec", "outside", "busybox", "httpd", "-f", "-p", port, "-h", containerRoot+"/www")
		c.eventually("the host outside serves", func() error {
			return c.try("ip netns exec outside busybox wget -q -O /dev/null http://127.0.0.1:" + port)
		})
	}
}
