package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// patience bounds every wait of these tests; none is expected to take it.
const patience = 20 * time.Second

func overlay() controller.Overlay {
	return controller.Overlay{
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, SubnetPrefix: 16, VNI: 1, VXLANPort: 4789, Quarantine: 5 * time.Minute,
	}
}

// bench is a running controller over a real database.
type bench struct {
	*testing.T
	*controller.Controller
	path   string
	store  *gormstore.Store
	keeper *controller.Keeper
	ahead  time.Duration // of the clock, for keeper
	stop   func()
}

func start(t *testing.T) *bench {
	b := &bench{T: t, path: filepath.Join(t.TempDir(), "weft.db")}
	b.restart(gormstore.Options{})
	t.Cleanup(func() { b.stop() })
	return b
}

// restart starts the controller, again, over the same database.
func (b *bench) restart(options gormstore.Options) {
	b.Helper()
	if b.stop != nil {
		b.stop()
	}
	options.Networks, options.SubnetPrefix, options.Log = overlay().Networks, overlay().SubnetPrefix, slog.New(slog.DiscardHandler)
	var err error
	if b.store, err = gormstore.Open(b.Context(), "sqlite://"+b.path, options); err != nil {
		b.Fatal(err)
	}
	if b.Controller, err = controller.New(b.Context(), b.store, overlay(), options.Log); err != nil {
		b.Fatal(err)
	}
	b.keeper = controller.NewKeeper(b.Controller)
	ctx, cancel := context.WithCancel(context.Background())
	done, control := make(chan error), b.Controller
	go func() { done <- control.Run(ctx) }()
	b.stop = func() {
		cancel()
		<-done
		if err := b.store.Close(); err != nil {
			b.Error(err)
		}
	}
}

func (b *bench) limit() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	b.Cleanup(cancel)
	return ctx
}

// agent is a cell's agent: it holds the table that the stream's messages make,
// and checks each message's hash.
type agent struct {
	*bench
	cell   flows.CellID
	stream api.Stream
	id     string
	table  map[string]flows.Fragment
	last   api.Message
	older  bool // of a release that takes no patches
}

// cellNumber leases a subnet to cell-n and opens its stream.
func (b *bench) cellNumber(n int, endpoints ...api.Endpoint) *agent {
	b.Helper()
	a := &agent{bench: b, cell: flows.CellID(fmt.Sprintf("cell-%d", n))}
	vtep := fmt.Sprintf("192.0.2.%d", n)
	if _, err := b.Lease(b.limit(), a.cell, api.LeaseRequest{VTEP: vtep}); err != nil {
		b.Fatal(err)
	}
	a.open(vtep, endpoints...)
	return a
}

func (a *agent) open(vtep string, endpoints ...api.Endpoint) {
	a.Helper()
	var err error
	if a.stream, err = a.Open(a.limit(), a.cell, api.Hello{VTEP: vtep, Endpoints: endpoints, Patches: !a.older}); err != nil {
		a.Fatal(err)
	}
	if msg := a.next(); msg.Type != api.TypeSnapshot || msg.Seq != 1 || msg.Stream == "" {
		a.Fatalf("first message %s, seq %d, stream %q", msg.Type, msg.Seq, msg.Stream)
	}
	a.id = a.last.Stream
}

// next reads one message into the table.
func (a *agent) next() api.Message {
	a.Helper()
	msg, err := a.stream.Next(a.limit())
	if err != nil {
		a.Fatalf("cell %s: next: %v", a.cell, err)
	}
	if msg.Seq != a.last.Seq+1 && msg.Seq != 1 {
		a.Fatalf("cell %s: message %d after %d", a.cell, msg.Seq, a.last.Seq)
	}
	if msg.Type == api.TypeSnapshot {
		a.table = map[string]flows.Fragment{}
	}
	for _, wire := range msg.Set {
		if a.table[wire.Key], err = api.FragmentFromWire(wire); err != nil {
			a.Fatal(err)
		}
	}
	for _, patch := range msg.Patch {
		if a.table[patch.Key], err = api.PatchFromWire(a.table[patch.Key], patch); err != nil {
			a.Fatal(err)
		}
	}
	for _, key := range msg.Remove {
		if _, had := a.table[key]; !had {
			a.Errorf("cell %s: told to remove %s, which it does not have", a.cell, key)
		}
		delete(a.table, key)
	}
	if sum := flows.TableHash(slices.Collect(maps.Values(a.table))).String(); sum != msg.Hash {
		a.Fatalf("cell %s: table %s after message %d, not %s", a.cell, sum, msg.Seq, msg.Hash)
	}
	a.last = msg
	return msg
}

