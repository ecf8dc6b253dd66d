package flows

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// rig is a real switch that holds a cell's table; the test plays the
// containers and the other cells.
type rig struct {
	t     testing.TB
	br    *dummyovs.Bridge
	cell  CellState
	ports map[OFPort]*dummyovs.Port
	deny  *dummyovs.Port
	seen  map[Flow]uint64 // packets counted so far
}

func newRig(t testing.TB) *rig {
	t.Helper()
	br := dummyovs.Start(t).AddBridge("br-weft")
	br.NameTables(TableNames())
	br.AddTunnel("tunnel", int(TunnelOFPort))
	// Else OVS encapsulates by itself, and wants a route for it.
	br.Appctl("dpif/set-dp-features", "br-weft", "tnl_push_pop", "false")
	return &rig{t: t, br: br, ports: make(map[OFPort]*dummyovs.Port), deny: br.AddPort("weftdeny", int(DenyOFPort))}
}

// load makes the cell's table the switch's, as a bundle, without forgetting
// connections.
func (r *rig) load(cell CellState) {
	r.t.Helper()
	r.loadTable(cell, Compile(cell))
}

func (r *rig) loadTable(cell CellState, table Table) {
	r.t.Helper()
	r.cell = cell
	for _, ep := range cell.Local {
		if r.ports[ep.OFPort] == nil {
			r.ports[ep.OFPort] = r.br.AddPort(fmt.Sprintf("c%d", ep.OFPort), int(ep.OFPort))
		}
	}
	r.br.ReplaceFlows(table.String())
	r.seen = r.counters()
}

var packetsCounted = regexp.MustCompile(`n_packets=(\d+)`)

func (r *rig) counters() map[Flow]uint64 {
	r.t.Helper()
	counted := make(map[Flow]uint64)
	for line := range strings.Lines(r.br.DumpStats()) {
		f, err := ParseFlow(line)
		n := packetsCounted.FindStringSubmatch(line)
		if err != nil || n == nil {
			r.t.Fatalf("dumped flow %q: %v", line, err)
		}
		counted[f], _ = strconv.ParseUint(n[1], 10, 64)
	}
	return counted
}

// verdict is what became of one packet, according to the switch's counters:
// exactly one flow ends its journey. fromPort says that inject sends it by a
// port, which does not wait until it is handled.
func (r *rig) verdict(inject func(), fromPort bool) string {
	r.t.Helper()
	inject()
	deadline := time.Now().Add(10 * time.Second)
	for {
		// A container's packet leaves a trace in the cache, all of it at once;
		// an injected one does not. Before the counters, which empty it.
		cached := r.br.Appctl("dpctl/dump-flows")
		if fromPort && !strings.Contains(cached, "recirc_id(0)") && time.Now().Before(deadline) {
			continue
		}
		now := r.counters()
		var ends []Flow
		for f, n := range now {
			if n > r.seen[f] && endsJourney(f) {
				ends = append(ends, f)
			}
		}
		if len(ends) == 0 && time.Now().Before(deadline) {
			continue
		}
		r.seen = now
		if len(ends) != 1 {
			r.t.Fatalf("%d flows ended the packet's journey, want one: %v", len(ends), ends)
		}
		return r.describe(ends[0], cached)
	}
}

func endsJourney(f Flow) bool {
	return f.Actions == "drop" || f.Table == TableOutput || f.Table == TableDeny || strings.HasSuffix(f.Actions, "IN_PORT")
}

// What the datapath was told to put into the outer header. Group 0 without
// flags has no GBP at all.
var (
	outerHeader = regexp.MustCompile(`set\(tunnel\(tun_id=0x([0-9a-f]+),dst=([0-9.]+),`)
	groupPolicy = regexp.MustCompile(`vxlan\(gbp\(id=(\d+),flags=(0|0x8)\)\)`)
)

