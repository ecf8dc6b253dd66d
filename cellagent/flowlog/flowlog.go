package flowlog

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// Config says where and how much is logged.
type Config struct {
	File              string // absolute path, Stdout, or "" for no log
	DeniedPerSec      int    // lines per sender; also of connections over their limit
	AcceptedUDPPerSec int    // lines of the cell; those of other protocols have no limit
}

// Cell is what the log asks the agent. Its functions are called by one
// goroutine and must not block, but for Refused, which may take a second.
type Cell struct {
	Name  string
	Names Names
	// Local returns the container here that has the address.
	Local func(netip.Addr) (Local, bool)
	// Cause returns the cookie of the policy flow that allows such a connection.
	Cause func(from, to flows.GroupID, protocol flows.Protocol, port uint16) (flows.Cookie, bool)
	// Refused returns how many packets of each sender were denied since the
	// host's rules were made, logged or not. May be nil.
	Refused func(context.Context) (map[netip.Addr]uint64, error)
	// Fault is told what does not work, and nil when it works again.
	Fault func(what string, err error)
}

// queued bounds the events between the socket and the file.
const queued = 1024

// retry is how long a log that cannot listen waits before it tries again.
const retry = time.Second

// parting is how long an agent that ends waits for the reader of its standard
// output.
const parting = time.Second

// Log is a cell's flow log.
type Log struct {
	cfg      Config
	cell     Cell
	queue    chan Event
	reopen   chan struct{}
	denied   *limiter // used by the listener alone
	udp      *limiter // too
	names    *nameCache
	out      file
	refused  refusals
	trouble  [2]string // of listening and of writing, as last told to Cell.Fault
	counters counters
}

// Counters count since the agent's start.
type Counters struct {
	Written    uint64 `json:"written"`
	Suppressed uint64 `json:"suppressed"` // left out by the log's own limits
	Lost       uint64 `json:"lost"`       // that the socket, the queue or the file could not take
	Overruns   uint64 `json:"overruns"`   // times that the socket's buffer was full
	Unreadable uint64 `json:"unreadable"` // frames that were not ours, or no IPv4
}

type counters struct{ written, suppressed, lost, overruns, unreadable atomic.Uint64 }

// New returns a log that waits for Run.
func New(cfg Config, cell Cell) *Log {
	return &Log{
		cfg: cfg, cell: cell, queue: make(chan Event, queued), reopen: make(chan struct{}, 1),
		denied: newLimiter(cfg.DeniedPerSec), udp: newLimiter(cfg.AcceptedUDPPerSec),
		names: newNameCache(cell.Names), out: file{path: cfg.File},
		refused: refusals{ask: cell.Refused},
	}
}

// Counters may be called at any time.
func (l *Log) Counters() Counters {
	c := &l.counters
	return Counters{c.written.Load(), c.suppressed.Load(), c.lost.Load(), c.overruns.Load(), c.unreadable.Load()}
}

// Reopen has the next event open the file anew. It may be called at any time.
func (l *Log) Reopen() {
	select {
	case l.reopen <- struct{}{}:
	default:
	}
}

// Run logs until ctx ends, in the network namespace of the process.
func (l *Log) Run(ctx context.Context) {
	if l.cfg.File == "" {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.write(ctx)
	}()
	for ctx.Err() == nil {
		err := l.listen(ctx)
		if ctx.Err() != nil {
			break
		}
		l.fault(0, "flow log", err)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
	if l.cfg.File != Stdout {
		<-done
		return
	}
	select {
	case <-done:
	case <-time.After(parting): // who reads it may have stopped, and the agent must not
	}
}

// take decodes a frame, applies the limits and queues the event. It never
// blocks.
func (l *Log) take(f Frame) {
	e, err := decode(f)
	if err != nil {
		l.counters.unreadable.Add(1)
		return
	}
	passes := true
	switch {
	case e.Verdict != Accepted:
		e.Suppressed, passes = l.denied.take(account{e.SourceIP, e.Verdict}, f.Time)
	case e.number == flows.UDP:
		e.Suppressed, passes = l.udp.take(account{verdict: Accepted}, f.Time)
	}
	if !passes {
		l.counters.suppressed.Add(1)
		return
	}
	select {
	case l.queue <- e:
	default:
		l.counters.lost.Add(1)
	}
}

// write completes events and appends them to the file.
func (l *Log) write(ctx context.Context) {
	defer l.out.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.reopen:
			l.out.close()
		case e := <-l.queue:
			l.complete(ctx, &e)
			line, err := json.Marshal(e)
			if err == nil {
				err = l.out.write(append(line, '\n'))
			}
			if err != nil {
				l.counters.lost.Add(1)
			} else {
				l.counters.written.Add(1)
			}
			l.fault(1, "flow log file", err)
		}
	}
}

// complete adds what the frame does not say: names, containers, cause.
func (l *Log) complete(ctx context.Context, e *Event) {
	e.Cell = l.cell.Name
	source, sourceHere := l.cell.Local(e.SourceIP)
	destination, destinationHere := l.cell.Local(e.DestinationIP)
	if e.Verdict == Limited {
		e.SourceGroup = source.Group // there is no notice, but the bridge let the address pass
	}
	apps := l.names.apps(ctx, e.SourceGroup, e.DestinationGroup)
	e.SourceApp, e.SourceContainer = identify(e.SourceGroup, apps[0], source, sourceHere)
	e.DestinationApp, e.DestinationContainer = identify(e.DestinationGroup, apps[1], destination, destinationHere)
	if e.Verdict == Denied {
		// The rules have counted those too that the log's own limit left out.
		e.Suppressed = max(e.Suppressed, l.refused.event(ctx, e.SourceIP))
	}
	if e.Verdict != Accepted || e.Direction != Ingress {
		return
	}
	cookie, ok := l.cell.Cause(e.SourceGroup, e.DestinationGroup, e.number, e.DestinationPort)
	switch {
	case !ok:
	case cookie.Kind() == flows.KindPolicy:
		e.Policy = flows.PolicyID(cookie.ID())
	default:
		e.Cookie = cookie.String()
	}
}

// identify names one end of a packet: the container here that has the group,
// or whoever the group is. A container without group is one whose app has none
// yet: its group may have come since.
func identify(group flows.GroupID, app flows.AppID, here Local, isHere bool) (flows.AppID, string) {
	if !isHere || group != 0 && here.Group != group {
		return app, "" // somebody else had the address when the packet was sent
	}
	return here.App, here.Container
}

// fault tells the agent when what does not work changes: of listening (0) or
// writing (1), each told by one goroutine.
func (l *Log) fault(which int, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if l.trouble[which] != text {
		l.trouble[which] = text
		l.cell.Fault(what, err)
	}
}