// until reads messages until the table is as wanted.
func (a *agent) until(want func() bool) {
	a.Helper()
	for !want() {
		a.next()
	}
}

func (a *agent) has(key string) bool {
	_, has := a.table[key]
	return has
}

func (a *agent) ack() {
	a.Helper()
	a.ackUpTo(a.last.Seq)
}

func (a *agent) ackUpTo(seq uint64) {
	a.Helper()
	if err := a.Acknowledge(a.limit(), a.cell, api.Applied{Stream: a.id, Seq: seq}); err != nil {
		a.Fatal(err)
	}
}

// silent fails if a message comes within a moment.
func (a *agent) silent() {
	a.Helper()
	ctx, cancel := context.WithTimeout(a.Context(), 50*time.Millisecond)
	defer cancel()
	if msg, err := a.stream.Next(ctx); err == nil {
		a.Errorf("cell %s: unexpected message %+v", a.cell, msg)
	}
}

func (a *agent) report(up []api.Endpoint, down ...string) error {
	return a.Report(a.limit(), a.cell, api.EndpointsReport{Stream: a.id, Up: up, Down: down})
}

// on is an endpoint on cell-n, number i there.
func on(n, i int, app string) api.Endpoint {
	return api.Endpoint{
		Container: fmt.Sprintf("c%d", i), App: app, IP: fmt.Sprintf("10.%d.%d.%d", n, 1+i/250, 1+i%250), OFPort: uint16(10 + i),
	}
}

func policy(from, to string, port uint16) []api.Policy {
	return []api.Policy{{
		From: flows.AppID(from), To: flows.AppID(to), Protocol: flows.TCP, Ports: flows.PortRange{First: port, Last: port},
	}}
}

func (b *bench) allow(from, to string, port uint16) api.Revision {
	b.Helper()
	revision, err := b.AddPolicies(b.limit(), policy(from, to, port), api.Order{By: "test"})
	if err != nil {
		b.Fatal(err)
	}
	return revision
}

func (b *bench) revoke(from, to string, port uint16) api.Revision {
	b.Helper()
	revision, err := b.RemovePolicies(b.limit(), policy(from, to, port), api.Order{By: "test"})
	if err != nil {
		b.Fatal(err)
	}
	return revision
}

// owing lists who has not confirmed a revision, now.
func (b *bench) owing(revision api.Revision, disconnected bool) string {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	return fmt.Sprint(b.WaitApplied(ctx, revision, disconnected))
}

// TestLifeOfAPolicy: from the write to the switch's acknowledgement, and to
// those cells only that host the destination.
func TestLifeOfAPolicy(t *testing.T) {
	b := start(t)
	front, back := b.cellNumber(1, on(1, 1, "front")), b.cellNumber(2, on(2, 1, "back"))
	b.settled(map[*agent]string{front: "front", back: "back"})
	r := b.allow("front", "back", 8080)
	if msg := back.next(); len(msg.Set) != 1 || back.rules("back") != 1 {
		t.Errorf("the policy came as %+v", msg)
	}
	if got := b.owing(r, false); got != "[cell-2]" {
		t.Errorf("before the acknowledgement %s owes", got)
	}
	waited := make(chan []flows.CellID)
	go func() { waited <- b.WaitApplied(b.limit(), r, false) }()
	back.ack()
	if pending := <-waited; pending != nil {
		t.Errorf("after the acknowledgement %v owes", pending)
	}
	r = b.revoke("front", "back", 8080)
	if msg := back.next(); !slices.Equal(msg.Remove, []string{b.policyKey("back")}) || msg.Revision != uint64(r) {
		t.Errorf("the revocation came as %+v", msg)
	}
	front.silent()
	cells, err := b.Cells(b.limit())
	if err != nil || fmt.Sprint(cells) != fmt.Sprintf("[{cell-1 192.0.2.1 10.1.0.0/16 true %d 1  false  false} {cell-2 192.0.2.2 10.2.0.0/16 true %d 1  true  false}]", r, r-1) {
		t.Errorf("cells %v, %v", cells, err)
	}
}

