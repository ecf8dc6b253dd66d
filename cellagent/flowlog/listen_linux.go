package flowlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/florianl/go-nflog/v2"
	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/cellagent/hostnet"
)

const (
	// flushEvery is how long the kernel collects frames, in 1/100 s.
	flushEvery = 5
	// socketBytes is the size of the socket's buffer.
	socketBytes = 1 << 20
)

// listen takes frames until ctx ends or the socket fails.
func (l *Log) listen(ctx context.Context) error {
	socket, err := nflog.Open(&nflog.Config{
		Group: hostnet.LogGroup, Copymode: nflog.CopyPacket, Bufsize: hostnet.SnapLen, Timeout: flushEvery, Flags: nflog.FlagSeq,
	})
	if err != nil {
		return fmt.Errorf("NFLOG group %d: %w", hostnet.LogGroup, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer socket.Close() // waits for a goroutine that ends with ctx
	defer cancel()
	_ = socket.Con.SetReadBuffer(socketBytes) // a smaller one loses frames sooner, and they are counted
	failed := make(chan error, 1)
	seen := sequence{}
	hook := func(a nflog.Attribute) int {
		if a.Seq != nil {
			l.counters.lost.Add(seen.missed(*a.Seq))
		}
		l.take(frameOf(a))
		return 0
	}
	onError := func(err error) int {
		if errors.Is(err, unix.ENOBUFS) {
			l.counters.overruns.Add(1)
			return 0
		}
		failed <- err
		return 1
	}
	if err := socket.RegisterWithErrorFunc(ctx, hook, onError); err != nil {
		return fmt.Errorf("NFLOG group %d (does another program listen on it?): %w", hostnet.LogGroup, err)
	}
	l.fault(0, "flow log", nil)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("NFLOG group %d: %w", hostnet.LogGroup, err)
	}
}

func frameOf(a nflog.Attribute) Frame {
	f := Frame{Time: time.Now()}
	if a.Prefix != nil {
		f.Prefix = *a.Prefix
	}
	if a.HwHeader != nil {
		f.Header = *a.HwHeader
	}
	if a.Payload != nil {
		f.Payload = *a.Payload
	}
	return f
}

// sequence finds gaps in the numbers that the kernel gives frames.
type sequence struct {
	next    uint32
	started bool
}

// missed returns how many numbers were left out before this one.
func (s *sequence) missed(number uint32) uint64 {
	gap := number - s.next
	if !s.started {
		gap = 0
	}
	s.started, s.next = true, number+1
	return uint64(gap)
}
