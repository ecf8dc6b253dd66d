package bench

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
)

// BenchmarkCNI attaches a container with ADD and detaches it with DEL, as a
// runtime does: libcni starts weft-cni, which returns when the agent has the
// switch's word for the container's flows.
func BenchmarkCNI(b *testing.B) {
	c := startCell(b)
	var add, del samples
	for i := 0; b.Loop(); i++ {
		namespace := c.namespace()
		conf := runtimeConf(fmt.Sprintf("container-%d", i), namespace)
		add.time(func() { c.add(conf, "cats") })
		del.time(func() { c.must(c.cni().DelNetworkList(b.Context(), c.network("cats"), conf)) })
		c.end(namespace)
	}
	add.report(b, "add", 50, 99)
	del.report(b, "del", 50, 99)
}

// start runs a container of an app until the benchmark ends.
func (c *cell) start(id, app string) {
	c.b.Helper()
	namespace := c.namespace()
	c.b.Cleanup(func() { c.end(namespace) })
	c.add(runtimeConf(id, namespace), app)
}

func (c *cell) add(conf *libcni.RuntimeConf, app string) {
	c.b.Helper()
	_, err := c.cni().AddNetworkList(c.b.Context(), c.network(app), conf)
	c.must(err)
}

func (c *cell) namespace() ns.NetNS {
	c.b.Helper()
	namespace, err := testutils.NewNS()
	c.must(err)
	return namespace
}

func (c *cell) end(namespace ns.NetNS) {
	c.b.Helper()
	c.must(namespace.Close()) // an open one cannot be unmounted
	c.must(testutils.UnmountNS(namespace))
}

func (c *cell) cni() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{plugins}, c.path("cni-cache"), nil)
}

func (c *cell) network(app string) *libcni.NetworkConfigList {
	c.b.Helper()
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": "weft", "plugins": []any{map[string]any{
		"type": "weft-cni", "ovsdb": c.sw.DB(), "app": app, "subnetFile": c.path("subnet.json"), "dataDir": c.path("addresses"),
	}}})
	c.must(err)
	list, err := libcni.ConfListFromBytes(text)
	c.must(err)
	return list
}

func runtimeConf(id string, namespace ns.NetNS) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: id, NetNS: namespace.Path(), IfName: "eth0"}
}