// TestSlowReader: what was missed is merged, the latest winning; beyond a
// bound it is forgotten and a snapshot sent.
func TestSlowReader(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 0, "app"))
	b.settled(map[*agent]string{a: "app"})
	for port := uint16(1); port <= 50; port++ {
		b.allow("app", "app", port)
	}
	last := b.revoke("app", "app", 50)
	messages := 0
	for a.last.Revision != uint64(last) {
		a.next()
		messages++
	}
	if messages > 1 || a.rules("app") != 49 {
		t.Errorf("%d messages made %d flows", messages, a.rules("app"))
	}
	var many []api.Endpoint
	for i := range 5000 {
		many = append(many, on(1, 1+i, "app"))
	}
	if err := a.report(many); err != nil {
		t.Fatal(err)
	}
	if err := a.report(nil, many[7].Container); err != nil {
		t.Fatal(err)
	}
	if msg := a.next(); msg.Type != api.TypeSnapshot || msg.Stream != a.id || a.has("endpoint/c8") || !a.has("endpoint/c9") {
		t.Errorf("after more than a stream holds: %s of stream %q, %d fragments", msg.Type, msg.Stream, len(a.table))
	}
	a.ack()
	if got := b.owing(last, true); got != "[]" {
		t.Errorf("%s owes what the snapshot had", got)
	}
	a.silent()
}

// grouped reports whether an app has a group id.
func (b *bench) grouped(app string) bool {
	groups, err := b.Groups(b.limit())
	if err != nil {
		b.Fatal(err)
	}
	return slices.ContainsFunc(groups, func(g api.Group) bool { return g.App == app })
}

// policyKey is the key of the fragment toward an app.
func (b *bench) policyKey(app string) string {
	b.Helper()
	groups, err := b.Groups(b.limit())
	if err != nil {
		b.Fatal(err)
	}
	for _, g := range groups {
		if g.App == app {
			return string(flows.PolicyKey(flows.GroupID(g.Group)))
		}
	}
	b.Fatalf("app %s has no group id", app)
	return ""
}

// rules counts the flows that let somebody reach a port of an app.
func (a *agent) rules(app string) int {
	n := 0
	for _, flow := range a.table[a.policyKey(app)].Flows {
		if strings.Contains(flow.Match, "ct_tp_dst=") { // not that of ICMP errors
			n++
		}
	}
	return n
}

// TestStreamReplaced: a cell has one stream; what an older one still says is Gone.
func TestStreamReplaced(t *testing.T) {
	b := start(t)
	old := b.cellNumber(1, on(1, 1, "app"))
	now := b.cellNumber(1, on(1, 2, "app"))
	if _, err := old.stream.Next(b.limit()); api.KindOf(err) != api.ErrGone {
		t.Errorf("next on the old stream: %v", err)
	}
	if err := old.report([]api.Endpoint{on(1, 3, "app")}); api.KindOf(err) != api.ErrGone {
		t.Errorf("report on the old stream: %v", err)
	}
	if err := b.Acknowledge(b.limit(), "cell-1", api.Applied{Stream: old.id, Seq: 1}); api.KindOf(err) != api.ErrGone {
		t.Errorf("acknowledgement on the old stream: %v", err)
	}
	if err := b.Acknowledge(b.limit(), "cell-9", api.Applied{Stream: old.id, Seq: 1}); api.KindOf(err) != api.ErrGone {
		t.Errorf("acknowledgement of an unknown cell: %v", err)
	}
	if err := b.Acknowledge(b.limit(), "cell-1", api.Applied{Stream: now.id, Seq: now.last.Seq + 100}); api.KindOf(err) != api.ErrInvalid {
		t.Errorf("acknowledgement of what was not sent: %v", err)
	}
	old.stream.Close() // must not end the new one
	if now.has("endpoint/c1") || !now.has("endpoint/c2") {
		t.Errorf("the new stream's table has %v", slices.Sorted(maps.Keys(now.table)))
	}
	now.ack()
}

// TestEndpointsOutliveTheStream: containers run on while their agent is away.
func TestEndpointsOutliveTheStream(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 1, "app"))
	a.stream.Close()
	a.stream.Close()
	endpoints, err := b.Endpoints(b.limit())
	if err != nil || len(endpoints) != 1 || endpoints[0].Container != "c1" || endpoints[0].Cell != "cell-1" {
		t.Errorf("endpoints %v, %v", endpoints, err)
	}
	cells, _ := b.Cells(b.limit())
	if cells[0].Connected || cells[0].Endpoints != 1 {
		t.Errorf("cell %+v", cells[0])
	}
	b.cellNumber(1)
	if endpoints, _ = b.Endpoints(b.limit()); len(endpoints) != 0 {
		t.Errorf("endpoints after an empty hello: %v", endpoints)
	}
}

