package testbed

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/api"
)

// cell is a cell as all tests share it.
type cell struct {
	w     *world
	name  string // cell id, network namespace and first part of its logs
	vtep  netip.Addr
	in    ns.NetNS
	dir   string
	ovs   *ovs
	agent *process
}

// Cell is a cell as one test sees it.
type Cell struct {
	bed *Bed
	*cell
}

// Name returns the cell's id.
func (c *Cell) Name() string { return c.name }

// VTEP returns the cell's tunnel end address.
func (c *Cell) VTEP() netip.Addr { return c.vtep }

// newCell makes the namespace, plugs it into the underlay and starts its
// switch and agent. It does not wait for the agent.
func (w *world) newCell(name string, vtep netip.Addr) (*cell, error) {
	c := &cell{w: w, name: name, vtep: vtep, dir: filepath.Join(w.dir, name)}
	var err error
	if c.in, err = newNetNS(name); err != nil {
		return nil, err
	}
	if err := plugIntoUnderlay(name, c.in, netip.PrefixFrom(vtep, 24)); err != nil {
		return nil, err
	}
	if c.ovs, err = newOVS(w, name, c.in, filepath.Join(c.dir, "ovs")); err != nil {
		return nil, err
	}
	if err := c.addHostAddresses(); err != nil {
		return nil, err
	}
	if err := c.writeAgentConfig(); err != nil {
		return nil, err
	}
	return c, c.startAgent()
}

func (c *cell) path(name string) string { return filepath.Join(c.dir, name) }

// What the cells of every bed open and limit.
var (
	dnsAddress  = netip.MustParseAddr("169.254.0.2")
	hostService = netip.MustParseAddrPort("169.254.0.3:8301")
	// Others have no limit.
	outboundLimits = map[string]string{
		"cell-2": "{rate_per_sec: 5, burst: 10, dry_run: true}",
		"cell-3": "{rate_per_sec: 5, burst: 10}",
	}
)

// addHostAddresses gives the cell the addresses of its services, as BOSH DNS
// and the like do.
func (c *cell) addHostAddresses() error {
	return inNS(c.in, func() error {
		for _, ip := range []netip.Addr{dnsAddress, hostService.Addr()} {
			if err := setAddress("lo", netip.PrefixFrom(ip, 32)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *cell) writeAgentConfig() error {
	config := fmt.Sprintf(`cell: %[1]s
underlay_ip: %[2]s
controller: https://%[3]s:%[4]d
tls: {cert_file: %[5]s/%[1]s.crt, key_file: %[5]s/%[1]s.key, ca_file: %[5]s/ca.crt}
ovsdb: unix:%[6]s/ovs/db.sock
ovs_rundir: %[6]s/ovs
bridge: %[7]s
state_dir: %[6]s/agent
subnet_file: %[6]s/subnet.json
socket: %[6]s/agent.sock
log_level: debug
reconcile_interval: 8s
address_rest: 0s
dns_servers: [%[8]s]
host_services: ["tcp %[9]s"]
no_masquerade: [%[10]s/32]
outbound_connections: %[11]s
flow_log: {file: %[12]s}
`, c.name, c.vtep, controllerAddress.Addr(), internalPort, c.w.pki, c.dir, bridgeName,
		dnsAddress, hostService, unmaskedAddress, cmp.Or(outboundLimits[c.name], "{rate_per_sec: 0}"), c.flowLog())
	return os.WriteFile(c.path("weft-agent.yaml"), []byte(config), 0o644)
}

func (c *cell) startAgent() (err error) {
	c.agent, err = c.w.start(program{name: c.name + "-agent", in: c.in, env: c.ovs.env(), argv: []string{
		c.w.bin + "/weft-agent", "--config", c.path("weft-agent.yaml")}})
	return err
}

// awaitConnected returns when the controller lists the cell as connected and
// weft-cni can attach containers to it.
func (c *cell) awaitConnected() error {
	return c.awaitListed(func(listed api.Cell) bool {
		_, err := c.lease()
		return listed.Connected && err == nil
	})
}

// awaitListed returns when the controller lists the cell, as wanted.
func (c *cell) awaitListed(wanted func(api.Cell) bool) error {
	return await(60*time.Second, c.agent, func() error {
		cells, err := c.w.client.Cells(background())
		if err != nil {
			return err
		}
		for _, listed := range cells {
			if listed.Cell == c.name && wanted(listed) {
				return nil
			}
		}
		return fmt.Errorf("the controller does not list %s, or not yet as it should be: %+v", c.name, cells)
	})
}

// lease reads the cell's overlay subnet as weft-cni does.
func (c *cell) lease() (netip.Prefix, error) {
	data, err := os.ReadFile(c.path("subnet.json"))
	if err != nil {
		return netip.Prefix{}, err
	}
	var file struct{ Subnet netip.Prefix }
	err = json.Unmarshal(data, &file)
	return file.Subnet, err
}

// Lease returns the cell's overlay subnet.
func (c *Cell) Lease() netip.Prefix {
	c.bed.Helper()
	lease, err := c.lease()
	c.bed.must(err)
	return lease
}

// Flows returns the cell's flows as `ovs-ofctl --names dump-flows` prints
// them, of one table or, with "", of all.
func (c *Cell) Flows(table string) []string {
	c.bed.Helper()
	lines, err := c.ovs.dumpFlows(table)
	c.bed.must(err)
	return lines
}

// Dropped returns how many packets the flows of a table have dropped whose
// line contains every one of the words.
func (c *Cell) Dropped(table string, words ...string) uint64 {
	c.bed.Helper()
	return c.Counted(table, append(words, "actions=drop")...)
}

// Counted returns how many packets have met the flows of a table whose line
// contains every one of the words.
func (c *Cell) Counted(table string, words ...string) uint64 {
	c.bed.Helper()
	return Dump(c.Flows(table)).Counted(words...)
}

// Dump are the lines of flows.
type Dump []string

// Counted returns how many packets have met the flows whose line contains every
// one of the words.
func (d Dump) Counted(words ...string) uint64 {
	var n uint64
	for _, line := range d {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n += packets(line)
		}
	}
	return n
}

// Ports returns the names of the containers' ports on the cell's bridge.
func (c *Cell) Ports() []string {
	c.bed.Helper()
	text, err := c.ovs.run("ovs-vsctl", "list-ports", bridgeName)
	c.bed.must(err)
	var ports []string
	for _, name := range strings.Fields(text) {
		if name != "weftvxlan" && name != "weftdeny" {
			ports = append(ports, name)
		}
	}
	return ports
}

// Do calls f on a thread in the cell's network namespace.
func (c *Cell) Do(f func() error) error { return inNS(c.in, f) }

// Command runs a command in the cell's network namespace, where Open vSwitch's
// tools find this cell's switch, and returns what it printed.
func (c *Cell) Command(argv ...string) string {
	c.bed.Helper()
	text, err := c.ovs.run(argv...)
	c.bed.must(err)
	return text
}
