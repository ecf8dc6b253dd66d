package ovsdb_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
)

// ovs is a real ovsdb-server and ovs-vswitchd of this test's own, without root
// or kernel datapath. Either can be killed and started again.
type ovs struct {
	t        *testing.T
	dir      string
	dummy    string // ovs-vswitchd's option
	database *exec.Cmd
	vswitchd *exec.Cmd
}

const (
	allDummy   = "--enable-dummy=override" // every device is a dummy one
	mixedDummy = "--enable-dummy"          // a device without a type must exist
)

// startOVS starts both.
func startOVS(t *testing.T, dummy string) *ovs {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft-ovsdb") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	o := &ovs{t: t, dir: dir, dummy: dummy}
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
	o.vswitchd = o.start("ovs-vswitchd", o.endpoint(), o.dummy, "--disable-system",
		"--unixctl="+o.path("ovs-vswitchd.ctl"), "--log-file="+o.path("ovs-vswitchd.log"), "-vconsole:off")
	o.untilListens("ovs-vswitchd.ctl")
}

func (o *ovs) start(name string, args ...string) *exec.Cmd {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	return cmd
}

// untilListens waits for a socket that somebody accepts at: it is bound, and so
// visible, a moment before that.
func (o *ovs) untilListens(name string) {
	o.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", o.path(name))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("waiting 10 s for %s: %v", name, err)
		}
	}
}

// kill -9 leaves sockets behind, which the next start must not be taken for.
func (o *ovs) killDatabase() { stop(o.database); os.Remove(o.path("db.sock")) }
func (o *ovs) killVswitchd() { stop(o.vswitchd); os.Remove(o.path("ovs-vswitchd.ctl")) }

func stop(cmd *exec.Cmd) {
	if cmd != nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

func (o *ovs) tool(name string, args ...string) string {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+o.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (o *ovs) vsctl(args ...string) string {
	o.t.Helper()
	return o.tool("ovs-vsctl", append([]string{"--db=" + o.endpoint(), "--timeout=5"}, args...)...)
}

// transactions counts what we have written: each carries our comment in the
// database's log.
func (o *ovs) transactions() int {
	o.t.Helper()
	log, err := os.ReadFile(o.path("conf.db"))
	if err != nil {
		o.t.Fatal(err)
	}
	return bytes.Count(log, []byte(`"_comment":"weft: `))
}

// dial connects, for the length of the test.
func (o *ovs) dial() *ovsdb.Client {
	o.t.Helper()
	c, err := ovsdb.Dial(o.t.Context(), o.endpoint())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(c.Close)
	return c
}

// within gives an operation d, and the test's end at the latest.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}
