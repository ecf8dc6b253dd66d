package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Stream is one agent's stream, as the test that plays controller sees it.
type Stream struct {
	Cell     flows.CellID
	Hello    api.Hello
	Messages chan api.Message // what the test sends; closing it ends the stream
	Closed   chan struct{}    // closed when the handler has let go
	once     sync.Once
}

// Next returns what the test sends.
func (s *Stream) Next(ctx context.Context) (api.Message, error) {
	select {
	case m, open := <-s.Messages:
		if !open {
			return api.Message{}, api.Gone("stream of %s: a newer one replaced it", s.Cell)
		}
		return m, nil
	case <-ctx.Done():
		return api.Message{}, ctx.Err()
	}
}

// Close tells the test that the handler has let go.
func (s *Stream) Close() { s.once.Do(func() { close(s.Closed) }) }

// Lease answers with the field, in the name of the cell that asks.
func (c *Controller) Lease(_ context.Context, cell flows.CellID, request api.LeaseRequest) (api.Lease, error) {
	if err := c.Refusal["Lease"]; err != nil {
		return api.Lease{}, err
	}
	c.Heard <- request
	lease := c.Lent
	lease.Cell = string(cell)
	return lease, nil
}

// Open hands the stream to the test.
func (c *Controller) Open(_ context.Context, cell flows.CellID, hello api.Hello) (api.Stream, error) {
	if err := c.Refusal["Open"]; err != nil {
		return nil, err
	}
	s := &Stream{Cell: cell, Hello: hello, Messages: make(chan api.Message), Closed: make(chan struct{})}
	c.Streams <- s
	return s, nil
}

// Report hands the report to the test.
func (c *Controller) Report(_ context.Context, _ flows.CellID, report api.EndpointsReport) error {
	if err := c.Refusal["Report"]; err != nil {
		return err
	}
	c.Heard <- report
	return nil
}

// Acknowledge hands the acknowledgement to the test.
func (c *Controller) Acknowledge(_ context.Context, _ flows.CellID, applied api.Applied) error {
	if err := c.Refusal["Acknowledge"]; err != nil {
		return err
	}
	c.Heard <- applied
	return nil
}

// GroupNames lists those of the ids that apps have.
func (c *Controller) GroupNames(ctx context.Context, ids []flows.GroupID) ([]api.Group, error) {
	all, err := c.Groups(ctx)
	return slices.DeleteFunc(all, func(g api.Group) bool { return !slices.Contains(ids, flows.GroupID(g.Group)) }), err
}
