package flowlog

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

var (
	cats, dogs = netip.MustParseAddr("10.255.1.2"), netip.MustParseAddr("10.255.2.3")
	noon       = time.Date(2026, 1, 2, 12, 0, 0, 5000, time.UTC)
)

// packet makes an IPv4 packet without a checksum.
func packet(source, destination netip.Addr, protocol flows.Protocol, body ...byte) []byte {
	p := make([]byte, 20, 20+len(body))
	p[0], p[8], p[9] = 0x45, 64, byte(protocol)
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(body)))
	copy(p[12:], source.AsSlice())
	copy(p[16:], destination.AsSlice())
	return append(p, body...)
}

// ports is the beginning of a TCP or UDP header.
func ports(source, destination uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, source)
	return append(binary.BigEndian.AppendUint16(b, destination), make([]byte, 16)...)
}

// noticed makes the frame in which the bridge tells of a packet.
func noticed(n flows.Notice, payload []byte) Frame {
	source, destination := n.MACs()
	header := append(append(destination[:], source[:]...), 0x08, 0x00)
	return Frame{Time: noon, Prefix: "weft-denied", Header: header, Payload: payload}
}

func ptr(b uint8) *uint8 { return &b }

// TestDecodeTellsWhoAndWhy: each reason of a notice, each protocol.
func TestDecodeTellsWhoAndWhy(t *testing.T) {
	tcp := packet(cats, dogs, flows.TCP, ports(40000, 8080)...)
	base := Event{Time: noon, Direction: Ingress, Verdict: Denied, Reason: "policy", Table: "policy",
		Protocol: "tcp", number: flows.TCP, SourceIP: cats, SourcePort: 40000, DestinationIP: dogs, DestinationPort: 8080,
		SourceGroup: 101, DestinationGroup: 102}
	with := func(change func(*Event)) Event {
		e := base
		change(&e)
		return e
	}
	fragment := packet(cats, dogs, flows.UDP, ports(1, 2)...)
	fragment[7] = 9
	options := append([]byte{0x46}, append(tcp[1:20:20], append([]byte{1, 1, 1, 1}, tcp[20:]...)...)...)
	binary.BigEndian.PutUint16(options[2:], uint16(len(options)))
	for name, c := range map[string]struct {
		frame Frame
		want  Event
	}{
		"policy": {noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, tcp), base},
		"server": {noticed(flows.Notice{Reason: flows.ReasonPolicy, Backward: true, From: 101, To: 102}, tcp),
			with(func(e *Event) { e.Reply = true })},
		"accepted": {noticed(flows.Notice{Reason: flows.ReasonPolicyAccepted, From: 101, To: 102}, tcp),
			with(func(e *Event) { e.Verdict = Accepted })},
		"egress": {noticed(flows.Notice{Reason: flows.ReasonEgress, From: 101}, tcp),
			with(func(e *Event) { e.Direction, e.Reason, e.Table, e.DestinationGroup = Egress, "egress", "egress", 0 })},
		"deny network": {noticed(flows.Notice{Reason: flows.ReasonDenyNetwork, From: 101}, tcp),
			with(func(e *Event) {
				e.Direction, e.Reason, e.Table, e.DestinationGroup = Egress, "deny_networks", "egress", 0
			})},
		"limit": {Frame{Time: noon, Prefix: "weft-limit: ", Payload: tcp}, with(func(e *Event) {
			e.Direction, e.Verdict, e.Reason, e.Table, e.SourceGroup, e.DestinationGroup = Egress, Limited, "outbound_connections", "", 0, 0
		})},
		"limit in name": {Frame{Time: noon, Prefix: "weft-limit-dry", Payload: tcp}, with(func(e *Event) {
			e.Direction, e.Verdict, e.Reason, e.Table, e.SourceGroup, e.DestinationGroup = Egress, Limited, "outbound_connections", "", 0, 0
			e.DryRun = true
		})},
		"options": {noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, options), base},
		"icmp": {noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, packet(cats, dogs, flows.ICMP, 8, 0, 0, 0)),
			with(func(e *Event) {
				e.Protocol, e.number, e.SourcePort, e.DestinationPort = "icmp", flows.ICMP, 0, 0
				e.ICMPType, e.ICMPCode = ptr(8), ptr(0)
			})},
		"sctp": {noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, packet(cats, dogs, 132, ports(1, 2)...)),
			with(func(e *Event) { e.Protocol, e.number, e.SourcePort, e.DestinationPort = "132", 132, 0, 0 })},
		"later fragment": {noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, fragment),
			with(func(e *Event) { e.Protocol, e.number, e.SourcePort, e.DestinationPort = "udp", flows.UDP, 0, 0 })},
	} {
		got, err := decode(c.frame)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, c.want)
		}
	}
}

