package cellagent_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// doctor has the agent look at its host.
func (b *bed) doctor() api.Checkup {
	b.t.Helper()
	c, err := api.NewCellClient(b.cfg.Socket).Checkup(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// found are the findings of a check that have a text.
func found(all []api.Finding, check, text string) (some []api.Finding) {
	for _, f := range all {
		if f.Check == check && strings.Contains(f.Text, text) {
			some = append(some, f)
		}
	}
	return some
}

// refusesTunnel waits until the agent refuses its tunnel because of somebody.
func (b *bed) refusesTunnel(by, remedy string) {
	b.t.Helper()
	eventually(b.t, "the agent refuses", func() bool { return strings.Contains(b.log.String(), "msg=bridge") })
	if got := b.fault("bridge"); !strings.HasPrefix(got, "refused: UDP ") || !strings.Contains(got, "belongs to "+by) || !strings.Contains(got, remedy) {
		b.t.Errorf("status says %q, want %q named, and %q", got, by, remedy)
	}
	if ports := b.ovs.vsctl("list-ports", b.cfg.Bridge); strings.Contains(ports, "weftvxlan") {
		b.t.Errorf("there is a tunnel: %s", ports)
	}
	eventually(b.t, "status has the finding", func() bool {
		some := found(b.status().Findings, "tunnel-port", by)
		return len(some) == 1 && some[0].Level == api.LevelError && strings.Contains(some[0].Remedy, remedy)
	})
	if !strings.Contains(b.log.String(), "level=ERROR") || !strings.Contains(b.log.String(), by) {
		b.t.Error("the log does not say it")
	}
}

// makesTunnel waits until it makes the tunnel after all, and says so.
func (b *bed) makesTunnel() {
	b.t.Helper()
	b.inStep()
	if got := b.fault("bridge"); got != "" {
		b.t.Errorf("status still says %q", got)
	}
	if got := b.ovs.vsctl("get", "interface", "weftvxlan", "ofport"); got != "1" {
		b.t.Errorf("ofport of the tunnel: %s", got)
	}
	eventually(b.t, "the finding is gone", func() bool { return len(found(b.status().Findings, "tunnel-port", "")) == 0 })
	if !strings.Contains(b.log.String(), `msg="host: well again" cell=cell-1 check=tunnel-port`) {
		b.t.Error("the log does not say that all is well")
	}
}

// TestForeignVXLANIsRefusedAndNamed: the agent makes no tunnel beside a VXLAN
// interface of somebody else, and goes on by itself when that is gone.
func TestForeignVXLANIsRefusedAndNamed(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	sh(t, "ip link set lo up; ip link add flannel.1 type vxlan id 1 dstport 4789; ip link set flannel.1 up")
	b := newBed(t)
	b.startAgent()
	b.refusesTunnel("the kernel's VXLAN interface flannel.1", "ip link del flannel.1")
	sh(t, "ip link del flannel.1")
	b.makesTunnel()

	// OVS's dummy datapath holds no port in the kernel: another can come.
	sh(t, "ip link add flannel.2 type vxlan id 1 dstport 4789; ip link set flannel.2 up")
	some := found(b.doctor().Findings, "tunnel-port", "flannel.2 wants it, too")
	if len(some) != 1 || some[0].Level != api.LevelWarning {
		t.Errorf("beside a tunnel that works: %+v", some)
	}
	b.stop()
	b.startAgent()
	b.inStep()
	if got := b.fault("bridge"); got != "" {
		t.Errorf("an agent that starts anew does not like its tunnel any more: %q", got)
	}
}

// TestProcessOnTheTunnelsPortIsNamed.
func TestProcessOnTheTunnelsPortIsNamed(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	sh(t, "ip link set lo up")
	socket, err := net.ListenPacket("udp4", "127.0.0.1:4789")
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t)
	b.startAgent()
	b.refusesTunnel("process cellagent.test (pid ", "stop cellagent.test")
	socket.Close()
	b.makesTunnel()
}

// TestOtherBridgesVXLANIsRefusedAndNamed: the same with one that is in the same
// database, where ovs-vswitchd would refuse one of the two.
func TestOtherBridgesVXLANIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.ovs = &ovs{dummyovs.Start(t), t} // with real tunnel ports
	b.hand = hand{b.ovs}
	b.cfg.OVSDB, b.cfg.OVSRunDir = b.ovs.DB(), b.ovs.RunDir()
	b.controller.udpPort = 4788 // OVS's userspace loses a GBP tunnel on 4789 at the next reconfiguration
	b.ovs.AddBridge("br-other")
	b.ovs.vsctl("add-port", "br-other", "vx9", "--", "set", "interface", "vx9", "type=vxlan", "options:remote_ip=192.0.2.9", "options:dst_port=4788")
	b.startAgent()
	b.refusesTunnel("port vx9 of bridge br-other (a VXLAN without group policy)", "ovs-vsctl del-port br-other vx9")
	b.ovs.vsctl("del-port", "vx9")
	b.makesTunnel()
}

