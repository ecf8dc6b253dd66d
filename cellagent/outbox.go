package cellagent

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/weft-sdn/weft/api"
)

// outbox holds what a stream still has to tell. It is bounded: what is not yet
// sent is merged with what comes after it.
type outbox struct {
	wake chan struct{}

	mu      sync.Mutex
	stream  string
	up      map[string]api.Endpoint
	down    map[string]bool
	applied *api.Applied
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), up: map[string]api.Endpoint{}, down: map[string]bool{}}
}

// identify sets the stream's id; nothing is told before.
func (o *outbox) identify(stream string) { o.change(func() { o.stream = stream }) }

func (o *outbox) report(up []api.Endpoint, down []string) {
	o.change(func() {
		for _, container := range down {
			delete(o.up, container)
			o.down[container] = true
		}
		for _, e := range up {
			delete(o.down, e.Container)
			o.up[e.Container] = e
		}
	})
}

// acknowledge says that the switch holds everything up to seq, or why not.
func (o *outbox) acknowledge(seq uint64, failure error) {
	applied := api.Applied{Seq: seq}
	if failure != nil {
		applied.Error = failure.Error()
	}
	o.change(func() { o.applied = &applied })
}

func (o *outbox) change(f func()) {
	o.mu.Lock()
	f()
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take empties the box.
func (o *outbox) take() (report api.EndpointsReport, applied *api.Applied) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stream == "" {
		return api.EndpointsReport{}, nil
	}
	report.Stream = o.stream
	for _, e := range o.up {
		report.Up = append(report.Up, e)
	}
	for container := range o.down {
		report.Down = append(report.Down, container)
	}
	slices.Sort(report.Down)
	if applied = o.applied; applied != nil {
		applied.Stream = o.stream
	}
	clear(o.up)
	clear(o.down)
	o.applied = nil
	return report, applied
}

// send tells until ctx ends, which is no error, or until the controller cannot
// be told: a new stream's hello then says everything again.
func (o *outbox) send(ctx context.Context, client *api.AgentClient) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		}
		report, applied := o.take()
		var err error
		if len(report.Up)+len(report.Down) > 0 {
			err = client.Report(ctx, report)
		}
		if err == nil && applied != nil {
			err = client.Acknowledge(ctx, *applied)
		}
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
	}
}
