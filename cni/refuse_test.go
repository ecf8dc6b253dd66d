package cni_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/cni"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// TestSilentAgent: with the default of readyTimeout ADD is over within ten
// seconds, says whom it waited for, and leaves nothing.
func TestSilentAgent(t *testing.T) {
	c := newCell(t)
	x := c.container("unheard")
	begin := time.Now()
	_, err := x.add(nil)
	refused(t, err, 11, "the cell agent did not confirm container unheard within 8s: is weft-agent running and connected to its controller?")
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("ADD took %s", took)
	}
	c.mustBeEmpty()
	c.agent(ready) // the agent is started, and the runtime tries again
	x.mustAdd()
	x.mustDel()
	c.mustBeEmpty()
}

func TestAgentsReasonIsShown(t *testing.T) {
	c := newCell(t)
	c.agent(func(ctx context.Context, db *mirror.Client, p ovsdb.Port) error {
		return db.MarkFailed(ctx, p.Name, "no group id left for app dogs")
	})
	_, err := c.container("unwanted").add(nil)
	refused(t, err, cni.CodeRefused, "container unwanted: refused by the cell agent: no group id left for app dogs")
	c.mustBeEmpty()
}

// TestPassingReasonIsTriedAgain: what may be over by itself is no refusal: a
// runtime that knows the codes tries again, and meanwhile nothing is left.
func TestPassingReasonIsTriedAgain(t *testing.T) {
	c := newCell(t)
	stop := c.agent(func(ctx context.Context, db *mirror.Client, p ovsdb.Port) error {
		return db.MarkDelayed(ctx, p.Name, "the controller has given app dogs no group id yet")
	})
	x := c.container("early")
	_, err := x.add(nil)
	refused(t, err, 11, "container early: not now, says the cell agent: the controller has given app dogs no group id yet")
	c.mustBeEmpty()
	stop()
	c.agent(ready)
	x.mustAdd()
	x.mustDel()
	c.mustBeEmpty()
}

// TestTakenHostPortSaysWhatToDo: the agent says whose it is, and the details what
// to do about it; of other refusals they say where to look.
func TestTakenHostPortSaysWhatToDo(t *testing.T) {
	c := newCell(t)
	c.agent(func(ctx context.Context, db *mirror.Client, p ovsdb.Port) error {
		if p.Container == "first" {
			return db.MarkReady(ctx, p.Name)
		}
		return db.MarkFailed(ctx, p.Name, "as the agent says")
	})
	web := func(hostPort int) map[string]any {
		mapping := map[string]any{"hostPort": hostPort, "containerPort": 80, "protocol": "tcp"}
		return map[string]any{"runtimeConfig": map[string]any{"portMappings": []any{mapping}}}
	}
	first := c.container("first")
	if _, err := first.add(web(8000)); err != nil {
		t.Fatal(err)
	}
	for hostPort, want := range map[int]string{8000: "stop container first, or choose another host port than 8000/tcp", 8001: "weft-agent status"} {
		_, err := c.container("second").add(web(hostPort))
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != cni.CodeRefused || coded.Details != want {
			t.Errorf("host port %d: %#v, expected code 104 and to %s", hostPort, err, want)
		}
	}
	first.mustDel()
	c.mustBeEmpty()
}

func TestExhaustedLease(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	c.lease("10.255.1.4/30")
	first, second, third := c.container("first"), c.container("second"), c.container("third")
	first.mustAdd()
	second.mustAdd()
	before := strings.Join(c.remains(), ", ")
	_, err := third.add(nil)
	refused(t, err, cni.CodeExhausted, "the cell's lease 10.255.1.4/30 is exhausted")
	if after := strings.Join(c.remains(), ", "); after != before {
		t.Errorf("the refused ADD changed the cell from\n%s to\n%s", before, after)
	}
	first.mustDel()
	if got := third.mustAdd().IPs[0].Address.IP.String(); got != "10.255.1.5" {
		t.Errorf("the third has %s, expected the first's", got)
	}
}