// TestRefusedEndpoints: the agent learns why on its stream, and what else it
// reported is served.
func TestRefusedEndpoints(t *testing.T) {
	b := start(t)
	stray := on(2, 5, "app")
	a := b.cellNumber(1, on(1, 1, "app"), stray)
	if got := a.last.Refused; got == nil || len(*got) != 1 || (*got)[0].Container != "c5" || !strings.Contains((*got)[0].Reason, "outside the cell's lease") {
		t.Errorf("refused in the snapshot: %v", got)
	}
	long := on(1, 6, strings.Repeat("x", 256))
	if err := a.report([]api.Endpoint{long, on(1, 7, "app")}); err != nil {
		t.Fatal(err)
	}
	a.until(func() bool { return a.has("endpoint/c7") && a.last.Refused != nil })
	if got := *a.last.Refused; len(got) != 2 || !strings.Contains(got[1].Reason, "at most 255") {
		t.Errorf("refused: %v", got)
	}
	if err := a.report(nil, "c5", "c6"); err != nil {
		t.Fatal(err)
	}
	a.until(func() bool { return a.last.Refused != nil && len(*a.last.Refused) == 0 })
}

// TestLeaseErrors: what cannot have a lease or a stream is told why.
func TestLeaseErrors(t *testing.T) {
	b := start(t)
	b.cellNumber(1)
	for _, c := range []struct {
		cell flows.CellID
		vtep string
		want string
	}{
		{"cell-2", "192.0.2.1", "conflict: vtep 192.0.2.1: cell cell-1 has it"},
		{"cell-2", "10.3.0.1", "invalid: vtep 10.3.0.1: lies inside the overlay network"},
		{"cell-2", "fd00::1", `invalid: vtep "fd00::1"`},
		{"cell-2", "", `invalid: vtep ""`},
		{"Cell 2", "192.0.2.2", `invalid: cell id "Cell 2"`},
	} {
		_, err := b.Lease(b.limit(), c.cell, api.LeaseRequest{VTEP: c.vtep})
		if got := fmt.Sprintf("%s: %v", api.KindOf(err), err); !strings.HasPrefix(got, c.want) {
			t.Errorf("lease of %q at %q: %s, want %s", c.cell, c.vtep, got, c.want)
		}
	}
	for cell, want := range map[flows.CellID]string{
		"cell-1": "has its lease for 192.0.2.1", "cell-9": "has no lease",
	} {
		if _, err := b.Open(b.limit(), cell, api.Hello{VTEP: "192.0.2.99"}); api.KindOf(err) != api.ErrConflict || !strings.Contains(err.Error(), want) {
			t.Errorf("stream of %s: %v, want %s", cell, err, want)
		}
	}
	first, _ := b.Lease(b.limit(), "cell-1", api.LeaseRequest{VTEP: "192.0.2.1"})
	if again, err := b.Lease(b.limit(), "cell-1", api.LeaseRequest{VTEP: "192.0.2.1"}); err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("lease asked again: %v, %v; first %v", again, err, first)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// TestResume: an agent that has the table of now, from an earlier stream, is not
// sent it again; one that has any other, or none, is.
func TestResume(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1, on(1, 1, "back"))
	b.settled(map[*agent]string{a: "back"})
	b.allow("front", "back", 80)
	a.next()
	reopen := func(holds string) api.Message {
		t.Helper()
		var err error
		if a.stream, err = a.Open(a.limit(), a.cell, api.Hello{VTEP: "192.0.2.1", Endpoints: []api.Endpoint{on(1, 1, "back")}, Patches: true, Holds: holds}); err != nil {
			t.Fatal(err)
		}
		msg, err := a.stream.Next(a.limit())
		if err != nil || msg.Type != api.TypeSnapshot || msg.Seq != 1 || msg.Stream == "" {
			t.Fatalf("%+v, %v", msg, err)
		}
		return msg
	}
	had := a.last.Hash
	if msg := reopen(had); !msg.Same || len(msg.Set) > 0 || msg.Hash != had {
		t.Errorf("with the table of now: %+v", msg)
	}
	b.allow("front", "back", 81)
	if msg, err := a.stream.Next(a.limit()); err != nil || msg.Type != api.TypeDelta || len(msg.Patch) != 1 {
		t.Errorf("it does not go on from there: %+v, %v", msg, err)
	}
	for what, holds := range map[string]string{"the table of before": had, "none": "", "nonsense": "x"} {
		if msg := reopen(holds); msg.Same || len(msg.Set) == 0 {
			t.Errorf("with %s: %+v", what, msg)
		}
	}
}