// TestLargeContainerIsNamed: when the underlay's MTU has become smaller, the
// agent finds who still sends larger packets, and logs it once.
func TestLargeContainerIsNamed(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	sh(t, `ip link set lo up; ip link add under0 type veth peer name under1; ip addr add 192.0.2.1/24 dev under0; ip link set under0 up
		ip link add c2 mtu 1450 type veth peer name eth2; ip link add c3 mtu 1350 type veth peer name eth3`)
	b := newBed(t)
	b.cfg.UnderlayIP, b.cfg.Reconcile = "192.0.2.1", 200*time.Millisecond
	b.startAgent()
	b.inStep()
	b.run("one", "cats", 2)
	b.run("two", "cats", 3)
	if some := found(b.doctor().Findings, "underlay-mtu", ""); len(some) != 1 || some[0].Level != api.LevelOK {
		t.Errorf("at first: %+v", some)
	}
	sh(t, "ip link set dev under0 mtu 1400")
	const text = "do not fit into the tunnel, which has room for 1350 bytes: one (port c2, 1450 bytes)"
	eventually(t, "the agent finds out", func() bool { return len(found(b.status().Findings, "underlay-mtu", text)) == 1 })
	some := found(b.doctor().Findings, "underlay-mtu", text)
	if len(some) != 1 || some[0].Level != api.LevelError || !strings.Contains(some[0].Remedy, "ip link set dev under0 mtu 1500") || strings.Contains(some[0].Text, "two") {
		t.Errorf("the doctor says %+v", some)
	}
	reconciles := b.status().Counters.Reconciles
	eventually(t, "it has looked again several times", func() bool { return b.status().Counters.Reconciles > reconciles+3 })
	if n := strings.Count(b.log.String(), text); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

// TestHealthyHostHasNothingWrong, as the agent leaves it, but that the test's cell
// is on the userspace datapath; and what somebody takes from it is found.
func TestHealthyHostHasNothingWrong(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newHostBed(t)
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	eventually(t, "host network is on", func() bool { return b.status().Host.On })
	checkup := b.doctor()
	wrong := slices.DeleteFunc(slices.Clone(checkup.Findings), func(f api.Finding) bool {
		return f.Level == api.LevelOK || strings.HasPrefix(f.Text, "answers: ") // not every kernel has nft_reject_bridge
	})
	if len(wrong) != 1 || wrong[0].Check != "datapath" || wrong[0].Level != api.LevelWarning || checkup.Cell != "cell-1" || time.Since(checkup.At) > time.Minute {
		t.Errorf("%+v", checkup)
	}
	for harm, check := range map[string]string{
		"sysctl -qw net.ipv4.ip_forward=0": "ip_forward",
		"nft flush table inet weft":        "notrack",
	} {
		sh(t, harm)
		if some := found(b.doctor().Findings, check, ""); len(some) != 1 || some[0].Level != api.LevelError {
			t.Errorf("%s: %+v", harm, some)
		}
	}
	b.ovs.vsctl("--no-wait", "set", "open_vswitch", ".", "other_config:flow-restore-wait=true")
	eventually(t, "a switch that waits is found", func() bool {
		some := found(b.doctor().Findings, "flow-restore-wait", "handles no packet")
		return len(some) == 1 && some[0].Level == api.LevelError
	})
}

// TestDoctorWithoutSwitch: an agent that has nothing yet answers all the same.
func TestDoctorWithoutSwitch(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.ovs.KillVswitchd()
	b.ovs.KillServer()
	b.startAgent()
	eventually(t, "it answers", func() bool {
		_, err := api.NewCellClient(b.cfg.Socket).Checkup(t.Context())
		return err == nil
	})
	if some := found(b.doctor().Findings, "datapath", "ovsdb-server does not answer"); len(some) != 1 || some[0].Level != api.LevelError {
		t.Errorf("%+v", b.doctor())
	}
}

// TestFreshHostIsLookedAt: an agent that cannot even make its bridge says by
// itself what is wrong, in its log and its status.
func TestFreshHostIsLookedAt(t *testing.T) {
	for name, c := range map[string]struct {
		harm        func(*bed)
		check, text string
	}{
		"no underlay": {func(b *bed) { b.cfg.UnderlayIP = "203.0.113.7" }, "underlay-mtu", "no interface of this host carries underlay_ip 203.0.113.7"},
		"no lease":    {func(b *bed) { b.controller.down() }, "tunnel-port", "the controller has leased the cell nothing yet"},
		"foreign bridge": {func(b *bed) {
			b.cfg.Datapath = cellagent.DatapathAlone // for the others the kernel's is asked for first
			b.ovs.vsctl("add-br", b.cfg.Bridge)
		}, "datapath", `bridge br-weft belongs to ""`},
		"no Open vSwitch": {func(b *bed) { b.ovs.KillVswitchd(); b.ovs.KillServer() }, "datapath", "ovsdb-server does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			c.harm(b)
			b.startAgent()
			eventually(t, "it answers", func() bool { _, err := cellagent.FetchStatus(t.Context(), b.cfg.Socket); return err == nil })
			eventually(t, "the status has the finding", func() bool { return len(found(b.status().Findings, c.check, c.text)) == 1 })
			if !strings.Contains(b.log.String(), `msg="host: `) {
				t.Error("the log does not say it")
			}
		})
	}
}

