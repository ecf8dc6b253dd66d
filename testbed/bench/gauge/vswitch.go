package gauge

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weft-sdn/weft/testbed/daemon"
)

// startPatience bounds the start of a daemon on a loaded machine.
const startPatience = 30 * time.Second

// Switch is a private ovsdb-server and ovs-vswitchd with OVS's dummy datapath,
// in a folder of their own: real tables and a real classifier, and no packets.
type Switch struct {
	Server, Vswitchd *daemon.Process
	dir              string
}

// What of OVS the dummy implementation replaces: the kernel's datapath and
// devices, or all.
const (
	DummySystem   = "system"
	DummyOverride = "override"
)

// StartSwitch makes a database in a folder that is there, which must have a path
// of at most 80 bytes, and runs both daemons.
func StartSwitch(ctx context.Context, dir, dummy string) (*Switch, error) {
	s := &Switch{dir: dir}
	var err error
	if s.Server, err = StartDatabase(ctx, dir, "db", "/usr/share/openvswitch/vswitch.ovsschema"); err != nil {
		return nil, err
	}
	if _, err = s.Run(ctx, "ovs-vsctl", "--db="+s.DB(), "--no-wait", "init"); err == nil {
		// --enable-dummy comes before --disable-system, which would disable it.
		s.Vswitchd, err = s.start("ovs-vswitchd", s.DB(), "--enable-dummy="+dummy, "--disable-system",
			"--unixctl="+s.path("ovs-vswitchd.ctl"), "--log-file="+s.path("ovs-vswitchd.log"), "-vconsole:off")
	}
	if err == nil {
		err = await(ctx, s.path("ovs-vswitchd.ctl"))
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// StartDatabase runs an ovsdb-server with an empty database of a schema. It
// answers at NAME.sock in the folder.
func StartDatabase(ctx context.Context, dir, name, schema string) (*daemon.Process, error) {
	file, socket := filepath.Join(dir, name+".conf"), filepath.Join(dir, name+".sock")
	if out, err := exec.CommandContext(ctx, "ovsdb-tool", "create", file, schema).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ovsdb-tool create %s %s: %w: %s", file, schema, err, out)
	}
	server, err := daemon.Start(daemon.Program{Dir: dir, Argv: []string{"ovsdb-server", file, "--remote=punix:" + socket,
		"--unixctl=" + filepath.Join(dir, name+".ctl"), "--log-file=" + filepath.Join(dir, name+".log"), "-vconsole:off"}})
	if err != nil {
		return nil, err
	}
	if err := await(ctx, socket); err != nil {
		server.Kill()
		return nil, err
	}
	return server, nil
}

// Stop ends both daemons. What they wrote stays.
func (s *Switch) Stop() {
	for _, d := range []*daemon.Process{s.Vswitchd, s.Server} {
		if d != nil {
			d.Kill()
		}
	}
}

// DB is the database's endpoint: unix:/….
func (s *Switch) DB() string { return "unix:" + s.path("db.sock") }

// RunDir is the folder of the switch's sockets, as OVS_RUNDIR.
func (s *Switch) RunDir() string { return s.dir }

// Mgmt is the path of a bridge's OpenFlow socket.
func (s *Switch) Mgmt(bridge string) string { return s.path(bridge + ".mgmt") }

// Run runs a program of OVS with the switch's environment, and returns what it
// printed.
func (s *Switch) Run(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return string(out), nil
}

// Env is the environment of whoever speaks with the switch.
func (s *Switch) Env() []string {
	return []string{"OVS_RUNDIR=" + s.dir, "OVS_LOGDIR=" + s.dir, "OVS_DBDIR=" + s.dir}
}

func (s *Switch) start(argv ...string) (*daemon.Process, error) {
	return daemon.Start(daemon.Program{Argv: argv, Env: s.Env(), Dir: s.dir})
}

func (s *Switch) path(name string) string { return filepath.Join(s.dir, name) }

func await(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := daemon.Await(ctx, socket); err != nil {
		return fmt.Errorf("nobody listens on %s (are Debian's packages installed? the log beside it may say more): %w", socket, err)
	}
	return nil
}
