package controller

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weft-sdn/weft/flows"
)

const (
	// renewalsPerExpiry is how often a lease is renewed before it would expire.
	renewalsPerExpiry = 20
	renewalMost       = 10 * time.Minute
	renewalLeast      = 50 * time.Millisecond
	// graceIntervals is how many renewals in a row have to be seen to be missing
	// before a lease expires, whatever its age.
	graceIntervals = 5
	// quietIntervals is how many renewals in a row a cell has to have missed before
	// somebody may remove it whom another replica may serve.
	quietIntervals = 2
)

// renewalInterval is how often a replica renews the leases of its cells.
func renewalInterval(expiry time.Duration) time.Duration {
	return max(renewalLeast, min(expiry/renewalsPerExpiry, renewalMost))
}

// watch decides which leases have expired. A lease that is old by the clock may
// be that of a cell that lives: the clock was set, or that of who renewed it
// differs; or nobody could renew it, because every controller was away, or the
// database. So it counts only what this process has seen itself: a renewal
// that stayed what it was, at looks that follow each other by the monotonic
// clock, for as long as every living cell of every replica would have been
// renewed several times. Who could not look for a while forgets all, and begins
// anew: nobody may have been able to renew meanwhile.
type watch struct {
	expiry, interval time.Duration

	mu     sync.Mutex
	looked time.Time // the last time; zero: never
	seen   map[flows.CellID]sighting
}

// sighting is for how long a renewal has been the last one of its cell.
type sighting struct {
	renewed time.Time
	since   time.Duration
}

func newWatch(expiry time.Duration) *watch {
	return &watch{expiry: expiry, interval: renewalInterval(expiry)}
}

// look takes in what the database says at now of the leases in force, and which
// cells are connected here. It returns those that have expired.
func (w *watch) look(now time.Time, renewals []Renewal, connected map[flows.CellID]bool) (expired []Renewal) {
	passed := now.Sub(w.looked)
	if passed > 2*w.interval { // the first look, or one of a process that was stopped
		w.forget()
	}
	w.looked = now
	seen := make(map[flows.CellID]sighting, len(renewals))
	for _, r := range renewals {
		s := sighting{renewed: r.At}
		if had, is := w.seen[r.Cell]; is && had.renewed.Equal(r.At) && !connected[r.Cell] {
			s.since = had.since + passed
		}
		seen[r.Cell] = s
		// One from far in the future was made by a clock that was wrong, and says as
		// little for its cell as one from far in the past.
		if s.since >= graceIntervals*w.interval && now.Sub(r.At).Abs() >= w.expiry {
			expired = append(expired, r)
		}
	}
	w.seen = seen
	return expired
}

// forget begins anew: the database could not be asked or written.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked, w.seen = time.Time{}, nil
}

// silent returns the last renewal of a cell that has been seen to be its last
// for so long; the zero time if there is none.
func (w *watch) silent(cell flows.CellID, quiet time.Duration) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, is := w.seen[cell]; is && s.since >= quiet {
		return s.renewed
	}
	return time.Time{}
}

// renew renews the leases of the cells that are connected, and expires those
// that nobody renews, until ctx ends.
func (c *Controller) renew(ctx context.Context) {
	if c.overlay.LeaseExpiry == 0 {
		return
	}
	ticker := time.NewTicker(c.watch.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := c.renewOnce(ctx, c.watch, now); err != nil && ctx.Err() == nil {
				c.log.Error("renewing leases: none expires meanwhile", "error", err, "retry_in", c.watch.interval)
			}
		}
	}
}

// renewOnce renews, looks and expires once. After an error w has forgotten.
func (c *Controller) renewOnce(ctx context.Context, w *watch, now time.Time) (err error) {
	defer func() {
		if err != nil {
			w.forget()
		}
	}()
	connected := c.connected()
	if len(connected) > 0 {
		if _, err := c.store.Write(ctx, RenewLeases{Cells: slices.Sorted(maps.Keys(connected)), Replica: c.replica}); err != nil {
			return err
		}
	}
	renewals, err := c.store.Renewals(ctx)
	if err != nil {
		return err
	}
	expired := w.look(now, renewals, connected)
	if len(expired) == 0 {
		return nil
	}
	revision, err := c.write(ctx, ExpireLeases{Leases: expired})
	if err != nil || revision == 0 {
		return err
	}
	for _, lease := range expired {
		c.log.Warn("nobody has renewed the cell's lease: it may have expired", "cell", lease.Cell, "renewed", lease.At.UTC(), "revision", revision)
	}
	return nil
}

// connected lists the cells that have a stream here.
func (c *Controller) connected() map[flows.CellID]bool {
	cells := map[flows.CellID]bool{}
	for cell := range c.streams() {
		cells[cell] = true
	}
	return cells
}
