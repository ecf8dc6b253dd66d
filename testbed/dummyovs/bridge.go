package dummyovs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bridge is a bridge of a Switch, in fail mode secure: it does nothing that no
// flow tells it.
type Bridge struct {
	*Switch
	Name string
	of   *openflow // opened by the first PacketOut
}

// AddBridge makes a bridge that speaks OpenFlow 1.0 to 1.5.
func (s *Switch) AddBridge(name string) *Bridge {
	s.t.Helper()
	s.Vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure",
		"protocols=OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15")
	return &Bridge{Switch: s, Name: name}
}

// NameTables names flow tables, as ovs-ofctl --names prints them.
func (b *Bridge) NameTables(names map[uint8]string) {
	b.t.Helper()
	var args []string
	for _, id := range slices.Sorted(maps.Keys(names)) {
		args = append(args, "--", fmt.Sprintf("--id=@t%d", id), "create", "Flow_Table", "name="+names[id],
			"--", "set", "bridge", b.Name, fmt.Sprintf("flow_tables:%d=@t%d", id, id))
	}
	b.Vsctl(args[1:]...)
}

// AddTunnel adds a flow-based VXLAN port with the Group Policy extension. Its
// UDP port is not 4789: OVS's userspace loses a GBP tunnel with that number at
// the next reconfiguration.
func (b *Bridge) AddTunnel(name string, ofport int) {
	b.t.Helper()
	b.Vsctl("add-port", b.Name, name, "--", "set", "interface", name, "type=vxlan",
		fmt.Sprintf("ofport_request=%d", ofport), "options:remote_ip=flow", "options:key=flow", "options:exts=gbp", "options:dst_port=4788")
}

// AddFlows adds flows atomically, one per line.
func (b *Bridge) AddFlows(text string) {
	b.t.Helper()
	b.Ofctl(text, "--bundle", "add-flows", b.Name, "-")
}

// ReplaceFlows makes the flows exactly these, atomically; equal ones keep
// their counters.
func (b *Bridge) ReplaceFlows(text string) {
	b.t.Helper()
	b.Ofctl(text, "--bundle", "replace-flows", b.Name, "-")
}

// DumpFlows returns the flows without statistics, with table names and port
// numbers, one per line, in the switch's order.
func (b *Bridge) DumpFlows() string {
	b.t.Helper()
	return b.dump("--no-stats")
}

// DumpStats is DumpFlows with statistics that count every packet up to now. It
// empties the datapath's flow cache.
func (b *Bridge) DumpStats() string {
	b.t.Helper()
	// Counters of cached packets reach the flows when the cache is emptied.
	b.Appctl("revalidator/purge")
	return b.dump("--stats")
}

// dump prints numbers for ports and tables: --names would print names for both.
func (b *Bridge) dump(stats string) string {
	b.t.Helper()
	out := b.Ofctl("", "--no-names", stats, "dump-flows", b.Name)
	var flows strings.Builder
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, " ") {
			flows.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return flows.String()
}

// Trace explains what would happen to a packet (ofproto/trace): a flow in the
// syntax of ovs-fields(7), then options such as "--ct-next", "trk,new". It
// knows nothing of a connection's original tuple or entry: where those matter,
// send a packet.
func (b *Bridge) Trace(flow string, options ...string) string {
	b.t.Helper()
	return b.Appctl("ofproto/trace", append([]string{b.Name, flow}, options...)...)
}
