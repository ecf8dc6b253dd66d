package flowlog

import (
	"net/netip"
	"time"
)

const (
	// maxSenders bounds the limiter's memory. Senders beyond it share one limit.
	maxSenders = 4096
	// senderIdle is when a sender's account may be forgotten.
	senderIdle = time.Minute
)

// limiter lets through so many events per second of each sender. It is pure:
// time is given to it.
type limiter struct {
	perSec   float64 // 0 lets nothing through
	burst    float64
	accounts map[account]*bucket
}

// account is what has a limit of its own: one sender's events of one kind.
type account struct {
	sender  netip.Addr // zero: all those that there was no room for
	verdict string
}

// bucket holds what an account may still write, and what it could not.
type bucket struct {
	tokens     float64
	last       time.Time
	suppressed uint64 // since the last event that passed
}

func newLimiter(perSec int) *limiter {
	l := &limiter{perSec: float64(perSec), accounts: map[account]*bucket{}}
	if perSec > 0 {
		// The host's rules have the same limit, and what they let through must
		// pass here, though it may arrive a little sooner after the one before.
		l.burst = l.perSec + 1
	}
	return l
}

// take reports whether one more event may be written at this time, and if so,
// how many of its account were suppressed since the last one.
func (l *limiter) take(who account, now time.Time) (suppressed uint64, ok bool) {
	b := l.bucket(who, now)
	if passed := now.Sub(b.last).Seconds(); passed > 0 {
		b.tokens, b.last = min(l.burst, b.tokens+passed*l.perSec), now
	}
	if b.tokens < 1 {
		b.suppressed++
		return 0, false
	}
	b.tokens--
	suppressed, b.suppressed = b.suppressed, 0
	return suppressed, true
}

func (l *limiter) bucket(who account, now time.Time) *bucket {
	if b := l.accounts[who]; b != nil {
		return b
	}
	if len(l.accounts) >= maxSenders {
		for who, b := range l.accounts {
			if now.Sub(b.last) > senderIdle {
				delete(l.accounts, who)
			}
		}
	}
	if len(l.accounts) >= maxSenders {
		who = account{verdict: who.verdict}
		if b := l.accounts[who]; b != nil {
			return b
		}
	}
	b := &bucket{tokens: l.burst, last: now}
	l.accounts[who] = b
	return b
}
