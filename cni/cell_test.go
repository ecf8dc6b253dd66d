package cni_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// plugin is the folder of the compiled weft-cni.
var plugin string

// TestMain runs the tests in network and mount namespaces of their own, so that
// the veths of a failed test are gone with it and whatever is left over is seen.
func TestMain(m *testing.M) {
	if os.Getenv("WEFT_CNI_TEST") == "" {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), "WEFT_CNI_TEST=inside")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "cni tests, as root in namespaces of their own:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(inside(m))
}

func inside(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weft-cni")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	plugin = dir
	build := exec.Command("go", "build", "-o", dir, "./cmd/weft-cni")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v: %s", err, out))
	}
	if err := errors.Join(os.MkdirAll("/run/netns", 0o755), syscall.Mount("netns", "/run/netns", "tmpfs", 0, "")); err != nil {
		panic(err)
	}
	return m.Run()
}

// cell is a switch with our bridge, a lease, and the plugin's configuration.
// Its agent is the test: it answers as told, by the agent's real channel.
type cell struct {
	t    *testing.T
	sw   *dummyovs.Switch
	db   *mirror.Client
	dir  string
	conf map[string]any
}

const bridge = "br-weft"

func newCell(t *testing.T) *cell {
	t.Helper()
	return newCellOn(t, dummyovs.Start(t), "")
}

func newCellOn(t *testing.T, sw *dummyovs.Switch, datapath string) *cell {
	t.Helper()
	c := &cell{t: t, sw: sw, dir: t.TempDir()}
	for limit := time.Now().Add(10 * time.Second); len(c.veths()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) { // an earlier test's namespaces take theirs with them some time later
			t.Fatalf("veths of an earlier test: %v", c.veths())
		}
	}
	c.db = c.dial()
	if err := c.db.EnsureBridge(within(t), mirror.Bridge{Name: bridge, Cell: "cell-1", Datapath: datapath}); err != nil {
		t.Fatal(err)
	}
	c.conf = map[string]any{
		"type": "weft-cni", "ovsdb": c.sw.DB(), "bridge": bridge, "app": "dogs",
		"subnetFile": filepath.Join(c.dir, "subnet.json"), "dataDir": filepath.Join(c.dir, "addresses"),
	}
	c.lease("10.255.1.0/24")
	return c
}

func (c *cell) dial() *mirror.Client {
	c.t.Helper()
	db, err := mirror.Dial(within(c.t), c.sw.DB())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(db.Close)
	return db
}

// plugin is a connection like that of weft-cni.
func (c *cell) plugin() *ovsdb.Conn {
	c.t.Helper()
	db, err := ovsdb.Dial(within(c.t), c.sw.DB())
	if err != nil {
		c.t.Fatal(err)
	}
	return db
}

func (c *cell) lease(subnet string) {
	c.t.Helper()
	c.subnetFile(fmt.Sprintf(`{"cell":"cell-1","subnet":%q,"mtu":1450}`, subnet))
}

// subnetFile is written by the agent.
func (c *cell) subnetFile(text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "subnet.json"), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cell) ports() []ovsdb.Port {
	c.t.Helper()
	db := c.plugin()
	defer db.Close()
	ports, err := db.Ports(within(c.t), bridge)
	if err != nil {
		c.t.Fatal(err)
	}
	return ports
}

// agent answers for each new port, until the test or the returned function
// ends it.
func (c *cell) agent(answer func(context.Context, *mirror.Client, ovsdb.Port) error) (stop func()) {
	c.t.Helper()
	db := c.dial()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			ports, err := db.Ports(bridge)
			for _, p := range ports {
				if p.OFPort > 0 && !p.Ready && p.Error == "" {
					err = errors.Join(err, answer(ctx, db, p))
				}
			}
			if err != nil && ctx.Err() == nil && !errors.Is(err, ovsdb.ErrNoPort) && !errors.Is(err, ovsdb.ErrNotConnected) {
				c.t.Errorf("agent: %v", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-db.Changes():
			}
		}
	}()
	stop = func() { cancel(); <-done }
	c.t.Cleanup(stop)
	return stop
}

// ready is the agent whose flows are always in the switch.
func ready(ctx context.Context, db *mirror.Client, p ovsdb.Port) error {
	return db.MarkReady(ctx, p.Name)
}

// container is a network namespace that a runtime would have made.
type container struct {
	*cell
	id string
	ns ns.NetNS
}

