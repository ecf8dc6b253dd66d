package dummyovs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/daemon"
)

// startTimeout bounds the start of a daemon on a loaded machine.
const startTimeout = 20 * time.Second

// schema is where Debian's package puts the database schema.
const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// Switch is a running ovsdb-server and ovs-vswitchd of one test. Its methods
// fail the test on any error, and are for the test's goroutine only.
type Switch struct {
	t        testing.TB
	dummy    string // what --enable-dummy replaces; "" for nothing
	dir      string
	server   *daemon.Process
	vswitchd *daemon.Process
	control  *unixctl
}

// Start starts a switch without bridges. It stops with the test. The daemons
// also end if the test's process is killed.
func Start(t testing.TB) *Switch {
	t.Helper()
	return start(t, "system")
}

// StartOverride is Start with every datapath and device replaced, the userspace
// datapath and tunnels too: a bridge may have any datapath_type, but what a
// flow would send to a tunnel is not shown as tunnelled.
func StartOverride(t testing.TB) *Switch {
	t.Helper()
	return start(t, "override")
}

// StartUserspace is Start with nothing replaced: OVS's userspace datapath
// (datapath_type=netdev) between real network devices. The test must be in a
// network namespace of its own, as root.
func StartUserspace(t testing.TB) *Switch {
	t.Helper()
	return start(t, "")
}

func start(t testing.TB, dummy string) *Switch {
	t.Helper()
	// Not t.TempDir: a unix socket's path has room for 107 bytes, and the
	// names of subtests are long.
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		t.Fatal(err)
	}
	s := &Switch{t: t, dummy: dummy, dir: dir}
	t.Cleanup(s.stop)
	s.Run("ovsdb-tool", "create", s.path("conf.db"), schema)
	s.StartServer()
	s.Vsctl("--no-wait", "init")
	s.StartVswitchd()
	return s
}

// DB is the database's endpoint, in the form of ovs-vsctl --db: unix:/….
func (s *Switch) DB() string { return "unix:" + s.path("db.sock") }

// RunDir is the directory of the switch's sockets, as OVS_RUNDIR.
func (s *Switch) RunDir() string { return s.dir }

// Mgmt is the OpenFlow endpoint of a bridge, as ovs-ofctl takes it: unix:/….
func (s *Switch) Mgmt(bridge string) string { return "unix:" + s.path(bridge+".mgmt") }

// Run runs a program with the switch's environment and returns its output.
func (s *Switch) Run(name string, args ...string) string {
	s.t.Helper()
	return s.RunWith("", name, args...)
}

// RunWith is Run with a standard input.
func (s *Switch) RunWith(stdin, name string, args ...string) string {
	s.t.Helper()
	out, err := s.Try(stdin, name, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Try is RunWith for commands that may fail.
func (s *Switch) Try(stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), s.env()...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Vsctl runs ovs-vsctl on the switch's database.
func (s *Switch) Vsctl(args ...string) string {
	s.t.Helper()
	return s.Run("ovs-vsctl", append([]string{"--db=" + s.DB()}, args...)...)
}

// Ofctl runs ovs-ofctl over OpenFlow 1.4 with a standard input.
func (s *Switch) Ofctl(stdin string, args ...string) string {
	s.t.Helper()
	return s.RunWith(stdin, "ovs-ofctl", append([]string{"-O", "OpenFlow14"}, args...)...)
}

// Appctl calls ovs-vswitchd over its control socket, without a process.
func (s *Switch) Appctl(command string, args ...string) string {
	s.t.Helper()
	out, err := s.control.call(command, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// FlushConntrack forgets all connections.
func (s *Switch) FlushConntrack() {
	s.t.Helper()
	s.Appctl("dpctl/flush-conntrack")
}

// StartServer starts ovsdb-server after KillServer.
func (s *Switch) StartServer() {
	s.t.Helper()
	s.server = s.start("db.sock", "ovsdb-server", s.path("conf.db"),
		"--remote=p"+s.DB(), "--unixctl="+s.path("ovsdb.ctl"), "--log-file="+s.path("ovsdb-server.log"), "-vconsole:off")
}

// KillServer kills ovsdb-server (SIGKILL).
func (s *Switch) KillServer() {
	s.server.Kill()
	os.Remove(s.path("db.sock"))
}

// StartVswitchd starts ovs-vswitchd after KillVswitchd.
func (s *Switch) StartVswitchd() {
	s.t.Helper()
	args := []string{s.DB()}
	if s.dummy != "" {
		args = append(args, "--enable-dummy="+s.dummy) // before --disable-system, which would disable it
	}
	s.vswitchd = s.start("vswitchd.ctl", "ovs-vswitchd", append(args,
		"--disable-system", "--unixctl="+s.path("vswitchd.ctl"), "--log-file="+s.path("ovs-vswitchd.log"), "-vconsole:off")...)
	control, err := dialUnixctl(s.path("vswitchd.ctl"))
	if err != nil {
		s.t.Fatalf("connect to ovs-vswitchd: %v", err)
	}
	s.control = control
}

// KillVswitchd kills ovs-vswitchd (SIGKILL): flows and connections are lost.
func (s *Switch) KillVswitchd() {
	s.control.close()
	s.vswitchd.Kill()
	os.Remove(s.path("vswitchd.ctl"))
}

// PauseVswitchd makes ovs-vswitchd hang (SIGSTOP) until ResumeVswitchd: its
// sockets still take connections and some bytes, and nobody answers.
func (s *Switch) PauseVswitchd() {
	s.t.Helper()
	s.signalVswitchd(syscall.SIGSTOP)
}

// ResumeVswitchd ends what PauseVswitchd began.
func (s *Switch) ResumeVswitchd() {
	s.t.Helper()
	s.signalVswitchd(syscall.SIGCONT)
}

func (s *Switch) signalVswitchd(signal syscall.Signal) {
	s.t.Helper()
	if err := s.vswitchd.Signal(signal); err != nil {
		s.t.Fatalf("ovs-vswitchd: %v", err)
	}
}

func (s *Switch) stop() {
	if s.control != nil {
		s.control.close()
	}
	for _, d := range []*daemon.Process{s.vswitchd, s.server} {
		if d != nil {
			d.Kill()
		}
	}
	if s.t.Failed() {
		for _, name := range []string{"ovs-vswitchd.log", "ovsdb-server.log"} {
			s.t.Logf("%s:\n%s", name, warnings(s.path(name)))
		}
	}
	os.RemoveAll(s.dir)
}

// warnings returns the lines of a log that somebody who debugs wants to see.
func warnings(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "|WARN|") || strings.Contains(line, "|ERR|") || strings.Contains(line, "|EMER|") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func (s *Switch) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Switch) env() []string {
	return []string{"OVS_RUNDIR=" + s.dir, "OVS_LOGDIR=" + s.dir, "OVS_DBDIR=" + s.dir}
}

// start starts a daemon and waits until it listens on the socket.
func (s *Switch) start(socket, name string, args ...string) *daemon.Process {
	s.t.Helper()
	d, err := daemon.Start(daemon.Program{Argv: append([]string{name}, args...), Env: s.env(), Dir: s.dir})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := waitFor(s.path(socket)); err != nil {
		d.Kill()
		log, _ := os.ReadFile(s.path(name + ".log"))
		s.t.Fatalf("%s does not answer (is Debian's openvswitch-switch installed?): %v\n%s", name, err, log)
	}
	return d
}

func waitFor(socket string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return daemon.Await(ctx, socket)
}
