package solo

import (
	"context"
	"encoding/json"
	"maps"
	"net"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
)

// Of the network configuration.
const (
	network = "weft"
	version = "1.1.0"
)

// Container is a network namespace that a runtime would have made, and how it
// has weft-cni called. It is for one goroutine.
type Container struct {
	*Cell
	ID string
	NS ns.NetNS // nil after End

	Plugins string         // folder of weft-cni
	Keys    map[string]any // of the network configuration, besides the cell's
	ip      string
	service net.Listener
}

// Container makes a namespace, which ends with the test. Nothing is attached.
func (c *Cell) Container(id, app string) *Container {
	c.Helper()
	namespace, err := testutils.NewNS()
	c.Must(err)
	x := &Container{Cell: c, ID: id, NS: namespace, Plugins: programs, Keys: map[string]any{"app": app}}
	c.Cleanup(x.End)
	return x
}

// End removes the namespace, with all that is in it, as when the container's
// last process has ended. A second time does nothing.
func (x *Container) End() {
	if x.NS == nil {
		return
	}
	space := x.NS
	x.NS = nil
	x.Unserve()
	space.Close() // an open one cannot be unmounted
	if err := testutils.UnmountNS(space); err != nil {
		x.Errorf("namespace of %s: %v", x.ID, err)
	}
}

// Add plugs the container in.
func (x *Container) Add() error {
	got, err := x.runtime().AddNetworkList(background(), x.list(), x.conf())
	if err != nil {
		return err
	}
	result, err := current.NewResultFromResult(got)
	if err == nil {
		x.ip = result.IPs[0].Address.IP.String()
	}
	return err
}

// IP is the container's address, "" before Add.
func (x *Container) IP() string { return x.ip }

// Del unplugs it.
func (x *Container) Del() error {
	return x.runtime().DelNetworkList(background(), x.list(), x.conf())
}

// Check asks whether all is as Add left it.
func (x *Container) Check() error {
	return x.runtime().CheckNetworkList(background(), x.list(), x.conf())
}

// GC tells weft-cni which containers the runtime knows.
func (c *Cell) GC(known ...*Container) error {
	return c.GCBy(programs, known...)
}

// GCBy is GC with another folder of weft-cni. The runtime has lost its memory:
// libcni calls DEL itself for all that it knows, before it calls GC.
func (c *Cell) GCBy(plugins string, known ...*Container) error {
	x := &Container{Cell: c}
	valid := []types.GCAttachment{}
	for _, k := range known {
		valid = append(valid, types.GCAttachment{ContainerID: k.ID, IfName: "eth0"})
	}
	fresh := libcni.NewCNIConfigWithCacheDir([]string{plugins}, c.TempDir(), nil)
	return fresh.GCNetworkList(background(), x.list(), &libcni.GCArgs{ValidAttachments: valid})
}

// background outlives the test's own context: there is something to clean up.
func background() context.Context { return context.Background() }

func (x *Container) runtime() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{x.Plugins}, x.Path("cni-cache"), nil)
}

func (x *Container) conf() *libcni.RuntimeConf {
	conf := &libcni.RuntimeConf{ContainerID: x.ID, IfName: "eth0"}
	if x.NS != nil {
		conf.NetNS = x.NS.Path()
	}
	return conf
}

// list is the network configuration as a runtime loads it from a file.
func (x *Container) list() *libcni.NetworkConfigList {
	text, err := json.Marshal(map[string]any{"cniVersion": version, "name": network, "plugins": []any{x.keys()}})
	x.Must(err)
	list, err := libcni.ConfListFromBytes(text)
	x.Must(err)
	return list
}

// Stdin is what a runtime that is not libcni hands to weft-cni.
func (x *Container) Stdin() []byte {
	keys := x.keys()
	keys["cniVersion"], keys["name"] = version, network
	text, err := json.Marshal(keys)
	x.Must(err)
	return text
}

func (x *Container) keys() map[string]any {
	keys := map[string]any{
		"type": "weft-cni", "ovsdb": x.Switch.DB(), "bridge": Bridge,
		"subnetFile": x.Path("subnet.json"), "dataDir": x.Path("addresses"),
	}
	maps.Copy(keys, x.Keys)
	return keys
}
