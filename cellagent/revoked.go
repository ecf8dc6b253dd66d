package cellagent

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weft-sdn/weft/cellagent/conntrack"
	"github.com/weft-sdn/weft/flows"
)

const (
	// singly is how many addresses, or removed flows, are looked up one by one
	// in the kernel; for more it is asked once for everything.
	singly = 16
	// trackerAgain is when the tracker is cleared once more: until the datapath
	// has caught up with new flows it may still make entries by the old ones.
	trackerAgain = time.Second
	// maxRemoved bounds what is remembered of removed flows.
	maxRemoved = 1024
)

// tracker deletes what the connection tracker remembers of containers, policies
// and port mappings that are gone. It has a goroutine of its own, and what fails is
// tried again, once a second or with what comes first. Only the next container with
// an address that is to be cleared waits for it: it would get what was meant for the
// last one. A nil *tracker does nothing.
type tracker struct {
	seen    func() *view
	overlay func() bool // the kernel tracks the connections of the overlay
	fault   func(error)
	wake    chan struct{}

	mapped atomic.Pointer[mappedPorts] // nil before the host's rules were made

	mu      sync.Mutex
	todo    chores // what failed, too
	doing   chores // taken, and not done yet
	failing bool   // the last attempt failed

	deleted, failures atomic.Uint64
}

// TrackerCounters count since the agent's start.
type TrackerCounters struct {
	Deleted  uint64 `json:"deleted"`  // entries of containers, policies and port mappings that are gone
	Failures uint64 `json:"failures"` // attempts that failed, and were made again
}

// chores is what is to be cleared. The zero value is nothing.
type chores struct {
	addresses map[netip.Addr]bool
	removed   map[allowance]bool
	all       bool // whatever is abandoned or revoked
	ports     map[mappedPort]bool
	host      bool // of what the host routes, whatever is abandoned or stray
}

func newTracker(seen func() *view, overlay func() bool, fault func(error)) *tracker {
	return &tracker{seen: seen, overlay: overlay, fault: fault, wake: make(chan struct{}, 1)}
}

// counters may be called at any time.
func (t *tracker) counters() TrackerCounters {
	if t == nil {
		return TrackerCounters{}
	}
	return TrackerCounters{t.deleted.Load(), t.failures.Load()}
}

// forget has the entries of addresses deleted whose containers left.
func (t *tracker) forget(addresses []netip.Addr) {
	c := chores{addresses: map[netip.Addr]bool{}}
	for _, addr := range addresses {
		c.addresses[addr] = true
	}
	t.add(c)
}

// revoke has the entries deleted that these flows, which are no longer in the
// switch, have allowed and no other does.
func (t *tracker) revoke(removed []flows.Flow) {
	c := chores{removed: map[allowance]bool{}}
	for _, f := range removed {
		if a, ok := allowanceOf(f); ok {
			c.removed[a] = true
		}
	}
	t.add(c)
}

// sweep has everything deleted that nothing stands for any longer.
func (t *tracker) sweep() { t.add(chores{all: true}) }

func (t *tracker) add(c chores) {
	if t == nil || c.none() {
		return
	}
	t.mu.Lock()
	t.todo = t.todo.with(c)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take begins whatever is to be done.
func (t *tracker) take() chores {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doing, t.todo = t.todo, chores{}
	return t.doing
}

// clearing reports whether the kernel may still remember connections of the last
// container with the address.
func (t *tracker) clearing(addr netip.Addr) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.todo.addresses[addr] || t.doing.addresses[addr]
}

// tried notes that whatever was taken has been done, or is to be done again, and
// tells, unless nobody waits for it: for the connections of a policy nobody does.
func (t *tracker) tried(err error) {
	t.mu.Lock()
	awaited := err != nil || t.failing || len(t.doing.addresses)+len(t.doing.ports) > 0 || t.doing.all || t.doing.host
	t.failing = err != nil
	if err != nil {
		t.todo = t.todo.with(t.doing)
	}
	t.doing = chores{}
	t.mu.Unlock()
	if awaited {
		t.fault(err)
	}
}

