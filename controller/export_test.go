package controller

import (
	"context"
	"time"
)

// Tidy lets tests free and release group ids at a time of their own.
func (c *Controller) Tidy(ctx context.Context, now time.Time) error { return c.tidy(ctx, now) }
