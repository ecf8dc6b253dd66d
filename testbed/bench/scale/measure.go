package scale

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/fleet"
)

// Options say what to measure, and with what.
type Options struct {
	Controller string   // path of the weft-controller binary
	Fleet      []string // a program that calls fleet.Serve
	Dir        string   // an empty folder to work in
	Cells      int      // at least 10
	Say        func(format string, args ...any)
}

// How much is measured of each.
const (
	changes        = 200 // policies added, and as many removed
	changesFor     = 60 * time.Second
	popularChanges = 100
	popularFor     = 40 * time.Second
	fewest         = 10 // of both, however long they take
	uncounted      = 3
	churnRate      = 1000 // containers replaced in a second
	churnFor       = 60 * time.Second
	perRequest     = 600 // policies of a request while loading
	atOnce         = 4   // requests while loading
	waitFor        = time.Minute
	progress       = 5 * time.Second  // between two words of it
	startPatience  = 20 * time.Minute // thousands of cells on two CPUs take their time
)

// The parts of a run, in their order.
const (
	firstConnect  = "first connect"
	coldStart     = "cold start"
	policyChanges = "policy changes"
	popularApp    = "popular app"
	stuckAgents   = "stuck agents"
	churn         = "churn"
)

// run is one run, and what it has measured so far.
type run struct {
	Options
	cluster    *cluster
	controller *controller
	fleet      *fleet.Process
	result     Result
}

// Measure runs everything. ctx ends it, and its processes, at any moment.
func Measure(ctx context.Context, o Options) (Result, error) {
	if o.Cells < 10 {
		return Result{}, fmt.Errorf("cells %d: must be 10 or more", o.Cells)
	}
	r := &run{Options: o, cluster: newCluster(o.Cells)}
	r.controller = &controller{binary: o.Controller, dir: o.Dir, listen: "127.0.0.1:0", internal: "127.0.0.1:0"}
	r.result = Result{Cells: o.Cells, Containers: len(r.cluster.Containers) + o.Cells, Apps: len(r.cluster.Apps) + 1, Policies: len(r.cluster.Policies)}
	defer r.stop()
	if err := r.setUp(ctx); err != nil {
		return r.result, cmp.Or(ctx.Err(), err)
	}
	for _, phase := range []struct {
		name string
		part func(context.Context) error
	}{
		{firstConnect, r.firstConnect}, {coldStart, r.coldStart}, {policyChanges, r.policyChanges}, {popularApp, r.popularApp},
		{stuckAgents, r.stuckAgents}, {churn, r.churn},
	} {
		if err := r.phase(ctx, phase.name, phase.part); err != nil {
			return r.result, cmp.Or(ctx.Err(), fmt.Errorf("%s: %w", phase.name, err))
		}
	}
	return r.result, nil
}

// stop ends both processes.
func (r *run) stop() {
	if r.fleet != nil {
		r.fleet.Kill()
	}
	r.controller.kill()
}

// setUp starts both processes and loads the policies. No agent is connected yet,
// but all cells have their leases.
func (r *run) setUp(ctx context.Context) error {
	if err := r.cluster.certify(r.Dir); err != nil {
		return err
	}
	if err := r.controller.start(ctx); err != nil {
		return err
	}
	r.Say("%d cells have certificates; the controller runs", r.Cells)
	if err := r.load(ctx); err != nil {
		return err
	}
	r.Say("%d policies between %d apps are loaded", r.result.Policies, len(r.cluster.Apps))
	var err error
	if r.fleet, err = fleet.Start(r.Fleet...); err != nil {
		return err
	}
	context.AfterFunc(ctx, r.fleet.Kill) // nothing must wait for what it would still do
	if err := r.fleet.New(fleet.Options{URL: "https://" + r.controller.internal, Certificates: r.Dir, Cells: r.cluster.cells()}); err != nil {
		return err
	}
	begin := time.Now()
	if err := r.fleet.Lease(); err != nil {
		return err
	}
	r.Say("all cells have leases, after %.1f s", time.Since(begin).Seconds())
	return nil
}

func (r *run) load(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for rest := r.cluster.policies(); len(rest) > 0; rest = rest[min(perRequest, len(rest)):] {
		some := rest[:min(perRequest, len(rest))]
		group.Go(func() error {
			_, err := r.controller.client.AddPolicies(ctx, some, api.Wait{})
			return err
		})
	}
	return group.Wait()
}

// phase runs a part and notes what it took.
func (r *run) phase(ctx context.Context, name string, part func(context.Context) error) error {
	before, err := r.usage()
	if err != nil {
		return err
	}
	starts, begin := r.controller.starts, time.Now()
	if err := part(ctx); err != nil {
		return err
	}
	took := time.Since(begin)
	after, err := r.usage()
	if err != nil {
		return err
	}
	if r.controller.starts != starts {
		before.controller = 0 // another process
	}
	p := Phase{
		Name: name, Seconds: took.Seconds(), Memory: after.memory,
		ControllerCPU: (after.controller - before.controller).Seconds(), FleetCPU: (after.fleet - before.fleet).Seconds(),
		BytesPerCell: float64(after.status.Bytes-before.status.Bytes) / float64(r.Cells),
		Deltas:       after.status.Deltas - before.status.Deltas, Snapshots: after.status.Snapshots - before.status.Snapshots,
		Broken: after.status.Broken - before.status.Broken,
	}
	r.result.Phases = append(r.result.Phases, p)
	r.Say("%s: %s", name, p)
	if s := after.status; s.Diverged > 0 || s.Refused > 0 {
		return fmt.Errorf("agents refused %d messages and the controller %d endpoints: %s", s.Diverged, s.Refused, s.LastFault)
	}
	return nil
}

// usage is what both processes have used so far, and the controller's memory now.
type usage struct {
	controller, fleet time.Duration // CPU
	memory            gauge.Memory
	status            fleet.Status
}

func (r *run) usage() (u usage, err error) {
	if u.controller, err = gauge.CPU(r.controller.process.PID); err != nil {
		return u, err
	}
	if u.fleet, err = gauge.CPU(r.fleet.PID); err != nil {
		return u, err
	}
	if u.memory, err = gauge.MemoryOf(r.controller.process.PID); err != nil {
		return u, err
	}
	u.status, err = r.fleet.Status()
	return u, err
}

// settle returns when as many cells as that have acknowledged all they were sent.
func (r *run) settle(ctx context.Context, cells int, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last fleet.Status
	said := time.Now()
	err := gauge.Poll(ctx, 20*time.Millisecond, func() (ok bool, err error) {
		last, err = r.fleet.Status()
		if time.Since(said) > progress {
			said = time.Now()
			r.Say("%d cells are in step", last.Settled)
		}
		return last.Settled == cells, err
	})
	if err != nil {
		return fmt.Errorf("%d of %d cells are in step, want %d; last fault: %s: %w", last.Settled, r.Cells, cells, last.LastFault, err)
	}
	return nil
}
