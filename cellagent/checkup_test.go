package cellagent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
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

// TestHealthyHostHasNothingWrong, as the agent leaves it; and what somebody
// takes from it is found.
func TestHealthyHostHasNothingWrong(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	b := newHostBed(t)
	b.startAgent()
	eventually(t, "the controller is answered", b.controller.acknowledged)
	eventually(t, "host network is on", func() bool { return b.status().Host.On })
	checkup := b.doctor()
	if checkup.Worst() != api.LevelOK || checkup.Cell != "cell-1" || time.Since(checkup.At) > time.Minute {
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
