package ovsdb_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// ovs is a real ovsdb-server and ovs-vswitchd of this test's own.
type ovs struct {
	*dummyovs.Switch
	t *testing.T
}

func startOVS(t *testing.T) *ovs {
	t.Helper()
	return &ovs{dummyovs.Start(t), t}
}

func (o *ovs) vsctl(args ...string) string {
	o.t.Helper()
	return strings.TrimSpace(o.Vsctl(append([]string{"--timeout=10"}, args...)...))
}

// transactions counts what we have written: each carries our comment in the
// database's log.
func (o *ovs) transactions() int {
	o.t.Helper()
	log, err := os.ReadFile(filepath.Join(o.RunDir(), "conf.db"))
	if err != nil {
		o.t.Fatal(err)
	}
	return bytes.Count(log, []byte(`"_comment":"weft: `))
}

// dial connects, for the length of the test.
func (o *ovs) dial() *ovsdb.Conn {
	o.t.Helper()
	c, err := ovsdb.Dial(o.t.Context(), o.DB())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(c.Close)
	return c
}

// cell starts OVS with a bridge of cell-1 on it.
func cell(t *testing.T) (*ovs, *ovsdb.Conn) {
	t.Helper()
	o := startOVS(t)
	o.vsctl("add-br", "br-weft", "--", "set", "bridge", "br-weft", "fail_mode=secure", "external_ids:weft-owner=cell-1")
	return o, o.dial()
}

func port(n int) ovsdb.Port {
	return ovsdb.Port{
		Name: fmt.Sprintf("c%d", n), Container: fmt.Sprintf("container-%d", n), IfName: "eth0", Network: "weft", App: "dogs",
		IP: netip.AddrFrom4([4]byte{10, 255, 1, byte(n)}), MAC: fmt.Sprintf("ee:ee:0a:ff:01:%02x", n),
		NetNS: "/run/netns/x", BootID: "boot-1",
	}
}

func add(t *testing.T, c *ovsdb.Conn, p ovsdb.Port) {
	t.Helper()
	if err := c.AddPort(within(t, 10*time.Second), "br-weft", "cell-1", p); err != nil {
		t.Fatal(err)
	}
}

func ports(t *testing.T, c *ovsdb.Conn) []ovsdb.Port {
	t.Helper()
	all, err := c.Ports(within(t, 10*time.Second), "br-weft")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// within gives an operation d, and the test's end at the latest.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}