// TestDuplicateIsRefusedAndHarmless: the container that runs keeps its network.
func TestDuplicateIsRefusedAndHarmless(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("twice")
	x.mustAdd()
	_, err := x.add(nil)
	refused(t, err, cni.CodeDuplicate, `container "twice" has an interface "eth0" already`)
	if err := x.check(); err != nil {
		t.Errorf("CHECK after the refused ADD: %v", err)
	}
	x.mustDel()
	c.mustBeEmpty()
}

// TestForeignInterfaceIsKept: another plugin has made an eth0.
func TestForeignInterfaceIsKept(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("occupied")
	theirs := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "theirs"}
	if err := x.ns.Do(func(ns.NetNS) error { return netlink.LinkAdd(theirs) }); err != nil {
		t.Fatal(err)
	}
	_, err := x.add(nil)
	refused(t, err, cni.CodeDuplicate, `"eth0" in `+x.ns.Path()+` exists`)
	x.mustDel()
	if err := x.ns.Do(func(ns.NetNS) error { _, err := netlink.LinkByName("eth0"); return err }); err != nil {
		t.Errorf("their eth0: %v", err)
	}
	c.mustBeEmpty()
}

// TestUnusableInput: each is refused before anything is touched.
func TestUnusableInput(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	c.sw.Vsctl("add-br", "br-theirs", "--", "add-br", "br-cell-2", "--", "set", "bridge", "br-cell-2", "external_ids:weft-owner=cell-2")
	for name, in := range map[string]struct {
		keys map[string]any
		code uint
		want string
	}{
		"unknown bridge":   {map[string]any{"bridge": "br-none"}, cni.CodeBridge, `bridge "br-none" does not exist: has weft-agent made it`},
		"foreign bridge":   {map[string]any{"bridge": "br-theirs"}, cni.CodeBridge, `bridge "br-theirs" belongs to ""`},
		"another cell's":   {map[string]any{"bridge": "br-cell-2"}, cni.CodeBridge, `belongs to "cell-2", and this cell is "cell-1"`},
		"no lease":         {map[string]any{"subnetFile": "/nonexistent/subnet.json"}, 11, "cell has no lease yet: is weft-agent running? (subnet file /nonexistent/subnet.json"},
		"no ovsdb-server":  {map[string]any{"ovsdb": "unix:/nonexistent/db.sock"}, 11, "connecting to ovsdb-server at unix:/nonexistent/db.sock"},
		"mtu too large":    {map[string]any{"mtu": 1500}, 7, "mtu 1500: must not exceed 1450"},
		"dataDir unusable": {map[string]any{"dataDir": "/proc/addresses"}, cni.CodeAttach, `dataDir "/proc/addresses"`},
		"identity":         {map[string]any{"metadata": map[string]any{"app_id": []int{1}}}, 7, "metadata.app_id [1]: must be a string"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := c.container("refused").add(in.keys)
			refused(t, err, in.code, in.want)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s to find out", took)
			}
			c.mustBeEmpty()
		})
	}
}

func TestUnusableNamespace(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	for path, want := range map[string]string{
		"/var/run/netns/gone":  "CNI_NETNS \"/var/run/netns/gone\": ",
		"/etc/hostname":        "CNI_NETNS \"/etc/hostname\": ",
		"/proc/self/ns/net":    "is the cell's own network namespace",
		"/proc/self/ns/mnt/..": "CNI_NETNS ",
	} {
		rt := &libcni.RuntimeConf{ContainerID: "x", IfName: "eth0", NetNS: path}
		_, err := c.runtime().AddNetworkList(within(t), c.list("1.0.0", c.conf), rt)
		refused(t, err, 8, want)
		c.mustBeEmpty()
	}
}

// TestStdinThatIsNoConfiguration: what a broken runtime may send.
func TestStdinThatIsNoConfiguration(t *testing.T) {
	c := newCell(t)
	x := c.container("x")
	for stdin, want := range map[string]string{
		``:                                     `"code": 6`,
		`{`:                                    `"code": 6`,
		`[]`:                                   `"code": 6`,
		`{}`:                                   `missing network name`,
		`{"cniVersion":"9.9.9","name":"weft"}`: `incompatible CNI versions`,
		`{"cniVersion":"1.0.0","name":"weft","mtu":"much"}`: `mtu \"much\": must be a whole number`,
	} {
		out, err := x.command("ADD", stdin).Output()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("stdin %q: %v, %s, expected %s", stdin, err, out, want)
		}
	}
	c.mustBeEmpty()
}