// TestDecodeRefuses what is no notice, and what is no packet.
func TestDecodeRefuses(t *testing.T) {
	good := noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 1, To: 2}, packet(cats, dogs, flows.TCP, ports(1, 2)...))
	change := func(f func(*Frame)) Frame {
		c := good
		c.Header, c.Payload = append([]byte(nil), c.Header...), append([]byte(nil), c.Payload...)
		f(&c)
		return c
	}
	for name, frame := range map[string]Frame{
		"no header":      change(func(f *Frame) { f.Header = nil }),
		"ARP":            change(func(f *Frame) { f.Header[13] = 6 }),
		"other MAC":      change(func(f *Frame) { f.Header[0] = 0 }),
		"unknown reason": change(func(f *Frame) { f.Header[8] = 77 }),
		"no payload":     change(func(f *Frame) { f.Payload = nil }),
		"short":          change(func(f *Frame) { f.Payload = f.Payload[:19] }),
		"version 6":      change(func(f *Frame) { f.Payload[0] = 0x65 }),
		"short header":   change(func(f *Frame) { f.Payload[0] = 0x44 }),
		"total length":   change(func(f *Frame) { f.Payload[2], f.Payload[3] = 0, 19 }),
	} {
		if e, err := decode(frame); err == nil {
			t.Errorf("%s: decoded as %+v", name, e)
		}
	}
}

// TestPortsAreTheTransportHeaders: they are not read from where the packet says
// that it has ended, nor from where the copy has.
func TestPortsAreTheTransportHeaders(t *testing.T) {
	whole := packet(cats, dogs, flows.TCP, ports(1000, 2000)...)
	short := append([]byte(nil), whole...)
	short[3] = 23 // three bytes behind the header
	for name, payload := range map[string][]byte{"cut by the kernel": whole[:23], "cut by its sender": short} {
		e, err := decode(noticed(flows.Notice{Reason: flows.ReasonPolicy}, payload))
		if err != nil || e.SourcePort != 0 || e.DestinationPort != 0 {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// TestEventAsJSON pins the line: its keys are an interface.
func TestEventAsJSON(t *testing.T) {
	e, err := decode(noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 101, To: 102}, packet(cats, dogs, flows.TCP, ports(40000, 8080)...)))
	if err != nil {
		t.Fatal(err)
	}
	e.Cell, e.SourceApp, e.DestinationApp, e.DestinationContainer, e.Suppressed = "cell-2", "cats", "do\"gs\n", "c-1", 7
	got, err := json.Marshal(e)
	want := `{"time":"2026-01-02T12:00:00.000005Z","cell":"cell-2","direction":"ingress","verdict":"denied","reason":"policy","table":"policy",` +
		`"protocol":"tcp","source_ip":"10.255.1.2","source_port":40000,"destination_ip":"10.255.2.3","destination_port":8080,` +
		`"source_app":"cats","source_group":101,"destination_app":"do\"gs\n","destination_group":102,"destination_container":"c-1","suppressed":7}`
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}

// FuzzDecode: whatever a container sends, decode neither panics nor makes more
// than one line of it, and never invents a port.
func FuzzDecode(f *testing.F) {
	head := noticed(flows.Notice{Reason: flows.ReasonPolicy, From: 1, To: 2}, nil).Header
	f.Add("weft-denied", head, packet(cats, dogs, flows.TCP, ports(1, 2)...))
	f.Add("weft-limit", []byte(nil), packet(cats, dogs, flows.UDP, 1, 2, 3))
	f.Add("", head[:13], packet(cats, dogs, flows.ICMP, 8))
	f.Fuzz(func(t *testing.T, prefix string, header, payload []byte) {
		e, err := decode(Frame{Time: noon, Prefix: prefix, Header: header, Payload: payload})
		if err != nil {
			return
		}
		line, err := json.Marshal(e)
		if err != nil || strings.ContainsRune(string(line), '\n') {
			t.Errorf("%v: %s", err, line)
		}
		if !e.SourceIP.Is4() || !e.DestinationIP.Is4() || (e.DestinationPort != 0 && len(payload) < 24) {
			t.Errorf("%d bytes decoded as %s", len(payload), line)
		}
	})
}
