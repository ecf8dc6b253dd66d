package cellagent_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// ovs is a real ovsdb-server and ovs-vswitchd for one test. Every datapath is a
// dummy one: a cell alone has its bridge on the userspace datapath, which would
// need devices of this machine.
type ovs struct {
	*dummyovs.Switch
	t testing.TB
}

func startOVS(t testing.TB) *ovs {
	t.Helper()
	return &ovs{dummyovs.StartOverride(t), t}
}

func (o *ovs) path(name string) string { return filepath.Join(o.RunDir(), name) }

func (o *ovs) vsctl(args ...string) string {
	o.t.Helper()
	return strings.TrimSpace(o.Vsctl(append([]string{"--timeout=5"}, args...)...))
}

// ofctl speaks to a bridge; the bridge's name goes after the command.
func (o *ovs) ofctl(bridge, command string, args ...string) string {
	o.t.Helper()
	return o.Ofctl("", append([]string{"--no-names", command, bridge}, args...)...)
}

// table is what br-weft holds; nil while nobody answers for it.
func (o *ovs) table() flows.Table {
	o.t.Helper()
	out, err := o.Try("", "ovs-ofctl", "-O", flows.OpenFlow, "--no-names", "--no-stats", "dump-flows", "br-weft")
	if err != nil {
		return nil
	}
	table, err := flows.ParseTable(out)
	if err != nil {
		o.t.Fatal(err)
	}
	return table
}

// hand is what does as weft-cni: a connection for each thing that it does.
type hand struct{ o *ovs }

// AddPort adds a container's port to the bridge of cell-1.
func (h hand) AddPort(ctx context.Context, bridge string, p ovsdb.Port) error {
	return h.do(ctx, func(c *ovsdb.Conn) error { return c.AddPort(ctx, bridge, "cell-1", p) })
}

// WaitReady returns what the agent says of the port.
func (h hand) WaitReady(ctx context.Context, name string) error {
	return h.do(ctx, func(c *ovsdb.Conn) error { return c.WaitReady(ctx, name) })
}

// DeletePort takes the port away.
func (h hand) DeletePort(ctx context.Context, bridge, name string) error {
	return h.do(ctx, func(c *ovsdb.Conn) error { return c.DeletePort(ctx, bridge, name) })
}

// Ports lists those of containers.
func (h hand) Ports(bridge string) (ports []ovsdb.Port, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = h.do(ctx, func(c *ovsdb.Conn) error {
		ports, err = c.Ports(ctx, bridge)
		return err
	})
	return ports, err
}

func (h hand) do(ctx context.Context, what func(*ovsdb.Conn) error) error {
	conn, err := ovsdb.Dial(ctx, h.o.DB())
	if err != nil {
		return err
	}
	defer conn.Close()
	return what(conn)
}

// eventually fails the test if a condition does not come true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}
