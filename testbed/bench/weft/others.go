package weft

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

// firstOFPort is the first OpenFlow port of containers on cells that have no
// switch: lower ones are reserved.
const firstOFPort = 100

// others has all other cells ask for a lease, report their containers, take
// their table and go away.
func (w *Weft) others(ctx context.Context) error {
	on := make([][]scene.Container, w.scene.Cells)
	for _, c := range w.scene.Containers {
		on[c.Cell] = append(on[c.Cell], c)
	}
	for cell := 1; cell < w.scene.Cells; cell++ {
		o, err := w.join(ctx, cell, on[cell])
		if err != nil {
			return fmt.Errorf("%s: %w", scene.CellID(cell), err)
		}
		if err := o.leave(); err != nil {
			return fmt.Errorf("%s: %w", scene.CellID(cell), err)
		}
	}
	return nil
}

// other is a cell that is connected, without a switch: it confirms what it is
// told at once.
type other struct {
	client *api.AgentClient
	subnet netip.Prefix
	id     string // of the stream
	stream *api.AgentStream
	told   chan api.Message // those that came after the snapshot
	left   atomic.Bool
	over   sync.WaitGroup
	failed error // read after over
}

// join opens the stream of a cell on which these containers run, and returns
// when its first table has come.
func (w *Weft) join(ctx context.Context, cell int, containers []scene.Container) (*other, error) {
	id := flows.CellID(scene.CellID(cell))
	config, err := api.ClientTLS(api.KeyFiles{Cert: filepath.Join(w.dir, pki.CellCert(id)), Key: filepath.Join(w.dir, pki.CellKey(id)), CA: filepath.Join(w.dir, pki.AuthorityCert)})
	if err != nil {
		return nil, err
	}
	o := &other{client: api.NewAgentClient("https://"+w.controller.internal, config), told: make(chan api.Message, 1000)}
	lease, err := o.client.Lease(ctx, api.LeaseRequest{VTEP: vtep(cell).String()})
	if err != nil {
		return nil, err
	}
	if o.subnet, err = netip.ParsePrefix(lease.Subnet); err != nil {
		return nil, err
	}
	hello := api.Hello{VTEP: vtep(cell).String()}
	for _, c := range containers {
		hello.Endpoints = append(hello.Endpoints, o.endpoint(c.ID, w.scene.Apps[c.App], c.Index))
	}
	if o.stream, err = o.client.Open(ctx, hello); err != nil {
		return nil, err
	}
	first, err := o.stream.Next()
	if err == nil && first.Refused != nil && len(*first.Refused) > 0 {
		err = fmt.Errorf("the controller refuses %d containers, the first because %s", len(*first.Refused), (*first.Refused)[0].Reason)
	}
	if err == nil {
		o.id = first.Stream
		err = o.client.Acknowledge(ctx, api.Applied{Stream: o.id, Seq: first.Seq})
	}
	if err != nil {
		o.stream.Close()
		return nil, err
	}
	o.over.Go(func() { o.failed = o.listen(ctx) })
	return o, nil
}

// listen confirms what comes and hands it on, until the stream is closed.
func (o *other) listen(ctx context.Context) error {
	for {
		m, err := o.stream.Next()
		if o.left.Load() {
			return nil
		}
		if err == nil {
			err = o.client.Acknowledge(ctx, api.Applied{Stream: o.id, Seq: m.Seq})
		}
		if err != nil {
			return err
		}
		select {
		case o.told <- m:
		default: // nobody reads
		}
	}
}

// leave ends the stream: the cell is away, and its containers stay known.
func (o *other) leave() error {
	o.left.Store(true)
	o.stream.Close()
	o.over.Wait()
	o.client.Close()
	return o.failed
}

// endpoint is a container as an agent reports it.
func (o *other) endpoint(id, app string, index int) api.Endpoint {
	return api.Endpoint{Container: id, App: app, IP: address(o.subnet, index).String(), OFPort: uint16(firstOFPort + index)}
}
