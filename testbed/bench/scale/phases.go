package scale

import (
	"context"
	"fmt"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/fleet"
)

// firstConnect opens all streams at once: the controller hears of every container.
func (r *run) firstConnect(ctx context.Context) error {
	begin := time.Now()
	if err := r.fleet.Connect(); err != nil {
		return err
	}
	err := r.settle(ctx, r.Cells, startPatience)
	r.result.FirstConnect = time.Since(begin).Seconds()
	return err
}

// coldStart kills the controller and starts it again, when all agents are trying
// to reach it.
func (r *run) coldStart(ctx context.Context) error {
	r.controller.kill()
	if err := r.settle(ctx, 0, startPatience); err != nil {
		return err
	}
	begin := time.Now()
	if err := r.controller.start(ctx); err != nil {
		return err
	}
	r.result.Ready = time.Since(begin).Seconds()
	err := r.settle(ctx, r.Cells, startPatience)
	r.result.ColdStart = time.Since(begin).Seconds()
	return err
}

// policyChanges adds a policy between two apps and removes it again, one change
// at a time.
func (r *run) policyChanges(ctx context.Context) (err error) {
	r.result.Change, err = r.times(ctx, r.cluster.fresh(uncounted+changes, nil), changesFor)
	return err
}

// popularApp lets 1,000 apps reach one that runs on every cell, then one more, and
// one fewer. In the end nobody may.
func (r *run) popularApp(ctx context.Context) error {
	sources := r.cluster.towardPopular()
	took, err := timeChange(ctx, r.controller.client.AddPolicies, sources...)
	if err != nil {
		return err
	}
	r.result.PopularFirst = took.Seconds()
	r.Say("%d policies toward the popular app were applied on %d cells in %.1f s", len(sources), r.Cells, took.Seconds())
	more := make([]api.PolicyBody, uncounted+popularChanges)
	for i := range more {
		more[i] = policy(r.cluster.Apps[(len(sources)+i)%len(r.cluster.Apps)], popular, 9090)
	}
	if r.result.Popular, err = r.times(ctx, more, popularFor); err != nil {
		return err
	}
	_, err = timeChange(ctx, r.controller.client.RemovePolicies, sources...)
	return err
}

// times adds each of the policies and removes it, for as long as there is time.
func (r *run) times(ctx context.Context, policies []api.PolicyBody, budget time.Duration) (gauge.Spread, error) {
	var took []time.Duration
	change := func(i int) error {
		for _, do := range []change{r.controller.client.AddPolicies, r.controller.client.RemovePolicies} {
			one, err := timeChange(ctx, do, policies[i])
			if err != nil {
				return err
			}
			took = append(took, one)
		}
		return nil
	}
	err := gauge.Bounds{Least: uncounted + fewest, Most: len(policies), Budget: budget}.Each(ctx, change)
	return gauge.SpreadOf(took[min(len(took), 2*uncounted):]), err
}

// change adds policies or removes them, as the API's client does.
type change func(context.Context, []api.PolicyBody, api.Wait) (api.Change, error)

// timeChange makes one change and returns how long it took until all cells that
// it concerns had acknowledged it.
func timeChange(ctx context.Context, do change, policies ...api.PolicyBody) (time.Duration, error) {
	begin := time.Now()
	done, err := do(ctx, policies, api.Wait{For: api.WaitApplied, Timeout: waitFor})
	took := time.Since(begin)
	if err == nil && len(done.Pending) > 0 {
		err = fmt.Errorf("not acknowledged after %v by %d cells, among them %s", took, len(done.Pending), done.Pending[0])
	}
	return took, err
}

// churn replaces containers, at a pace that does not wait.
func (r *run) churn(context.Context) error {
	r.Say("%d containers a second end and others start, for %v", churnRate, churnFor)
	churned, err := r.fleet.Churn(fleet.Churn{PerSecond: churnRate, For: churnFor, Seed: 1})
	if err != nil {
		return err
	}
	r.result.Churn, r.result.ChurnRate, r.result.ChurnLost = churned.Took, churned.PerSecond, churned.Changes-churned.Took.N
	return nil
}
