package flowlog

import (
	"context"
	"maps"
	"net/netip"
	"time"
)

// refusalsFresh is how often the host's rules are asked at most.
const refusalsFresh = time.Second

// refusals knows, for each sender, how many of its denied packets are in no
// event: the host's rules count all of them. It has one user.
type refusals struct {
	ask     func(context.Context) (map[netip.Addr]uint64, error)
	asked   time.Time
	totals  map[netip.Addr]uint64 // as the rules counted
	settled map[netip.Addr]uint64 // of these: in events, or told as suppressed
}

// event notes that a denied packet of sender is in an event, and returns how
// many others are in none since sender's last event. What happened within the
// last second may be missing; it is told the next time.
func (r *refusals) event(ctx context.Context, sender netip.Addr) (suppressed uint64) {
	if r.ask == nil {
		return 0
	}
	if r.settled == nil {
		r.settled = map[netip.Addr]uint64{}
	}
	if time.Since(r.asked) > refusalsFresh {
		r.refresh(ctx)
	}
	if total, settled := r.totals[sender], r.settled[sender]+1; total > settled {
		suppressed = total - settled
	}
	r.settled[sender] += 1 + suppressed
	return suppressed
}

func (r *refusals) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, namePatience)
	defer cancel()
	totals, err := r.ask(ctx)
	r.asked = time.Now()
	if err != nil {
		return
	}
	if r.totals == nil { // what was before the log's start is nobody's event
		maps.Copy(r.settled, totals)
	}
	for sender := range r.settled {
		if n, counted := totals[sender]; !counted || n < r.totals[sender] { // forgotten, or counted anew
			delete(r.settled, sender)
		}
	}
	r.totals = totals
}