// TestDelWithoutNamespace: containerd and nerdctl pass an empty one, Garden one
// that is gone; and it may never have been added.
func TestDelWithoutNamespace(t *testing.T) {
	c := newCell(t)
	stop := c.agent(ready)
	empty, vanished := c.container("empty"), c.container("vanished")
	empty.mustAdd()
	vanished.mustAdd()
	stop() // and no agent either

	path := vanished.ns.Path()
	vanished.end() // the veth goes with it, some time later
	for range 2 {
		rt := &libcni.RuntimeConf{ContainerID: "vanished", IfName: "eth0", NetNS: path}
		if err := c.runtime().DelNetworkList(within(t), c.list("1.0.0", c.conf), rt); err != nil {
			t.Errorf("DEL with a namespace that is gone: %v", err)
		}
		rt = &libcni.RuntimeConf{ContainerID: "empty", IfName: "eth0"}
		if err := c.runtime().DelNetworkList(within(t), c.list("1.0.0", c.conf), rt); err != nil {
			t.Errorf("DEL without a namespace: %v", err)
		}
	}
	if err := (&container{cell: c, id: "unknown"}).del(); err != nil {
		t.Errorf("DEL of an unknown container: %v", err)
	}
	if _, err := (&container{cell: c, id: "raw"}).command("DEL", c.stdin("0.3.1")).Output(); err != nil {
		t.Errorf("DEL without CNI_NETNS: %v", err)
	}
	c.mustBeEmpty()
}

// TestDelToleratesMistakes: a configuration that was broken after the container
// started still lets it go.
func TestDelToleratesMistakes(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("trapped")
	x.mustAdd()
	broken := c.changed(map[string]any{"mtu": 9, "readyTimeout": "soon", "app": "a\nb", "prevResult": map[string]any{"ips": []any{}}})
	broken["cniVersion"], broken["name"] = "1.0.0", "weft"
	stdin, err := json.Marshal(broken)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := x.command("DEL", string(stdin)).CombinedOutput(); err != nil {
		t.Errorf("DEL: %v: %s", err, out)
	}
	c.mustBeEmpty()
}

// TestDelOfUnknownTouchesNoFile: not even the folder of addresses appears.
func TestDelOfUnknownTouchesNoFile(t *testing.T) {
	c := newCell(t)
	if err := (&container{cell: c, id: "unknown"}).del(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.conf["dataDir"].(string)); !os.IsNotExist(err) {
		t.Errorf("dataDir: %v, expected that it does not exist", err)
	}
}

// TestDelWithoutDatabaseKeepsTheAddress: while ovsdb-server is away the port
// cannot be removed, so nobody else may get its address; a later DEL finishes.
func TestDelWithoutDatabaseKeepsTheAddress(t *testing.T) {
	c := newCell(t)
	stop := c.agent(ready)
	x := c.container("stuck")
	x.mustAdd()
	stop()
	c.sw.KillServer()
	refused(t, x.del(), 11, "connecting to ovsdb-server")
	c.sw.StartServer()
	if left := strings.Join(c.remains(), ", "); !strings.Contains(left, "port c") || !strings.Contains(left, "address 10.255.1.1") || strings.Contains(left, "veth") {
		t.Errorf("left are %q, expected the port and its address", left)
	}
	x.mustDel()
	c.mustBeEmpty()
}

// TestKilledAddIsFinishedByDel: the runtime kills a plugin that hangs.
func TestKilledAddIsFinishedByDel(t *testing.T) {
	c := newCell(t)
	x := c.container("killed")
	add := x.command("ADD", c.stdin("1.0.0"))
	if err := add.Start(); err != nil {
		t.Fatal(err)
	}
	untilPorts(t, c, 1) // it waits for the agent now
	if err := add.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = add.Wait() // "signal: killed"
	if left := c.remains(); len(left) != 3 {
		t.Errorf("the killed ADD left %v, expected a veth, a port and an address", left)
	}
	x.mustDel()
	c.mustBeEmpty()
	c.agent(ready)
	x.mustAdd()
}

