package testbed

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Container is a network namespace that weft-cni attached to its cell. It has
// no processes: what it sends and serves is the test's own, in its namespace.
type Container struct {
	*Station        // its ID is the runtime's container id
	App      string // identity, unique to the test; "" for none
	Cell     *Cell

	stopping sync.Mutex // held by whoever stops it
	stopped  bool
	network  *libcni.NetworkConfigList
}

// Run attaches a new container of the app. It is stopped when the test ends.
func (c *Cell) Run(app string) *Container {
	c.bed.Helper()
	container, err := c.Try(app)
	if err != nil {
		c.bed.Fatalf("run %s on %s: %v\n%s", app, c.name, err, c.bed.logs())
	}
	return container
}

// Try is Run for a test that expects it may fail: a failed attachment leaves
// its namespace to the test's end, as a runtime would.
func (c *Cell) Try(app string) (*Container, error) {
	return c.TryConfig(Network{App: c.bed.appID(app)})
}

// appID makes an identity of the app's name that no other test uses.
func (b *Bed) appID(app string) string {
	if app == "" || b.Name() == "" {
		return app
	}
	return strings.ReplaceAll(b.Name(), "/", ".") + "." + app
}

// number makes a container id of the name: cats-1, cats-2 …
func (w *world) number(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbers[name]++
	return fmt.Sprintf("%s-%d", name, w.numbers[name])
}

// Network is what one attachment's network configuration says; zero fields
// have the bed's values.
type Network struct {
	App    string         // metadata's app_id; "" for none
	Args   [][2]string    // CNI_ARGS
	NetNS  string         // path; "" for a new namespace
	Change map[string]any // keys of the plugin's configuration to set; nil changes nothing
	Wants  Wants          // what the runtime asks for besides an address
	ID     string         // container id; "" for a new one
}

// TryConfig attaches a container with the network configuration.
func (c *Cell) TryConfig(n Network) (*Container, error) {
	id := n.ID
	if id == "" {
		id = c.w.number(cmp.Or(n.App[strings.LastIndex(n.App, ".")+1:], "anonymous"))
	}
	container := &Container{App: n.App, Cell: c}
	var err error
	if container.network, err = c.network(n); err != nil {
		return nil, err
	}
	in, err := newNetNS(id)
	if err != nil {
		return nil, err
	}
	container.Station = c.bed.station(id, netip.Addr{}, in)
	c.bed.Cleanup(container.cleanup)
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	runtime := container.runtime()
	if n.NetNS != "" {
		runtime.NetNS = n.NetNS
	}
	runtime.Args = n.Args
	var result types.Result
	err = c.Do(func() (err error) { // the host end of the veth belongs to the cell
		result, err = c.cni().AddNetworkList(ctx, container.network, runtime)
		return err
	})
	if err == nil {
		return container, container.read(result)
	}
	// ADD has undone what it did; DEL at the test's end is to find nothing, and
	// must not stumble over the same configuration.
	container.network, _ = c.network(Network{App: n.App, Change: map[string]any{"dataDir": n.Change["dataDir"]}})
	return container, err
}

func (c *Container) read(result types.Result) error {
	r, err := current.GetResult(result)
	if err != nil {
		return fmt.Errorf("read weft-cni's result: %w", err)
	}
	if len(r.IPs) != 1 {
		return fmt.Errorf("weft-cni gave %d addresses, want 1", len(r.IPs))
	}
	var ok bool
	if c.IP, ok = netip.AddrFromSlice(r.IPs[0].Address.IP.To4()); !ok {
		return fmt.Errorf("weft-cni gave address %s", r.IPs[0].Address.IP)
	}
	return nil
}

func (c *cell) cni() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{c.w.bin}, c.path("cni-cache"), nil)
}

// network makes the conflist. Garden puts metadata at the top of the plugin's
// configuration, and so do we.
func (c *cell) network(n Network) (*libcni.NetworkConfigList, error) {
	plugin := map[string]any{
		"type": "weft-cni", "ovsdb": "unix:" + c.ovs.path("db.sock"), "bridge": bridgeName,
		"subnetFile": c.path("subnet.json"), "dataDir": c.path("addresses"),
		"readyTimeout": "40s", // twenty starts of a program take the lab's emulated CPUs seconds by themselves
	}
	if n.App != "" {
		plugin["metadata"] = map[string]string{"app_id": n.App}
	}
	if wants := n.Wants.runtimeConfig(); len(wants) > 0 {
		plugin["runtimeConfig"] = wants
	}
	for key, value := range n.Change {
		if value != nil {
			plugin[key] = value
		}
	}
	conflist, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": "weft", "plugins": []any{plugin}})
	if err != nil {
		return nil, err
	}
	return libcni.NetworkConfFromBytes(conflist)
}

func (c *Container) runtime() *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: c.ID, NetNS: netnsPath(c.ID), IfName: "eth0"}
}

// Stop detaches the container and deletes its namespace.
func (c *Container) Stop() {
	c.Cell.bed.Helper()
	c.Cell.bed.must(c.stop())
}

// Inherit stops the container and attaches another one to its cell, of the app,
// that is given its address.
func (c *Container) Inherit(app string) *Container {
	c.Cell.bed.Helper()
	c.Stop()
	last := filepath.Join(c.Cell.path("addresses"), bridgeName, "last_reserved_ip.0") // host-local takes the next one
	c.Cell.bed.must(os.WriteFile(last, []byte(c.IP.Prev().String()), 0o644))
	heir := c.Cell.Run(app)
	if heir.IP != c.IP {
		c.Cell.bed.Fatalf("%s has %s, want %s of %s", heir.ID, heir.IP, c.IP, c.ID)
	}
	return heir
}

func (c *Container) stop() error {
	c.stopping.Lock()
	defer c.stopping.Unlock()
	if c.stopped {
		return nil
	}
	c.closeServices()
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	err := c.Cell.Do(func() error { return c.Cell.cni().DelNetworkList(ctx, c.network, c.runtime()) })
	if err != nil {
		return fmt.Errorf("detach %s: %w", c.ID, err)
	}
	c.stopped = true
	return deleteNetNS(c.ID, c.in)
}

func (c *Container) cleanup() {
	if err := c.stop(); err != nil {
		c.Cell.bed.Errorf("%v", err)
	}
}

// Check asks weft-cni whether the attachment is as ADD left it.
func (c *Container) Check() error {
	return c.Cell.Do(func() error { return c.Cell.cni().CheckNetworkList(background(), c.network, c.runtime()) })
}

// Detach calls DEL and leaves the namespace; it may be called again.
func (c *Container) Detach() error {
	return c.Cell.Do(func() error { return c.Cell.cni().DelNetworkList(background(), c.network, c.runtime()) })
}

// DetachWithoutNamespace calls DEL with an empty CNI_NETNS, as runtimes do
// when the namespace has gone.
func (c *Container) DetachWithoutNamespace() error {
	runtime := c.runtime()
	runtime.NetNS = ""
	return c.Cell.Do(func() error { return c.Cell.cni().DelNetworkList(background(), c.network, runtime) })
}
