package openflow

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// rig is a bridge of a real ovs-vswitchd.
type rig struct {
	*dummyovs.Bridge
	t testing.TB
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{dummyovs.Start(t).AddBridge("br-weft"), t}
}

// socket is the bridge's management socket.
func (r *rig) socket() string { return strings.TrimPrefix(r.Mgmt(r.Name), "unix:") }

// testPatience bounds what a switch does at once, on a loaded machine.
const testPatience = 20 * time.Second

// dial connects, until the test's end.
func (r *rig) dial() *Conn {
	r.t.Helper()
	return r.dialBy(r.socket(), usual)
}

// dialBy also waits for a bridge that a restarted ovs-vswitchd has not made yet.
func (r *rig) dialBy(socket string, p patience) *Conn {
	r.t.Helper()
	var c *Conn
	r.eventually("the switch answers", func() bool {
		var err error
		if c, err = dial(r.within(testPatience), socket, p); err != nil && !errors.Is(err, ErrAbsent) {
			r.t.Fatal(err)
		}
		return err == nil
	})
	r.t.Cleanup(c.Close)
	return c
}

// eventually fails the test if a condition does not come true.
func (r *rig) eventually(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(testPatience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not in %v: %s", testPatience, what)
		}
	}
}

// within is a context that ends with the test or after a while.
func (r *rig) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	r.t.Cleanup(cancel)
	return ctx
}

// apply fails the test if the switch does not take the bundle.
func (r *rig) apply(c *Conn, add, remove []flows.Flow) {
	r.t.Helper()
	if err := c.Apply(r.within(testPatience), add, remove); err != nil {
		r.t.Fatal(err)
	}
}

// holds compares what the switch prints with a table, byte for byte.
func (r *rig) holds(want flows.Table) {
	r.t.Helper()
	have, err := flows.ParseTable(r.DumpFlows())
	if err != nil {
		r.t.Fatal(err)
	}
	missing, foreign := flows.Diff(have, want)
	for i := range min(5, len(missing)) {
		r.t.Errorf("the switch does not print\n%v", missing[i])
	}
	for i := range min(5, len(foreign)) {
		r.t.Errorf("the switch prints\n%v", foreign[i])
	}
	if len(missing)+len(foreign) > 0 {
		r.t.Errorf("%d flows wanted, %d there, %d missing or other, %d foreign", len(want), len(have), len(missing), len(foreign))
	}
}
