package controller

import (
	"context"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

const (
	// tidyInterval is how often unused group ids are looked for. An id is freed
	// when it is unused twice in a row, so that an app that restarts within ten
	// seconds writes nothing to the database.
	tidyInterval = 10 * time.Second
	// tidyMost bounds the group ids of one write.
	tidyMost = 200
)

// housekeep frees and releases group ids until ctx ends.
func (c *Controller) housekeep(ctx context.Context) {
	k := keeper{c: c}
	ticker := time.NewTicker(tidyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := k.tidy(ctx, now); err != nil && ctx.Err() == nil {
				c.log.Error("freeing group ids", "error", err, "retry_in", tidyInterval)
			}
		}
	}
}

// keeper frees and releases group ids. What it has seen is gone with this
// process: after a restart both take their time again.
type keeper struct {
	c    *Controller
	idle map[flows.GroupID]struct{} // unused when it last looked
	seen []sample                   // in the order of time, each other than the one before
}

// sample is what every switch was known to hold from a time on.
type sample struct {
	held api.Revision
	at   time.Time
}

// tidy puts the group ids into quarantine that nothing has used since the last
// time, and releases those whose quarantine is over at now.
//
// Whether an app has a container is known only while every cell that has a
// lease is connected: one that is away blocks freeing, until it comes back or
// loses its lease. What is decided here may be out of date when it is written.
// The database refuses what policies speak against; an endpoint that came in
// between gets its id back, or if that was released a new one, and is isolated
// until then.
func (k *keeper) tidy(ctx context.Context, now time.Time) error {
	c := k.c
	var unused []flows.GroupID
	var release ReleaseGroups
	if err := c.ask(ctx, func(s *State) {
		held, present := c.fleetHolds(s.Revision())
		if present {
			unused = s.Unused()
		}
		release.Groups = s.Releasable(min(held, k.heldFor(s.overlay.Quarantine, held, now)), now, tidyMost)
	}); err != nil {
		return err
	}
	if free := k.still(unused); len(free) > 0 {
		revision, err := c.write(ctx, FreeGroups{Groups: free})
		if err != nil {
			return err
		}
		if revision != 0 {
			c.log.Info("group ids are in quarantine", "groups", free, "revision", revision)
		}
	}
	if len(release.Groups) > 0 {
		revision, err := c.write(ctx, release)
		if err != nil {
			return err
		}
		if revision != 0 {
			c.log.Info("group ids may be given again", "groups", len(release.Groups), "revision", revision)
		}
		token(c.unnamed) // somebody may have waited for one
	}
	return nil
}

// still returns those of unused that were so the last time, at most tidyMost
// of them, and remembers unused for the next time.
func (k *keeper) still(unused []flows.GroupID) (free []flows.GroupID) {
	idle := make(map[flows.GroupID]struct{}, len(unused))
	for _, group := range unused {
		if _, was := k.idle[group]; was && len(free) < tidyMost {
			free = append(free, group)
		}
		idle[group] = struct{}{}
	}
	k.idle = idle
	return free
}

// heldFor returns the revision that every switch has been known to hold for at
// least quarantine at now, when held is what they are known to hold: the time
// begins with the slowest switch's confirmation. 0: none.
func (k *keeper) heldFor(quarantine time.Duration, held api.Revision, now time.Time) api.Revision {
	if n := len(k.seen); n == 0 || k.seen[n-1].held != held {
		k.seen = append(k.seen, sample{held, now})
	}
	old := 0 // those that are old enough
	for old < len(k.seen) && now.Sub(k.seen[old].at) >= quarantine {
		old++
	}
	if old == 0 {
		return 0
	}
	k.seen = slices.Delete(k.seen, 0, old-1)
	return k.seen[0].held
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
