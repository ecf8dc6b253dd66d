package ovn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/daemon"
)

// The switch's bridge, and the folder in which Debian keeps the schemas.
const (
	bridge  = "br-int"
	schemas = "/usr/share/ovn"
)

// OVN is a running OVN that holds a scene. It is for one goroutine.
type OVN struct {
	scene  scene.Scene
	dir    string
	sw     *gauge.Switch
	nbd    *daemon.Process // northbound ovsdb-server
	sbd    *daemon.Process
	northd *daemon.Process
	agent  *daemon.Process // ovn-controller

	nb, sb, ovs database

	ports   []string // UUIDs of logical switch ports, by container
	groups  []string // of port groups, by app
	chassis []string // of the other cells, from cell 1
	acls    map[scene.Policy]string
	network string // UUID of the logical switch
}

// Start runs OVN without anything in it, in an empty folder that has a path of
// at most 80 bytes. The caller ends it with Stop.
func Start(ctx context.Context, dir string, s scene.Scene) (o *OVN, err error) {
	o = &OVN{scene: s, dir: dir, acls: map[scene.Policy]string{}}
	defer func() {
		if err != nil {
			o.Stop()
		}
	}()
	if o.nbd, err = gauge.StartDatabase(ctx, dir, "nb", schemas+"/ovn-nb.ovsschema"); err != nil {
		return o, err
	}
	if o.sbd, err = gauge.StartDatabase(ctx, dir, "sb", schemas+"/ovn-sb.ovsschema"); err != nil {
		return o, err
	}
	if o.sw, err = gauge.StartSwitch(ctx, dir, gauge.DummyOverride); err != nil {
		return o, err
	}
	for _, c := range []struct {
		db                    *database
		socket, schema, table string
	}{{&o.nb, "nb", "OVN_Northbound", "NB_Global"}, {&o.sb, "sb", "OVN_Southbound", "SB_Global"}, {&o.ovs, "db", "Open_vSwitch", "Bridge"}} {
		if *c.db, err = connect(ctx, o.path(c.socket+".sock"), c.schema, c.table); err != nil {
			return o, err
		}
	}
	return o, o.configure(ctx)
}

// configure makes the bridge and says where everything is.
func (o *OVN) configure(ctx context.Context) error {
	settings := []string{"system-id=" + scene.CellID(0), "ovn-remote=unix:" + o.path("sb.sock"), "ovn-encap-type=geneve",
		"ovn-encap-ip=127.0.0.1", "ovn-openflow-probe-interval=0", "ovn-remote-probe-interval=0", "ovn-monitor-all=true"}
	argv := []string{"ovs-vsctl", "--db=" + o.sw.DB(), "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=dummy", "fail_mode=secure"}
	for _, s := range settings {
		argv = append(argv, "--", "set", "Open_vSwitch", ".", "external_ids:"+s)
	}
	if _, err := o.sw.Run(ctx, argv...); err != nil {
		return err
	}
	_, err := o.nb.transact(ctx, insert("NB_Global", "", ovsdb.Row{"nb_cfg": 0}))
	return err
}

// Stop ends everything.
func (o *OVN) Stop() {
	for _, db := range []database{o.nb, o.sb, o.ovs} {
		if db.Client != nil {
			db.Close()
		}
	}
	for _, d := range []*daemon.Process{o.agent, o.northd, o.sbd, o.nbd} {
		if d != nil {
			d.Kill()
		}
	}
	if o.sw != nil {
		o.sw.Stop()
	}
}

// Processes are those that work on a change.
func (o *OVN) Processes() []gauge.Process {
	return []gauge.Process{
		{Name: "ovn-northd", PID: o.northd.PID}, {Name: "ovn-controller", PID: o.agent.PID},
		{Name: "ovsdb-server (northbound)", PID: o.nbd.PID}, {Name: "ovsdb-server (southbound)", PID: o.sbd.PID},
		{Name: "ovsdb-server", PID: o.sw.Server.PID}, {Name: "ovs-vswitchd", PID: o.sw.Vswitchd.PID},
	}
}

