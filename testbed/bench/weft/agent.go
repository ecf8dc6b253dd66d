package weft

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/daemon"
)

// bridge is the measured cell's.
const bridge = "br-weft"

// configureAgent writes weft-agent's configuration file: what init would, but
// for the places of a private Open vSwitch.
func (w *Weft) configureAgent() error {
	config := fmt.Sprintf(`cell: %[1]s
underlay_ip: %[2]s
controller: https://%[3]s
tls: {cert_file: %[4]s/%[1]s.crt, key_file: %[4]s/%[1]s.key, ca_file: %[4]s/ca.crt}
ovsdb: %[5]s
ovs_rundir: %[6]s
bridge: %[7]s
state_dir: %[4]s/agent
subnet_file: %[4]s/subnet.json
socket: %[4]s/agent.sock
flow_log: {file: ""}
`, scene.CellID(0), vtep(0), w.controller.internal, w.dir, w.sw.DB(), w.sw.RunDir(), bridge)
	return os.WriteFile(w.path("agent.yaml"), []byte(config), 0o600)
}

// startAgent starts weft-agent and does not wait for anything.
func (w *Weft) startAgent() error {
	log, err := os.OpenFile(w.path("agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	w.agent, err = daemon.Start(daemon.Program{Argv: []string{filepath.Join(w.programs, "weft-agent"), "--config", w.path("agent.yaml")}, Log: log})
	return err
}

// stopAgent stops it, and returns when the controller knows.
func (w *Weft) stopAgent(ctx context.Context) error {
	if err := gauge.Stop(ctx, w.agent); err != nil {
		return err
	}
	return w.controller.untilCell(ctx, cellAway)
}

// status asks the agent, which compares the whole table for it.
func (w *Weft) status(ctx context.Context) (cellagent.Status, error) {
	return cellagent.FetchStatus(ctx, w.path("agent.sock"))
}

// plug writes the rows of the measured cell's containers as weft-cni does, and
// waits until the agent has marked them all.
func (w *Weft) plug(ctx context.Context) error {
	boot, err := ovsdb.BootID()
	if err != nil {
		return err
	}
	db, err := ovsdb.Dial(ctx, w.sw.DB())
	if err != nil {
		return err
	}
	defer db.Close()
	subnet, err := w.subnet(ctx)
	if err != nil {
		return err
	}
	var names []string
	for i, c := range w.scene.Containers {
		if c.Cell != 0 {
			continue
		}
		ip := address(subnet, c.Index)
		name := fmt.Sprintf("c%d", i)
		names = append(names, name)
		if err := db.AddPort(ctx, bridge, scene.CellID(0), ovsdb.Port{
			Name: name, Container: c.ID, IfName: "eth0", App: w.scene.Apps[c.App], IP: ip, MAC: flows.MACOf(ip).String(), BootID: boot,
		}); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := db.WaitReady(ctx, name); err != nil {
			return fmt.Errorf("port %s: %w", name, err)
		}
	}
	return nil
}

// subnet is the measured cell's.
func (w *Weft) subnet(ctx context.Context) (netip.Prefix, error) {
	cells, err := w.controller.client.Cells(ctx)
	for _, cell := range cells {
		if cell.Cell == scene.CellID(0) {
			return netip.ParsePrefix(cell.Subnet)
		}
	}
	return netip.Prefix{}, fmt.Errorf("the measured cell has no lease: %w", err)
}

// address is that of a cell's container: the subnet's first two are no
// container's.
func address(subnet netip.Prefix, index int) netip.Addr {
	ip := subnet.Addr().Next()
	for range index + 1 {
		ip = ip.Next()
	}
	return ip
}

// restarts of the agent take at most this long.
const restartPatience = 2 * time.Minute
