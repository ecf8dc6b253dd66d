package controller

import (
	"context"
	"time"

	"github.com/weft-sdn/weft/api"
)

const (
	// tidyInterval is how often unused group ids are looked for. It is also
	// about how long an app must be gone for its id to be freed, so that one
	// that restarts quickly writes nothing to the database.
	tidyInterval = 10 * time.Second
	// tidyMost bounds the group ids of one write.
	tidyMost = 200
)

// housekeep frees and releases group ids until ctx ends.
func (c *Controller) housekeep(ctx context.Context) {
	ticker := time.NewTicker(tidyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := c.tidy(ctx, now); err != nil && ctx.Err() == nil {
				c.log.Error("freeing group ids", "error", err, "retry_in", tidyInterval)
			}
		}
	}
}

// tidy puts the group ids that nothing uses into quarantine, and releases
// those whose quarantine is over at now.
//
// Whether an app has a container is known only while every cell that has a
// lease is connected: one that is away blocks both, until it comes back or
// loses its lease. What is decided here may be out of date when it is written.
// The database refuses what policies speak against; an endpoint that came in
// between gets its id back, or if that was released a new one, and is isolated
// until then.
func (c *Controller) tidy(ctx context.Context, now time.Time) error {
	var free FreeGroups
	var release ReleaseGroups
	if err := c.ask(ctx, func(s *State) {
		held, present := c.fleetHolds(s.Revision())
		if present {
			free.Groups = s.Unused(tidyMost)
		}
		release.Groups = s.Releasable(held, now, tidyMost)
	}); err != nil {
		return err
	}
	if len(free.Groups) > 0 {
		if _, err := c.write(ctx, free); err != nil {
			return err
		}
		c.log.Info("group ids are in quarantine", "groups", len(free.Groups))
	}
	if len(release.Groups) > 0 {
		if _, err := c.write(ctx, release); err != nil {
			return err
		}
		c.log.Info("group ids may be given again", "groups", len(release.Groups))
		token(c.unnamed) // somebody may have waited for one
	}
	return nil
}

// fleetHolds returns the revision whose table, or that of a later one, every
// cell with a lease holds, and whether all of them are present: they have told
// their endpoints on a stream that is open, and confirmed what that gave them.
// Only the loop calls it.
func (c *Controller) fleetHolds(now api.Revision) (held api.Revision, present bool) {
	held, present = now, true
	for _, l := range c.allLinks() {
		l.mu.Lock()
		held = min(held, l.holds(now))
		present = present && l.stream != nil && l.stream.acked > 0
		l.mu.Unlock()
	}
	return held, present
}
