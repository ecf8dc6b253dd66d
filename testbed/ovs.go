package testbed

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/testbed/lab"
)

// schema is where Debian's openvswitch-common has OVSDB's schema.
const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// ovs is one cell's own Open vSwitch: two processes and a folder of sockets.
type ovs struct {
	w        *world
	cell     string
	in       ns.NetNS
	dir      string // OVS_RUNDIR
	db       *process
	vswitchd *process
}

// emptyDatabase makes the database that every cell's is copied from: in the
// lab each run of ovsdb-tool costs as much as the copy of a thousand.
func (w *world) emptyDatabase() error {
	path := filepath.Join(w.dir, "conf.db")
	if _, err := run("ovsdb-tool", "create", path, schema); err != nil {
		return err
	}
	_, err := run("ovsdb-tool", "transact", path, `["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","row":{}}]`)
	return err
}

func newOVS(w *world, cell string, in ns.NetNS, dir string) (*ovs, error) {
	o := &ovs{w: w, cell: cell, in: in, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(w.dir, "conf.db"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(o.path("conf.db"), data, 0o644); err != nil {
		return nil, err
	}
	o.db, err = w.start(program{name: cell + "-ovsdb-server", in: in, env: o.env(), argv: []string{
		"ovsdb-server", o.path("conf.db"), "--remote=punix:" + o.path("db.sock"), "--pidfile", "-vconsole:warn", "-vsyslog:off"}})
	if err != nil {
		return nil, err
	}
	if err := await(20*time.Second, o.db, func() error { return connects(o.path("db.sock")) }); err != nil {
		return nil, err
	}
	return o, o.startVswitchd()
}

func (o *ovs) path(name string) string { return filepath.Join(o.dir, name) }

func (o *ovs) env() []string { return []string{"OVS_RUNDIR=" + o.dir} }

func (o *ovs) startVswitchd() (err error) {
	if err := lab.WaitForOVS(); err != nil {
		return err
	}
	o.vswitchd, err = o.w.start(program{name: o.cell + "-ovs-vswitchd", in: o.in, env: o.env(), argv: []string{
		"ovs-vswitchd", "unix:" + o.path("db.sock"), "--pidfile", "-vconsole:off", "-vsyslog:off",
		"--log-file=" + filepath.Join(o.w.dir, "log", o.cell+"-ovs-vswitchd.log")}})
	if err != nil {
		return err
	}
	return await(20*time.Second, o.vswitchd, func() error {
		return connects(o.path(fmt.Sprintf("ovs-vswitchd.%d.ctl", o.vswitchd.cmd.Process.Pid)))
	})
}

func (o *ovs) stopVswitchd(signal syscall.Signal) error { return o.vswitchd.stop(signal) }

// run runs one of Open vSwitch's tools against this cell's.
func (o *ovs) run(argv ...string) (string, error) {
	return output(program{in: o.in, env: o.env(), argv: argv})
}

// dumpFlows returns the flows of a table ("" for all) as ovs-ofctl prints
// them, with statistics and names.
func (o *ovs) dumpFlows(table string) ([]string, error) {
	argv := []string{"ovs-ofctl", "-O", "OpenFlow14", "--names", "dump-flows", bridgeName}
	if table != "" {
		argv = append(argv, "table="+table)
	}
	text, err := o.run(argv...)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "actions=") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines, nil
}

// packets returns the value of a flow line's n_packets.
func packets(flow string) uint64 {
	_, rest, _ := strings.Cut(flow, "n_packets=")
	digits, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.ParseUint(digits, 10, 64)
	return n
}

// field returns the value of a key that ends at a comma or blank, "" without it.
func field(line, key string) string {
	_, rest, found := strings.Cut(line, key+"=")
	if !found {
		return ""
	}
	if end := strings.IndexAny(rest, ", "); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

func connects(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", filepath.Base(socket), err)
	}
	return c.Close()
}
