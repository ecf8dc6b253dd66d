package cellagent_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/logbook"
)

// bed is one cell: real OVS, the agent, and a controller over TLS.
type bed struct {
	t          testing.TB
	ovs        *ovs
	controller *controller
	cfg        cellagent.Config
	hand       hand // what a person or weft-cni does
	log        *logbook.Logbook
	stop       func()
}

// newBed starts OVS and the controller, not the agent.
func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, ovs: startOVS(t), controller: startController(t), log: &logbook.Logbook{}, stop: func() {}}
	b.hand = hand{b.ovs}
	b.cfg = cellagent.DefaultConfig()
	b.cfg.Cell, b.cfg.UnderlayIP = "cell-1", "127.0.0.1"
	b.cfg.Controller, b.cfg.TLS = "https://"+b.controller.address, b.controller.files
	b.cfg.OVSDB, b.cfg.OVSRunDir = b.ovs.DB(), b.ovs.RunDir()
	b.cfg.StateDir, b.cfg.SubnetFile, b.cfg.Socket = b.ovs.path("state"), b.ovs.path("subnet.json"), b.ovs.path("agent.sock")
	b.cfg.Reconcile = time.Hour // tests that are about it say so
	b.cfg.BootID = "this-boot"
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			t.Logf("agent's log:\n%s", b.log)
		}
	})
	return b
}

// startAgent runs the agent until stopAgent or the test's end.
func (b *bed) startAgent() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- cellagent.Run(ctx, b.cfg, slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}()
	b.stop = func() {
		b.stop = func() {}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				b.t.Errorf("agent: %v", err)
			}
		case <-time.After(10 * time.Second):
			buf := make([]byte, 1<<20)
			b.t.Errorf("the agent did not end within 10 s\n%s", buf[:runtime.Stack(buf, true)])
		}
		b.controller.do(func() { b.controller.current = nil }) // what it said before counts no more
	}
}

// inStep waits until the switch holds what the controller wants and the
// controller knows.
func (b *bed) inStep() {
	b.t.Helper()
	eventually(b.t, "switch in step and acknowledged", func() bool {
		return b.controller.acknowledged() && slices.Equal(b.ovs.table(), b.controller.want())
	})
}

func (b *bed) status() cellagent.Status {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := cellagent.FetchStatus(ctx, b.cfg.Socket)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// fault returns the text of what does not work, "" if it does.
func (b *bed) fault(what string) string {
	b.t.Helper()
	for _, f := range b.status().Faults {
		if f.What == what {
			return f.Text
		}
	}
	return ""
}

// attach does what weft-cni does, without waiting for the agent.
func (b *bed) attach(container, app string, host int) string {
	b.t.Helper()
	ip := netip.AddrFrom4([4]byte{10, 255, 1, byte(host)})
	name := fmt.Sprintf("c%d", host)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := b.hand.AddPort(ctx, b.cfg.Bridge, ovsdb.Port{
		Name: name, Container: container, IfName: "eth0", App: app, IP: ip, MAC: flows.MACOf(ip).String(), BootID: b.cfg.BootID,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return name
}

// run attaches and waits as weft-cni does.
func (b *bed) run(container, app string, host int) {
	b.t.Helper()
	name := b.attach(container, app, host)
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := b.hand.WaitReady(ctx, name); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) remove(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := b.hand.DeletePort(ctx, b.cfg.Bridge, name); err != nil {
		b.t.Fatal(err)
	}
}

// port reads one container port from the database.
func (b *bed) port(name string) ovsdb.Port {
	b.t.Helper()
	ports, err := b.hand.Ports(b.cfg.Bridge)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range ports {
		if p.Name == name {
			return p
		}
	}
	return ovsdb.Port{}
}

// allow adds a policy from cats to dogs.
func (b *bed) allow(policy flows.PolicyID, port uint16) {
	b.controller.change(func() {
		b.controller.state.Allow = append(b.controller.state.Allow, flows.Rule{Policy: policy, From: 101, To: 102, Protocol: flows.TCP,
			Ports: flows.PortRange{First: port, Last: port}})
	})
}
