package runtimes

import (
	"testing"
)

// containerd starts one of the test's own. Its socket and state, and where its
// ctr looks for plugins and networks, are in the namespaces' own folders.
func (c *cell) containerd() {
	c.Helper()
	c.write(c.path("containerd.toml"), `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
`)
	c.start("containerd", "--config", c.path("containerd.toml"))
	c.eventually("containerd answers", func() error { return c.try("ctr version") })
	c.Cleanup(func() {
		if err := c.try("for id in $(ctr task ls -q); do ctr task rm -f $id; done; for id in $(ctr container ls -q); do ctr container rm $id; done"); err != nil {
			c.Error(err)
		}
	})
}

// TestContainerd runs containers with ctr, which tells a plugin nothing of them
// but an id: each network has its app. What ctr leaves behind of a detached
// container, DEL takes away by that id alone, when container and namespace are
// long gone.
func TestContainerd(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", `{"type": "weft-cni", "app": "dogs"}`)
	c.containerd()
	before := c.belongings()
	s := c.transcript("containerd")
	s.do("cat /etc/cni/net.d/10-weft.conflist")
	s.do("ctr run -d --cni --rootfs /run/rootfs dogs-1 /bin/httpd -f -p 8080 -h /www")
	s.do("sed -i s/dogs/cats/ /etc/cni/net.d/10-weft.conflist")
	const ask = `ctr run --rm --cni --rootfs /run/rootfs cats-1 /bin/sh -c "timeout 2 wget -q -O - http://10.255.1.1:8080 || echo denied"`
	s.sees(ask, "denied")
	s.do("weft allow-access cats dogs --protocol tcp --port 8080 --wait")
	s.sees(ask, "hello")
	s.endpoints("dogs")
	s.do("ctr task kill -s 9 dogs-1")
	c.eventually("the task has ended", func() error { return c.try("ctr task ls | grep -q 'dogs-1.*STOPPED'") })
	s.do("ctr task rm dogs-1 || true; ctr container rm dogs-1")
	s.endpoints() // its namespace is gone, and the host end of its veth with it
	s.do(`echo '{"cniVersion": "1.0.0", "name": "weft", "type": "weft-cni"}' |
  CNI_COMMAND=DEL CNI_CONTAINERID=default-dogs-1 CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin /opt/cni/bin/weft-cni`)
	s.do("ovs-vsctl list-ports br-weft")
	s.end()
	c.must("rm -r /var/lib/cni") // libcni's own memory of what ctr never ended
	c.leavesNothing(before)
}

// TestContainerdDeletesWithoutNamespace: ctr's DEL comes when the process and
// its namespace have gone, with an empty CNI_NETNS, and again after one that
// failed.
func TestContainerdDeletesWithoutNamespace(t *testing.T) {
	c := newCell(t)
	c.network("1.0.0", `{"type": "weft-cni", "app": "cats"}`)
	c.containerd()
	calls := c.witness()
	before := c.belongings()
	c.must("ctr run --rm --cni --rootfs /run/rootfs cats-1 /bin/true")
	c.must("ctr run --rm --cni --rootfs /run/rootfs cats-1 /bin/true") // the same name, again
	if got, want := calls(), "ADD default-cats-1 set\nDEL default-cats-1 \n"; got != want+want {
		t.Errorf("ctr called\n%s", got)
	}
	c.leavesNothing(before)
}

// witness puts a script before weft-cni that notes how it is called: command,
// container, and whether there is a namespace.
func (c *cell) witness() (calls func() string) {
	c.Helper()
	notes := c.path("calls")
	c.must(`mv /opt/cni/bin/weft-cni /opt/cni/bin/weft-cni.real
cat > /opt/cni/bin/weft-cni <<'EOF'
#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] || echo "$CNI_COMMAND $CNI_CONTAINERID ${CNI_NETNS:+set}" >> ` + notes + `
exec /opt/cni/bin/weft-cni.real
EOF
chmod +x /opt/cni/bin/weft-cni`)
	c.Cleanup(func() { c.must("mv /opt/cni/bin/weft-cni.real /opt/cni/bin/weft-cni") })
	return func() string { return c.must("cat " + notes) }
}