// TestDatabaseLostDuringAdd: what cannot be undone stays findable for DEL, with
// its address reserved.
func TestDatabaseLostDuringAdd(t *testing.T) {
	c := newCell(t)
	x := c.container("torn")
	failed := make(chan error, 1)
	go func() {
		_, err := x.add(map[string]any{"readyTimeout": "2s"})
		failed <- err
	}()
	untilPorts(t, c, 1)
	c.sw.KillServer()
	refused(t, <-failed, 11, "container torn: lost ovsdb-server")
	c.sw.StartServer()
	if left := strings.Join(c.remains(), ", "); !strings.Contains(left, "address 10.255.1.1") || strings.Contains(left, "veth") {
		t.Errorf("left are %q, expected the port and its address", left)
	}
	x.mustDel()
	c.mustBeEmpty()
}

// TestAddSurvivesARestartOfTheDatabase: who waits for the agent waits on.
func TestAddSurvivesARestartOfTheDatabase(t *testing.T) {
	c := newCell(t)
	x := c.container("patient")
	added := make(chan error, 1)
	go func() {
		_, err := x.add(nil)
		added <- err
	}()
	untilPorts(t, c, 1)
	c.sw.KillServer()
	c.sw.StartServer()
	c.agent(ready)
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	if err := x.check(); err != nil {
		t.Error(err)
	}
	x.mustDel()
	c.mustBeEmpty()
}

func TestVswitchdDown(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	c.sw.KillVswitchd()
	_, err := c.container("early").add(map[string]any{"readyTimeout": "1s"})
	refused(t, err, 11, "is ovs-vswitchd running?")
	if out, err := exec.Command("ovs-vsctl", "--db="+c.sw.DB(), "list-ports", bridge).Output(); err != nil || len(out) != 0 {
		t.Errorf("left behind: %s (%v)", out, err)
	}
	c.mustBeEmpty()
	c.sw.StartVswitchd()
}

// TestResultThatNobodyReads: an ADD whose runtime is gone, or has no room for the
// result, has failed and leaves nothing.
func TestResultThatNobodyReads(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("unheard")
	read, gone, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer gone.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for why, stdout := range map[string]*os.File{"broken pipe": gone, "no space left on device": full} {
		add := x.command("ADD", c.stdin("1.0.0"))
		add.Stdout = stdout
		if err := add.Run(); err == nil || add.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: ADD ends with %v, expected an error", why, err)
		}
		c.mustBeEmpty()
	}
	args := &skel.CmdArgs{ContainerID: x.id, IfName: "eth0", Netns: x.ns.Path(), StdinData: []byte(c.stdin("1.0.0"))}
	refused(t, cni.Plugin{Stdout: full}.Add(args), 5, "the result cannot be written to stdout: write /dev/full: no space left on device")
	c.mustBeEmpty()
	x.mustAdd()
	x.mustDel()
	c.mustBeEmpty()
}

func untilPorts(t *testing.T, c *cell, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ports, err := c.db.Ports(bridge)
		if err == nil && len(ports) == n && ports[0].OFPort > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("ports are %+v (%v), waited 10 s for %d", ports, err, n)
		}
	}
}

// TestUndoAfterEachStep: ADD breaks after each of its steps in turn, and
// nothing is left; then all of them succeed.
func TestUndoAfterEachStep(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("broken")
	args := &skel.CmdArgs{ContainerID: x.id, IfName: "eth0", Netns: x.ns.Path(), StdinData: []byte(c.stdin("1.0.0"))}
	for n, all := 0, 1; n <= all; n++ {
		var done []string
		var err error
		done, all, err = cni.AddBreaking(args, n)
		if err == nil || !strings.Contains(err.Error(), "as the test wants it") {
			t.Fatalf("after %q: %v", done, err)
		}
		if left := c.remains(); len(left) != 0 {
			t.Errorf("after %q: left behind: %v", done, left)
		}
		if n == all && len(done) < 6 {
			t.Errorf("only %d steps: %q", len(done), done)
		}
	}
	x.mustAdd()
	x.mustDel()
	c.mustBeEmpty()
}