// Version is what ovn-controller says of itself: "23.03.1".
func Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "ovn-controller", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ovn-controller (is Debian's ovn-host installed?): %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	words := strings.Fields(first)
	if len(words) == 0 {
		return "", fmt.Errorf("ovn-controller --version says %q", out)
	}
	return words[len(words)-1], nil
}

func (o *OVN) startNorthd() (err error) {
	o.northd, err = o.start("ovn-northd", "--ovnnb-db=unix:"+o.path("nb.sock"), "--ovnsb-db=unix:"+o.path("sb.sock"),
		"--unixctl="+o.path("ovn-northd.ctl"), "--log-file="+o.path("ovn-northd.log"), "-vconsole:off")
	return err
}

func (o *OVN) startAgent() (err error) {
	o.agent, err = o.start("ovn-controller", o.sw.DB(), "--log-file="+o.path("ovn-controller.log"), "-vconsole:off")
	return err
}

// agentControl is ovn-controller's control socket, which has its process id in
// its name.
func (o *OVN) agentControl() string {
	return o.path(fmt.Sprintf("ovn-controller.%d.ctl", o.agent.PID))
}

// start starts a daemon; what it says before it has its log goes beside that.
func (o *OVN) start(argv ...string) (*daemon.Process, error) {
	said, err := os.OpenFile(o.path(argv[0]+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	env := append(o.sw.Env(), "OVN_RUNDIR="+o.dir, "OVN_LOGDIR="+o.dir, "OVN_DBDIR="+o.dir)
	return daemon.Start(daemon.Program{Argv: argv, Env: env, Dir: o.dir, Log: said})
}

// alive fails if a daemon that works on changes has ended.
func (o *OVN) alive() error {
	for name, d := range map[string]*daemon.Process{"ovn-northd": o.northd, "ovn-controller": o.agent} {
		if d != nil && gauge.Ended(d) {
			said, _ := os.ReadFile(o.path(name + ".out")) // for the error only
			return fmt.Errorf("%s has ended: %s", name, said)
		}
	}
	return nil
}

func (o *OVN) path(name string) string { return filepath.Join(o.dir, name) }

// patience bounds one change: an ovn-controller that starts with everything
// takes minutes. Every so often we look whether the daemons live.
const (
	patience  = 15 * time.Minute
	lookAfter = 5 * time.Second
)

// How far a change has come: into the southbound database, or into the switch.
const (
	inSouthbound = "sb_cfg"
	inSwitch     = "hv_cfg"
)

// commit makes a change of the northbound database and waits until it has come
// so far: ovn-nbctl --wait=sb and --wait=hv. It returns the UUIDs of what was
// inserted, "" for other operations.
func (o *OVN) commit(ctx context.Context, how string, ops ...operation) ([]string, error) {
	results, err := o.nb.transact(ctx, append(ops, raise("NB_Global", "nb_cfg"), number("NB_Global", "nb_cfg"))...)
	if err != nil {
		return nil, err
	}
	rows := results[len(ops)+1].Rows
	if len(rows) != 1 {
		return nil, fmt.Errorf("NB_Global has %d rows, want 1", len(rows))
	}
	now, ok := rows[0]["nb_cfg"].(float64)
	if !ok {
		return nil, fmt.Errorf("nb_cfg is %v", rows[0]["nb_cfg"])
	}
	return inserted(results[:len(ops)]), o.reached(ctx, how, int(now))
}

// reached waits for a number in NB_Global.
func (o *OVN) reached(ctx context.Context, how string, number int) error {
	for begin := time.Now(); ; {
		_, err := o.nb.transact(ctx, until("NB_Global", how, number, int(lookAfter.Milliseconds())))
		if err == nil {
			return nil
		}
		if ended := o.alive(); ended != nil {
			return ended
		}
		if !errors.Is(err, errTimedOut) || time.Since(begin) > patience {
			return fmt.Errorf("waiting for %s=%d: %w", how, number, err)
		}
	}
}
