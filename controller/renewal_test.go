package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// TestRenewalInterval: often enough that some renewals may fail, and never so
// often that the database notices.
func TestRenewalInterval(t *testing.T) {
	for expiry, want := range map[time.Duration]time.Duration{
		7 * 24 * time.Hour: 10 * time.Minute, time.Hour: 3 * time.Minute, time.Second: 50 * time.Millisecond, 0: 50 * time.Millisecond,
	} {
		if got := renewalInterval(expiry); got != want {
			t.Errorf("with an expiry of %v: every %v, want %v", expiry, got, want)
		}
	}
}

// sight is what one look sees: when cell-1's lease was renewed, as minutes after
// the start, or that the database did not answer.
type sight struct {
	at        int // minutes after the start, when it looks
	renewed   int
	connected bool
	failed    bool
}

// every makes looks from minute first to last, one each interval of 3 minutes,
// of what see says.
func every(first, last int, see func(at int) sight) (looks []sight) {
	for at := first; at <= last; at += 3 {
		s := see(at)
		s.at = at
		looks = append(looks, s)
	}
	return looks
}

func renewedAt(minute int) func(int) sight { return func(int) sight { return sight{renewed: minute} } }

// TestWatch: a lease of an hour expires when it is an hour old and five
// intervals of three minutes have been seen to go by without a renewal, and in
// no other case. The table says in which minute that is.
func TestWatch(t *testing.T) {
	const never = -1
	for name, c := range map[string]struct {
		looks []sight
		want  int
	}{
		"a cell that died in minute 2":                  {every(0, 90, renewedAt(2)), 63},
		"the controller was away for a day":             {every(24*60, 25*60, renewedAt(2)), 24*60 + 15},
		"... and the cell comes back within the grace":  {every(24*60, 25*60, func(at int) sight { return sight{renewed: map[bool]int{true: 24*60 + 14, false: 2}[at > 24*60+14]} }), never},
		"another replica renews it":                     {every(0, 300, func(at int) sight { return sight{renewed: at - at%3} }), never},
		"another replica, whose clock is a day behind":  {every(0, 300, func(at int) sight { return sight{renewed: at - at%9 - 24*60} }), never},
		"another replica, whose clock is a day ahead":   {every(0, 300, func(at int) sight { return sight{renewed: at - at%9 + 24*60} }), never},
		"... and neither lives any more":                {every(0, 300, renewedAt(24*60)), 15},
		"a clock that was half an hour ahead, the same": {every(0, 300, renewedAt(30)), 90},
		"it is connected here, and cannot be renewed":   {every(0, 300, func(int) sight { return sight{renewed: 0, connected: true} }), never},
		"it was connected here until minute 90":         {every(0, 120, func(at int) sight { return sight{renewed: 0, connected: at < 90} }), 102},
		"the database answers now and then":             {every(0, 300, func(at int) sight { return sight{failed: at%12 == 0} }), never},
		"the database was away from minute 60 to 200":   {every(0, 300, func(at int) sight { return sight{failed: at >= 60 && at < 200} }), 216},
		"the process was stopped from minute 30 to 400": {append(every(0, 30, renewedAt(20)), every(400, 430, renewedAt(20))...), 415},
		"stopped again and again, between two looks":    {[]sight{{at: 100}, {at: 200}, {at: 300}, {at: 400}, {at: 500}, {at: 600}, {at: 700}}, never},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			after := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
			w, got := newWatch(time.Hour), never
			for _, s := range c.looks {
				if s.failed {
					w.forget()
					continue
				}
				alive := Renewal{Cell: "cell-2", At: after(s.at)} // another cell, which is renewed at each look
				expired := w.look(after(s.at), []Renewal{alive, {Cell: "cell-1", At: after(s.renewed)}}, map[flows.CellID]bool{"cell-1": s.connected})
				if len(expired) > 0 {
					if fmt.Sprint(expired) != fmt.Sprint([]Renewal{{Cell: "cell-1", At: after(s.renewed)}}) {
						t.Fatalf("minute %d: expired %v", s.at, expired)
					}
					got = s.at
					break
				}
			}
			if got != c.want {
				t.Errorf("expired in minute %d, want %d (%d: never)", got, c.want, never)
			}
		})
	}
}

// TestSilent: a renewal is silent when it was seen to stay the last one, whatever
// its time; and never after a look that failed.
func TestSilent(t *testing.T) {
	w, now := newWatch(time.Hour), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ahead := now.Add(10 * 365 * 24 * time.Hour)
	for minute := 0; minute <= 6; minute += 3 {
		at := now.Add(time.Duration(minute) * time.Minute)
		w.look(at, []Renewal{{Cell: "dead", At: ahead}, {Cell: "alive", At: at}}, nil)
		want := time.Time{}
		if minute == 6 {
			want = ahead
		}
		if got := w.silent("dead", 6*time.Minute); !got.Equal(want) {
			t.Errorf("minute %d: the renewal of %v is silent, want %v", minute, got, want)
		}
	}
	if got := w.silent("alive", 6*time.Minute); !got.IsZero() {
		t.Errorf("the renewal of %v is silent, and was just made", got)
	}
	if w.forget(); !w.silent("dead", 6*time.Minute).IsZero() {
		t.Error("silent after a look that failed")
	}
}

// TestWatchForgetsWhoIsGone: what is kept of a cell goes with its lease.
func TestWatchForgetsWhoIsGone(t *testing.T) {
	w, now := newWatch(time.Hour), time.Now()
	w.look(now, []Renewal{{Cell: "cell-1", At: now}}, nil)
	w.look(now.Add(time.Minute), nil, nil)
	if len(w.seen) != 0 {
		t.Errorf("kept %v", w.seen)
	}
}