// TestDoctorKnowsTheAgentsFaults: what nothing on the host shows, and is why no
// container starts, or not one flow is there.
func TestDoctorKnowsTheAgentsFaults(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.cfg.OVSOfctl = "no-such-ofctl"
	b.startAgent()
	finds := func(check, text, remedy string) {
		t.Helper()
		eventually(t, "the doctor finds: "+text, func() bool {
			some := found(b.doctor().Findings, check, text)
			return len(some) == 1 && some[0].Level == api.LevelError && strings.Contains(some[0].Remedy, remedy)
		})
	}
	eventually(t, "it answers", func() bool { _, err := cellagent.FetchStatus(t.Context(), b.cfg.Socket); return err == nil })
	finds("programs", "there is no no-such-ofctl in weft-agent's PATH", "apt-get install openvswitch-common")
	finds("agent", "apply: dump flows: run no-such-ofctl", "install the program")
	b.ovs.KillVswitchd()
	finds("agent", "switch: OpenFlow connection lost", "systemctl restart openvswitch-switch")
	b.ovs.StartVswitchd()
	b.controller.down()
	finds("agent", "connection refused", "does this cell reach it")
	if some := found(b.status().Findings, "agent", ""); len(some) != 0 {
		t.Errorf("the status says twice what are its faults: %+v", some)
	}
}
