package controller

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// CleanUp removes the policies that name an app which access says is gone, and
// returns them. Nil access: every app exists.
func (c *Controller) CleanUp(ctx context.Context, access api.Access, by string) ([]api.Policy, error) {
	all, err := c.Policies(ctx, api.Filter{})
	if err != nil || access == nil {
		return nil, err
	}
	apps := map[flows.AppID]bool{}
	for _, p := range all {
		apps[p.From], apps[p.To] = true, true
	}
	gone, err := access.Gone(ctx, slices.Sorted(maps.Keys(apps)))
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	named := make([]string, len(gone))
	for i, app := range gone {
		named[i] = string(app)
	}
	stale, err := c.Policies(ctx, api.Filter{ID: named})
	if err != nil || len(stale) == 0 {
		return nil, err
	}
	if _, err := c.RemovePolicies(ctx, stale, api.Order{By: by}); err != nil {
		return nil, err
	}
	c.log.Info("removed the policies of apps that are gone", "policies", len(stale), "apps", len(gone), "by", by)
	return stale, nil
}

// CleanUpEvery cleans up each time interval has passed, until ctx ends. A
// failure is logged, and the next interval is the next try.
func (c *Controller) CleanUpEvery(ctx context.Context, access api.Access, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := c.CleanUp(ctx, access, "cleanup"); err != nil && ctx.Err() == nil {
			c.log.Error("cleaning up the policies of apps that are gone; it is tried again", "in", interval, "error", err)
		}
	}
}
