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