func (r *rig) describe(end Flow, cached string) string {
	r.t.Helper()
	switch {
	case end.Actions == "drop" && end.Priority == missPriority:
		return fmt.Sprintf("drop in %v", end.Table)
	case end.Actions == "drop":
		return fmt.Sprintf("drop in %v by %s", end.Table, end.Match)
	case strings.HasSuffix(end.Actions, "IN_PORT"):
		return r.answered()
	case end.Table == TableDeny:
		return "denied by " + r.notice()
	case end.Priority == outputLogged:
		return r.delivered(end) + ", logged by " + r.notice()
	case strings.HasSuffix(end.Actions, "output:1"):
		return r.sent(cached)
	}
	return r.delivered(end)
}

// notice is what the host reads in the frame that it gets by the deny port.
func (r *rig) notice() string {
	r.t.Helper()
	frame := r.deny.Receive()
	n, err := NoticeOf(MAC(frame[6:12]), MAC(frame[:6]))
	if err != nil {
		r.t.Fatal(err)
	}
	text := fmt.Sprintf("%v, %d to %d", n.Reason, n.From, n.To)
	if n.Backward {
		text += " backward"
	}
	return text
}

func (r *rig) sent(cached string) string {
	r.t.Helper()
	header := outerHeader.FindStringSubmatch(cached)
	if header == nil {
		r.t.Fatalf("output to the tunnel without a header in the datapath's flows:\n%s", cached)
	}
	if id, _ := strconv.ParseUint(header[1], 16, 32); VNI(id) != r.cell.VNI {
		r.t.Errorf("sent with VNI %d, want %d", id, r.cell.VNI)
	}
	gbp := groupPolicy.FindStringSubmatch(cached)
	if gbp == nil {
		return fmt.Sprintf("cell %s as nobody", header[2])
	}
	text := fmt.Sprintf("cell %s as group %s", header[2], gbp[1])
	if gbp[2] == "0x8" {
		text += " applied"
	}
	return text
}

// delivered finds the port that got the frame and checks how it was addressed.
func (r *rig) delivered(end Flow) string {
	r.t.Helper()
	if strings.HasSuffix(end.Actions, ",LOCAL") {
		return "host"
	}
	number, raw := r.received()
	got, err := dummyovs.ParseFrame(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	if want := r.macOf(got.Dst); got.EthSrc != GatewayMAC || got.EthDst != want {
		r.t.Errorf("delivered from %v to %v, want from the gateway to %v", MAC(got.EthSrc), MAC(got.EthDst), want)
	}
	return fmt.Sprintf("port %d", number)
}

// answered takes the gateway's answer from whoever asked.
func (r *rig) answered() string {
	r.t.Helper()
	number, raw := r.received()
	got, err := dummyovs.ParseARP(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	if got.EthSrc != GatewayMAC || got.SenderIP != GatewayIP || got.TargetMAC != r.macOf(got.TargetIP) || got.EthDst != got.TargetMAC {
		r.t.Errorf("port %d was answered %+v", number, got)
	}
	return "answered"
}

// received waits for a frame that leaves by any container's port.
func (r *rig) received() (OFPort, []byte) {
	r.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		for number, p := range r.ports {
			if raw, ok := p.Poll(); ok {
				return number, raw
			}
		}
		select {
		case <-deadline:
			r.t.Fatal("output to a port, but no port got a frame")
		case <-time.After(time.Millisecond):
		}
	}
}

// macOf is the MAC of whoever has the address, here or on another cell.
func (r *rig) macOf(ip netip.Addr) MAC {
	for _, ep := range r.cell.Local {
		if ep.IP == ip {
			return ep.mac()
		}
	}
	return MACOf(ip)
}

// fromContainer is a frame as a container without a MAC of its own sends it.
func fromContainer(f dummyovs.Frame) dummyovs.Frame {
	f.EthSrc, f.EthDst = MACOf(f.Src), GatewayMAC
	return f
}

// tunnelFrom is the header of a packet from a VTEP.
func (r *rig) tunnelFrom(vtep netip.Addr, group GroupID, applied bool) dummyovs.Tunnel {
	h := dummyovs.Tunnel{InPort: int(TunnelOFPort), ID: uint64(r.cell.VNI), Src: vtep, Dst: netip.MustParseAddr("172.31.0.1"), GBPID: uint16(group)}
	if applied {
		h.GBPFlags = gbpApplied
	}
	return h
}
