package scale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/api"
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
	startPatience  = 20 * time.Minute // thousands of cells on two CPUs take their time
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
	defer r.controller.kill()
	err := r.setUp(ctx)
	if r.fleet != nil {
		defer r.fleet.Kill()
		defer context.AfterFunc(ctx, r.fleet.Kill)() // so that nothing waits for it
	}
	for _, phase := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"first connect", r.firstConnect}, {"cold start", r.coldStart}, {"policy changes", r.policyChanges}, {"popular app", r.popularApp},
		{"stuck agents", r.stuckAgents}, {"churn", r.churn},
	} {
		if err == nil {
			err = r.phase(ctx, phase.name, phase.run)
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return r.result, err
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
func (r *run) phase(ctx context.Context, name string, run func(context.Context) error) error {
	before, fleetBefore, err := r.usages()
	if err != nil {
		return err
	}
	told, err := r.fleet.Status()
	if err != nil {
		return err
	}
	starts, begin := r.controller.starts, time.Now()
	if err := run(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took := time.Since(begin)
	after, fleetAfter, err := r.usages()
	if err != nil {
		return err
	}
	now, err := r.fleet.Status()
	if err != nil {
		return err
	}
	if r.controller.starts != starts {
		before.CPU = 0 // another process
	}
	p := Phase{
		Name: name, Seconds: took.Seconds(), ControllerCPU: after.CPU - before.CPU, FleetCPU: fleetAfter.CPU - fleetBefore.CPU,
		ControllerRSS: after.RSS, ControllerPeak: after.Peak, FleetRSS: fleetAfter.RSS,
		BytesPerCell: float64(now.Bytes-told.Bytes) / float64(r.Cells),
		Deltas:       now.Deltas - told.Deltas, Snapshots: now.Snapshots - told.Snapshots, Broken: now.Broken - told.Broken,
	}
	r.result.Phases = append(r.result.Phases, p)
	r.Say("%s: %s", name, p)
	if now.Diverged > 0 || now.Refused > 0 {
		return fmt.Errorf("%s: agents refused %d messages and the controller %d endpoints: %s", name, now.Diverged, now.Refused, now.LastFault)
	}
	return nil
}

func (r *run) usages() (controller, simulated usage, err error) {
	if controller, err = usageOf(r.controller.process.PID); err == nil {
		simulated, err = usageOf(r.fleet.PID)
	}
	return controller, simulated, err
}

// settle returns when as many cells as that have acknowledged all they were sent.
func (r *run) settle(ctx context.Context, cells int, patience time.Duration) error {
	said := time.Now()
	for deadline := time.Now().Add(patience); ; {
		s, err := r.fleet.Status()
		if err != nil {
			return err
		}
		if cells > 0 && s.Settled >= cells || cells == 0 && s.Settled == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d cells are in step after %v; last fault: %s", s.Settled, cells, patience, s.LastFault)
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			r.Say("%d cells are in step", s.Settled)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// errPending is a wait that has ended without all cells.
var errPending = errors.New("not applied everywhere")

// timeChange makes one change and returns how long it took until all cells that
// it concerns had acknowledged it.
func (r *run) timeChange(ctx context.Context, change func(context.Context, []api.PolicyBody, api.Wait) (api.Change, error), policies ...api.PolicyBody) (time.Duration, error) {
	begin := time.Now()
	done, err := change(ctx, policies, api.Wait{For: api.WaitApplied, Timeout: waitFor})
	took := time.Since(begin)
	if err == nil && len(done.Pending) > 0 {
		err = fmt.Errorf("%w after %v: %d cells, %.60v", errPending, took, len(done.Pending), done.Pending)
	}
	return took, err
}
