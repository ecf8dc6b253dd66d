package openflow

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/weft-sdn/weft/flows"
)

// comparison is a question for all of the switch's flows that is under way. What
// the reader of the connection finds is the asker's once over is closed. Of each
// flow it keeps a digest, of no more flows than are wanted: however much a switch
// sends, memory is bounded.
type comparison struct {
	xid    uint32
	want   int // flows
	have   []digest
	found  verdict
	failed error         // the switch's answer was an error
	known  atomic.Bool   // found and failed are what they stay
	over   chan struct{} // closed then; replies may still come
	buffer []byte
}

// verdict is what the switch's answer, by itself, says.
type verdict int

const (
	unheard verdict = iota // not all of it is here
	differs                // there are more flows than wanted, or fewer, or some that we never make
	counted                // as many as wanted; their digests decide
)

// digest stands for what a flow is: its table, priority, cookie, match and
// instructions. Two flows with the same one are the same.
type digest [sha256.Size]byte

// Holds reports whether the switch holds exactly the flows of these fragments:
// each as Apply would add it, with its cookie and no timeout, flag or importance,
// and nothing else. The switch looks at one moment. False may also be said of a
// switch that writes the same flows otherwise than we do; true is sure.
// The error is an *UnknownError if a flow has no encoding, so that nothing can be
// said. That and the end of ctx leave the connection of use. Holds waits for no
// bundle, and one that is begun meanwhile only for the switch's answer.
func (c *Conn) Holds(ctx context.Context, fragments []flows.Fragment) (bool, error) {
	x, err := c.ask(ctx, fragments)
	if err != nil {
		return false, err
	}
	want, err := x.digests(fragments) // while the switch collects its own
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		return false, nil // it holds no such flow
	}
	if err != nil {
		return false, err
	}
	select {
	case <-x.over:
	case <-c.ended:
		return false, c.lost()
	case <-ctx.Done():
		return false, hangs(ctx.Err())
	}
	return x.found == counted && equal(x.have, want), x.failed
}

// ask begins a comparison when none is under way: the reader ends it with the
// last reply, also if nobody waits for its outcome any more.
func (c *Conn) ask(ctx context.Context, fragments []flows.Fragment) (*comparison, error) {
	select {
	case c.comparing <- struct{}{}:
	case <-c.ended:
		return nil, c.lost()
	case <-ctx.Done():
		return nil, hangs(ctx.Err())
	}
	if ctx.Err() != nil {
		<-c.comparing
		return nil, hangs(ctx.Err()) // nothing was asked
	}
	x := &comparison{xid: c.transactions(1), over: make(chan struct{})}
	for _, f := range fragments {
		x.want += len(f.Flows)
	}
	x.have = make([]digest, 0, x.want)
	c.comparison.Store(x)
	return x, c.write(appendFlowRequest(nil, x.xid))
}

// digests returns those of the fragments' flows, or nothing if the verdict is
// there before.
func (x *comparison) digests(fragments []flows.Fragment) (map[digest]struct{}, error) {
	want := make(map[digest]struct{}, x.want)
	b := make([]byte, 0, 1<<10)
	for _, fragment := range fragments {
		if x.known.Load() && x.found == differs {
			return nil, nil
		}
		for _, f := range fragment.Flows {
			var err error
			b, err = appendMatch(appendPlace(b[:0], uint8(f.Table), f.Priority, uint64(f.Cookie)), f.Match)
			if err == nil {
				b, err = appendInstructions(b, f.Actions)
			}
			if err != nil {
				return nil, inFlow(err, f)
			}
			want[sha256.Sum256(b)] = struct{}{}
		}
	}
	return want, nil
}

// appendPlace appends what a flow is besides its match and instructions.
func appendPlace(b []byte, table uint8, priority uint16, cookie uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(append(b, table), priority), cookie)
}

// equal reports whether each of have is wanted, once, and all that is wanted there.
// It uses want up.
func equal(have []digest, want map[digest]struct{}) bool {
	if len(have) != len(want) {
		return false
	}
	for _, d := range have {
		delete(want, d)
	}
	return len(want) == 0
}

// take accepts an answer to the comparison. It never waits. It reports whether the
// answer was the last; the error is what makes the switch untrustworthy.
func (x *comparison) take(m message) (last bool, err error) {
	if m.kind == kindError {
		if !x.known.Load() {
			x.failed = fmt.Errorf("the switch does not tell its flows: %v", m)
		}
		x.settle(differs)
		return true, nil
	}
	rest, more, err := m.flowReply()
	if err != nil {
		return false, err
	}
	for len(rest) > 0 {
		var flow []byte
		if flow, rest, err = cutFlow(rest); err != nil {
			return false, err
		}
		x.count(flow)
	}
	switch {
	case more:
	case len(x.have) == x.want:
		x.settle(counted)
	default:
		x.settle(differs)
	}
	return !more, nil
}

// count notes one of the switch's flows.
func (x *comparison) count(flow []byte) {
	switch {
	case x.known.Load():
	case len(x.have) == x.want || !bare(flow):
		x.settle(differs)
	default:
		x.buffer = appendPlace(x.buffer[:0], flow[2], binary.BigEndian.Uint16(flow[12:]), binary.BigEndian.Uint64(flow[24:]))
		x.buffer = append(x.buffer, flow[flowSize:]...)
		x.have = append(x.have, sha256.Sum256(x.buffer))
	}
}

// settle tells the asker; the first verdict counts.
func (x *comparison) settle(v verdict) {
	if x.known.Load() {
		return
	}
	x.found = v
	x.known.Store(true)
	close(x.over)
}
