package dummyovs

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

var (
	addrA = netip.MustParseAddr("10.255.1.2")
	addrB = netip.MustParseAddr("10.255.1.3")
)

// BenchmarkStart is what every test that needs a switch pays.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		Start(b).stop()
	}
}

func TestFramesPassThroughTheRealSwitch(t *testing.T) {
	br := Start(t).AddBridge("br0")
	a, b := br.AddPort("a", 101), br.AddPort("b", 102)
	br.ReplaceFlows("in_port=101,udp,tp_dst=53 actions=ct(commit,zone=7),output:102\n")
	udp := Frame{Src: addrA, Dst: addrB, Protocol: UDP, SrcPort: 1000, DstPort: 53, Payload: []byte("odd")}
	other := udp
	other.DstPort = 54
	a.Send(other.Bytes(), udp.Bytes())
	if got := b.Receive(); !bytes.Equal(got[:len(udp.Bytes())], udp.Bytes()) {
		t.Errorf("received %x, want %x", got, udp.Bytes())
	}
	if got := br.Appctl("dpctl/dump-conntrack"); !strings.Contains(got, "src=10.255.1.2,dst=10.255.1.3,sport=1000,dport=53") {
		t.Errorf("connections:\n%s", got)
	}
	if got := br.DumpStats(); !strings.Contains(got, "n_packets=1,") {
		t.Errorf("flows:\n%s", got)
	}
}

func TestPacketOutCarriesTunnelFields(t *testing.T) {
	br := Start(t).AddBridge("br0")
	br.AddTunnel("tunnel", 1)
	b := br.AddPort("b", 102)
	br.ReplaceFlows("in_port=1,tun_id=1,tun_src=172.31.0.2,tun_dst=172.31.0.1,tun_gbp_id=0x65,tun_gbp_flags=0x8 actions=output:102\n")
	frame := Frame{Src: addrA, Dst: addrB, Protocol: TCP, SrcPort: 1000, DstPort: 80, TCPFlags: SYN}
	header := Tunnel{InPort: 1, ID: 1, Src: netip.MustParseAddr("172.31.0.2"), Dst: netip.MustParseAddr("172.31.0.1"), GBPID: 0x65, GBPFlags: 8}
	wrong := header
	wrong.GBPID = 0x66
	denied := frame
	denied.DstPort = 81
	br.PacketOut(wrong, denied.Bytes())
	br.PacketOut(header, frame.Bytes())
	got, err := ParseFrame(b.Receive())
	if err != nil || got.DstPort != 80 || got.Src != addrA || got.TCPFlags != SYN {
		t.Errorf("received %+v, %v", got, err)
	}
}

func TestTraceAndRestart(t *testing.T) {
	sw := Start(t)
	br := sw.AddBridge("br0")
	br.AddPort("a", 101)
	br.AddFlows("in_port=101,ip actions=IN_PORT\n")
	if got := br.Trace("in_port=101,ip"); !strings.Contains(got, "Datapath actions: ") {
		t.Errorf("trace:\n%s", got)
	}
	sw.KillVswitchd()
	sw.StartVswitchd()
	sw.Vsctl("set", "bridge", "br0", "other_config:seen=true") // waits until it is configured
	if got := br.DumpFlows(); got != "" {
		t.Errorf("flows survived the kill:\n%s", got)
	}
}

func TestOverrideReplacesTheUserspaceDatapath(t *testing.T) {
	sw := StartOverride(t)
	sw.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	if got := sw.Appctl("dpif/show"); !strings.Contains(got, "(dummy-internal)") {
		t.Errorf("bridge:\n%s", got)
	}
}
