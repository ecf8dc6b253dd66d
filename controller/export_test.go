package controller

import (
	"context"
	"time"
)

// Keeper lets tests free and release group ids at times of their own.
type Keeper struct{ keeper }

// NewKeeper returns one that has seen nothing yet.
func NewKeeper(c *Controller) *Keeper { return &Keeper{keeper{c: c}} }

// Tidy is one look at now.
func (k *Keeper) Tidy(ctx context.Context, now time.Time) error { return k.tidy(ctx, now) }

// LeaseKeeper lets tests renew and expire leases at times of their own.
type LeaseKeeper struct {
	c *Controller
	w *watch
}

// NewLeaseKeeper returns one that has seen nothing yet.
func NewLeaseKeeper(c *Controller, expiry time.Duration) *LeaseKeeper {
	return &LeaseKeeper{c, newWatch(expiry)}
}

// Interval is how often it should look.
func (k *LeaseKeeper) Interval() time.Duration { return k.w.interval }

// Look is one look at now.
func (k *LeaseKeeper) Look(ctx context.Context, now time.Time) error {
	return k.c.renewOnce(ctx, k.w, now)
}
