package flowlog

import (
	"context"
	"net/netip"
	"time"
)

// refusalsFresh is how often the host's rules are asked at most.
const refusalsFresh = time.Second

// refusals counts, for each sender, the denied packets that the host's rules
// left out of the log. It has one user.
type refusals struct {
	ask    func(context.Context) (map[netip.Addr]uint64, error)
	asked  time.Time
	totals map[netip.Addr]uint64
	told   map[netip.Addr]uint64
}

// since returns how many packets of sender were left out since it was asked
// last for that sender. What happened within the last second may be missing;
// it is told the next time.
func (r *refusals) since(ctx context.Context, sender netip.Addr) uint64 {
	if r.ask == nil {
		return 0
	}
	if time.Since(r.asked) > refusalsFresh {
		ctx, cancel := context.WithTimeout(ctx, namePatience)
		totals, err := r.ask(ctx)
		cancel()
		r.asked = time.Now()
		if err == nil {
			r.totals = totals
			for addr := range r.told {
				if _, counted := totals[addr]; !counted {
					delete(r.told, addr) // the rules have forgotten it, or were made anew
				}
			}
		}
	}
	total, counted := r.totals[sender]
	if !counted {
		return 0
	}
	told := r.told[sender]
	if told > total {
		told = 0 // counted anew
	}
	r.told[sender] = total
	return total - told
}