// run does chores until ctx ends: at once, again after a failure, and once more
// after a success.
func (t *tracker) run(ctx context.Context) {
	var fresh, ripe chores
	tick := time.NewTicker(trackerAgain)
	defer tick.Stop()
	for {
		var first, second chores
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			first = t.take()
		case <-tick.C:
			first, second = t.take(), ripe.settled(t.seen())
			fresh, ripe = chores{}, fresh
		}
		work := first.with(second)
		if work.none() {
			continue
		}
		n, err := t.clear(work)
		t.deleted.Add(uint64(n))
		if t.tried(err); err != nil {
			t.failures.Add(1)
			ripe = ripe.with(second)
			continue
		}
		fresh = fresh.with(first)
	}
}

// clear deletes what the chores name and returns how many entries these were.
func (t *tracker) clear(c chores) (deleted int, err error) {
	jobs, err := t.hostJobs(c)
	if t.overlay() { // OVS loads its module when it starts, maybe after us
		jobs = append(jobs, c.jobs(t.seen)...)
	}
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	zone, err := conntrack.Open()
	if err != nil {
		return 0, err
	}
	defer zone.Close()
	for _, job := range jobs {
		n, err := zone.Delete(job.from, job.doomed)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// job is one walk through the tracker.
type job struct {
	from   conntrack.Selection
	doomed func(conntrack.Entry) bool
}

// jobs returns the walks through the overlay's connections. What is allowed or attached is
// asked for each entry at its time: it may have become so meanwhile.
func (c chores) jobs(seen func() *view) (jobs []job) {
	from := conntrack.Selection{Zone: flows.ZoneOverlay}
	every := func(conntrack.Entry) bool { return true }
	revoked := func(e conntrack.Entry) bool { return seen().revoked(e) }
	if c.all {
		jobs = append(jobs, job{from, func(e conntrack.Entry) bool { return seen().abandoned(e) || revoked(e) }})
	}
	if len(c.addresses) > singly {
		jobs = append(jobs, job{from, c.concerns})
	} else {
		for addr := range c.addresses {
			jobs = append(jobs, job{conntrack.Selection{Zone: flows.ZoneOverlay, Source: addr}, every},
				job{conntrack.Selection{Zone: flows.ZoneOverlay, Destination: addr}, every})
		}
	}
	switch {
	case c.all:
	case len(c.removed) > singly:
		from.ByPolicy = true
		jobs = append(jobs, job{from, revoked})
	default:
		for a := range c.removed {
			from := conntrack.Selection{Zone: flows.ZoneOverlay, ByPolicy: true, Protocol: a.protocol}
			if a.mask == 0xffff {
				from.Port = a.value
			}
			jobs = append(jobs, job{from, func(e conntrack.Entry) bool {
				return a.covers(e.From, e.To, e.Protocol, e.Port) && revoked(e)
			}})
		}
	}
	return jobs
}

// concerns reports whether an entry is of one of the addresses.
func (c chores) concerns(e conntrack.Entry) bool {
	return c.addresses[e.Source] || c.addresses[e.Destination] || c.addresses[e.Answerer.Addr()]
}

func (c chores) none() bool {
	return len(c.addresses) == 0 && len(c.removed) == 0 && len(c.ports) == 0 && !c.all && !c.host
}

// with joins chores. Beyond a bound, removed flows become a sweep.
func (c chores) with(other chores) chores {
	out := chores{addresses: map[netip.Addr]bool{}, removed: map[allowance]bool{}, ports: map[mappedPort]bool{},
		all: c.all || other.all, host: c.host || other.host}
	for _, part := range []chores{c, other} {
		maps.Copy(out.addresses, part.addresses)
		maps.Copy(out.removed, part.removed)
		maps.Copy(out.ports, part.ports)
	}
	if len(out.removed) > maxRemoved {
		out.removed, out.all = nil, true
	}
	return out
}

// settled is what is left to do a second time: a sweep has seen everything, and an
// address may belong to somebody again, who was told that it is free: his entries
// stay.
func (c chores) settled(now *view) chores {
	c.all, c.host = false, false
	c.addresses = maps.Clone(c.addresses)
	maps.DeleteFunc(c.addresses, func(a netip.Addr, _ bool) bool { return now.taken(a) })
	return c
}
