package fleet

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weft-sdn/weft/api"
)

// Status is what a fleet has seen since its start, and is now.
type Status struct {
	Cells     int
	Settled   int    // cells with a stream of which all that was read is acknowledged
	Streams   int64  // opened
	Snapshots int64  // read
	Deltas    int64  // read
	Refused   int64  // endpoints that messages said are refused
	Bytes     int64  // of streams, before TLS
	Diverged  int64  // messages after which a table's hash was not the controller's
	Broken    int64  // streams that ended or could not be opened
	LastFault string // why the last of those did
}

// counts is what Status is made of.
type counts struct {
	streams, snapshots, deltas, refused, bytes, diverged, broken atomic.Int64

	mu        sync.Mutex
	lastFault string
	times     []time.Duration // that changes took
}

func (c *counts) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{
		Streams: c.streams.Load(), Snapshots: c.snapshots.Load(), Deltas: c.deltas.Load(), Refused: c.refused.Load(),
		Bytes: c.bytes.Load(), Diverged: c.diverged.Load(), Broken: c.broken.Load(), LastFault: c.lastFault,
	}
}

func (c *counts) message(m message) {
	if m.kind == api.TypeSnapshot {
		c.snapshots.Add(1)
	} else {
		c.deltas.Add(1)
	}
	c.refused.Add(int64(m.refused))
}

func (c *counts) fault(err error) {
	c.broken.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastFault = err.Error()
}

// took notes how long a change took.
func (c *counts) took(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, d)
}

// taken returns what took notes since the last call.
func (c *counts) taken() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	times := c.times
	c.times = nil
	return times
}

// counted counts what is read.
type counted struct {
	io.Reader
	counts *counts
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.counts.bytes.Add(int64(n))
	return n, err
}
