package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/flows"
)

// leasesAtOnce is how many agents ask for their lease at a time, before the
// streams are opened.
const leasesAtOnce = 32

// Options say what to simulate.
type Options struct {
	URL          string // of the controller's internal API, https://host:port
	Certificates string // folder with the authority's and each cell's, as package pki makes them
	Cells        []Cell
}

// Fleet is the agents of many cells. Its methods may be called by any goroutine.
type Fleet struct {
	agents []*agent
	names  *names
	counts *counts

	stop    context.CancelFunc // ends the agents; nil: not connected
	running sync.WaitGroup
}

// New makes the agents. They do nothing yet.
func New(o Options) (*Fleet, error) {
	f := &Fleet{names: newNames(), counts: new(counts)}
	for _, c := range o.Cells {
		config, err := api.ClientTLS(api.KeyFiles{
			Cert: filepath.Join(o.Certificates, pki.CellCert(c.ID)),
			Key:  filepath.Join(o.Certificates, pki.CellKey(c.ID)),
			CA:   filepath.Join(o.Certificates, pki.AuthorityCert),
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ID, err)
		}
		f.agents = append(f.agents, &agent{
			fleet: f, id: c.ID, vtep: c.VTEP, client: api.NewAgentClient(o.URL, config),
			containers: c.Containers, mannered: make(chan struct{}),
		})
	}
	return f, nil
}

// Lease asks for all leases, so that no cell is new to the others once they are
// connected.
func (f *Fleet) Lease(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(leasesAtOnce)
	for _, a := range f.agents {
		group.Go(func() error { return a.lease(ctx) })
	}
	return group.Wait()
}

// Connect has every agent open its stream, and again whenever it ends. It may be
// called once.
func (f *Fleet) Connect() {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	for _, a := range f.agents {
		f.running.Go(func() { a.run(ctx) })
	}
}

// Close ends the agents.
func (f *Fleet) Close() {
	if f.stop != nil {
		f.stop()
	}
	f.running.Wait()
	for _, a := range f.agents {
		a.client.Close()
	}
}

// Status counts what the fleet has seen and is.
func (f *Fleet) Status() Status {
	s := f.counts.status()
	s.Cells = len(f.agents)
	for _, a := range f.agents {
		if a.settled() {
			s.Settled++
		}
	}
	return s
}

// Table returns the hash of a cell's table, and of its fragments, as its agent
// knows them.
func (f *Fleet) Table(cell int) (flows.Hash, map[flows.FragmentKey]flows.Hash) {
	a := f.agents[cell]
	a.mu.Lock()
	defer a.mu.Unlock()
	parts := make(map[flows.FragmentKey]flows.Hash, len(a.table.parts))
	for key, hash := range a.table.parts {
		parts[flows.FragmentKey(f.names.text(key))] = hash
	}
	return a.table.hash, parts
}

// Containers returns what runs on a cell, in the order of its addresses.
func (f *Fleet) Containers(cell int) (netip.Prefix, []Container) {
	a := f.agents[cell]
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.subnet, slices.Clone(a.containers)
}

// Behave changes the manner of some cells' agents.
func (f *Fleet) Behave(cells []int, m Manner) {
	for _, cell := range cells {
		f.agents[cell].behave(m)
	}
}

// endpoint is the key of a container's fragment.
func (f *Fleet) endpoint(container string) name {
	return f.names.name([]byte(flows.EndpointKey(container)))
}
