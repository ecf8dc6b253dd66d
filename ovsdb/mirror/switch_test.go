package mirror_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
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
func (o *ovs) dial() *mirror.Client {
	o.t.Helper()
	c, err := mirror.Dial(o.t.Context(), o.DB())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(c.Close)
	return c
}

// plugin connects as weft-cni does.
func (o *ovs) plugin() *ovsdb.Conn {
	o.t.Helper()
	c, err := ovsdb.Dial(o.t.Context(), o.DB())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(c.Close)
	return c
}

// add has the plugin add a port, and returns its number when c shows it.
func (o *ovs) add(c *mirror.Client, p ovsdb.Port) (ofport int) {
	o.t.Helper()
	if err := o.plugin().AddPort(within(o.t, 10*time.Second), "br-weft", "cell-1", p); err != nil {
		o.t.Fatal(err)
	}
	eventually(o.t, "the port has its number", func() bool {
		for _, have := range ports(o.t, c) {
			if have.Name == p.Name {
				ofport = have.OFPort
			}
		}
		return ofport > 0
	})
	return ofport
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
