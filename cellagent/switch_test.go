package cellagent_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// ovs is a real ovsdb-server and ovs-vswitchd for one test. Every datapath and
// device is a dummy one: package dummyovs leaves the userspace datapath real,
// and its bridges would need devices of this machine.
type ovs struct {
	t        testing.TB
	dir      string
	database *daemon
	vswitchd *daemon
}

// daemon is a process that ends with its standard input, and so with us.
type daemon struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// supervise waits for the end of its standard input.
const supervise = `"$@" </dev/null & read -r _; kill -9 $!`

func startOVS(t testing.TB) *ovs {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft-agent") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	o := &ovs{t: t, dir: dir}
	t.Cleanup(func() {
		o.killVswitchd()
		o.killDatabase()
		os.RemoveAll(dir)
	})
	o.tool("ovsdb-tool", "create", o.path("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema")
	o.startDatabase()
	o.vsctl("--no-wait", "init")
	o.startVswitchd()
	return o
}

func (o *ovs) path(name string) string { return filepath.Join(o.dir, name) }
func (o *ovs) endpoint() string        { return "unix:" + o.path("db.sock") }

func (o *ovs) startDatabase() {
	o.t.Helper()
	o.database = o.start("ovsdb-server", o.path("conf.db"), "--remote=punix:"+o.path("db.sock"),
		"--unixctl="+o.path("ovsdb-server.ctl"), "--log-file="+o.path("ovsdb-server.log"), "-vconsole:off")
	o.untilListens("db.sock")
}

func (o *ovs) startVswitchd() {
	o.t.Helper()
	o.vswitchd = o.start("ovs-vswitchd", o.endpoint(), "--enable-dummy=override", "--disable-system",
		"--unixctl="+o.path("ovs-vswitchd.ctl"), "--log-file="+o.path("ovs-vswitchd.log"), "-vconsole:off")
	o.untilListens("ovs-vswitchd.ctl")
}

func (o *ovs) start(args ...string) *daemon {
	o.t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", supervise, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return &daemon{cmd, stdin}
}

// untilListens waits for a socket that somebody accepts at: it is bound, and so
// visible, a moment before that.
func (o *ovs) untilListens(name string) {
	o.t.Helper()
	eventually(o.t, 10*time.Second, name+" answers", func() bool {
		conn, err := net.Dial("unix", o.path(name))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill -9 leaves sockets behind, which the next start must not be taken for.
func (o *ovs) killDatabase() { o.database.kill(); os.Remove(o.path("db.sock")) }
func (o *ovs) killVswitchd() { o.vswitchd.kill(); os.Remove(o.path("ovs-vswitchd.ctl")) }

func (d *daemon) kill() {
	if d != nil {
		d.stdin.Close()
		_ = d.cmd.Wait() // the shell's status is that of kill
	}
}

func (o *ovs) tool(name string, args ...string) string {
	o.t.Helper()
	out, err := o.try(name, args...)
	if err != nil {
		o.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (o *ovs) try(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (o *ovs) vsctl(args ...string) string {
	o.t.Helper()
	return o.tool("ovs-vsctl", append([]string{"--db=" + o.endpoint(), "--timeout=5"}, args...)...)
}

// ofctl speaks to a bridge; the bridge's address goes after the command.
func (o *ovs) ofctl(bridge, command string, args ...string) string {
	o.t.Helper()
	return o.tool("ovs-ofctl", append([]string{"-O", flows.OpenFlow, "--no-names", command, "unix:" + o.path(bridge+".mgmt")}, args...)...)
}

// table is what br-weft holds; nil while nobody answers for it.
func (o *ovs) table() flows.Table {
	o.t.Helper()
	out, err := o.try("ovs-ofctl", "-O", flows.OpenFlow, "--no-names", "--no-stats", "dump-flows", "unix:"+o.path("br-weft.mgmt"))
	if err != nil {
		return nil
	}
	table, err := flows.ParseTable(out)
	if err != nil {
		o.t.Fatal(err)
	}
	return table
}

// hand is a connection to the database like weft-cni's.
func (o *ovs) hand() *ovsdb.Client {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	client, err := ovsdb.Dial(ctx, o.endpoint())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(client.Close)
	return client
}

// eventually fails the test if a condition does not come true.
func eventually(t testing.TB, within time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