func (c *cell) container(id string) *container {
	c.t.Helper()
	namespace, err := testutils.NewNS()
	if err != nil {
		c.t.Fatal(err)
	}
	x := &container{c, id, namespace}
	c.t.Cleanup(x.end)
	return x
}

// end removes the namespace; a second time does nothing.
func (x *container) end() {
	if x.ns != nil {
		path := x.ns.Path()
		x.ns.Close()
		if err := testutils.UnmountNS(x.ns); err != nil {
			x.t.Errorf("removing %s: %v", path, err)
		}
		x.ns = nil
	}
}

// changed returns the configuration with some keys set, or removed by nil.
func (c *cell) changed(keys map[string]any) map[string]any {
	conf := maps.Clone(c.conf)
	for key, value := range keys {
		if conf[key] = value; value == nil {
			delete(conf, key)
		}
	}
	return conf
}

// list is the configuration as a runtime loads it from a .conflist file.
func (c *cell) list(version string, conf map[string]any) *libcni.NetworkConfigList {
	c.t.Helper()
	text, err := json.Marshal(map[string]any{"cniVersion": version, "name": "weft", "plugins": []any{conf}})
	if err != nil {
		c.t.Fatal(err)
	}
	list, err := libcni.ConfListFromBytes(text)
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

func (c *cell) runtime() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{plugin}, filepath.Join(c.dir, "cache"), nil)
}

func (x *container) conf(args ...[2]string) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: x.id, IfName: "eth0", Args: args}
	if x.ns != nil {
		rt.NetNS = x.ns.Path()
	}
	return rt
}

// add runs ADD at version 1.0.0 with some keys of the configuration changed.
func (x *container) add(keys map[string]any) (*current.Result, error) {
	x.t.Helper()
	got, err := x.runtime().AddNetworkList(within(x.t), x.list("1.0.0", x.changed(keys)), x.conf())
	if err != nil {
		return nil, err
	}
	return current.NewResultFromResult(got)
}

func (x *container) mustAdd() *current.Result {
	x.t.Helper()
	got, err := x.add(nil)
	if err != nil {
		x.t.Fatal(err)
	}
	return got
}

func (x *container) del() error {
	return x.runtime().DelNetworkList(within(x.t), x.list("1.0.0", x.cell.conf), x.conf())
}

func (x *container) mustDel() {
	x.t.Helper()
	if err := x.del(); err != nil {
		x.t.Fatal(err)
	}
}

func (x *container) check() error {
	return x.runtime().CheckNetworkList(within(x.t), x.list("1.0.0", x.cell.conf), x.conf())
}

func (c *cell) veths() (out []string) {
	c.t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, l := range links {
		if l.Type() == "veth" {
			out = append(out, "veth "+l.Attrs().Name)
		}
	}
	return out
}

// remains lists what containers have on the cell: veths, ports, addresses.
func (c *cell) remains() []string {
	c.t.Helper()
	out := c.veths()
	for _, name := range strings.Fields(c.sw.Vsctl("list-ports", bridge)) {
		out = append(out, "port "+name)
	}
	files, err := filepath.Glob(filepath.Join(c.dir, "addresses", bridge, "*"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range files {
		if regexp.MustCompile(`^[0-9.]+$`).MatchString(filepath.Base(f)) {
			out = append(out, "address "+filepath.Base(f))
		}
	}
	return out
}

func (c *cell) mustBeEmpty() {
	c.t.Helper()
	if left := c.remains(); len(left) != 0 {
		c.t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// refused checks the code and the text of an error of the plugin, and that its
// details say something.
func refused(t *testing.T, err error, code uint, want string) {
	t.Helper()
	var coded *types.Error
	if !errors.As(err, &coded) || coded.Code != code || !strings.Contains(coded.Msg, want) {
		t.Errorf("error is %#v, expected code %d and %q", err, code, want)
	} else if coded.Details == "" {
		t.Errorf("error %q does not say what to do", coded.Msg)
	}
}

// exec runs the plugin as a runtime that is not libcni would, with raw input.
func (x *container) command(verb, stdin string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(plugin, "weft-cni"))
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + x.id, "CNI_IFNAME=eth0", "CNI_PATH=" + plugin}
	if x.ns != nil {
		cmd.Env = append(cmd.Env, "CNI_NETNS="+x.ns.Path())
	}
	cmd.Stdin = bytes.NewBufferString(stdin)
	return cmd
}

func (c *cell) stdin(version string) string {
	text, err := json.Marshal(c.changed(map[string]any{"cniVersion": version, "name": "weft"}))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
