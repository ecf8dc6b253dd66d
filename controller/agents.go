package controller

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Lease gives the cell its overlay subnet, the same one each time.
func (c *Controller) Lease(ctx context.Context, cell flows.CellID, req api.LeaseRequest) (api.Lease, error) {
	cmd, err := c.checkLease(cell, req)
	if err == nil {
		err = c.mayMove(cell, cmd.VTEP)
	}
	if err != nil {
		return api.Lease{}, err
	}
	if peer, err := c.standing(ctx, cmd); err != nil || peer.Cell != "" {
		return c.leaseOnWire(peer), err
	}
	revision, err := c.write(ctx, cmd)
	if err != nil {
		if cmd.Containers > 0 && api.KindOf(err) == api.ErrConflict {
			c.log.Error("containers run where the cell cannot have its lease", "cell", cell, "containers", cmd.Containers, "subnet", cmd.Subnet, "error", err)
		}
		return api.Lease{}, err
	}
	if err := c.catchUp(ctx); err != nil { // another replica may have granted it
		return api.Lease{}, err
	}
	var peer flows.Peer
	var known bool
	if err := c.ask(ctx, func(s *State) { peer, known = s.Peer(cell) }); err != nil {
		return api.Lease{}, err
	}
	if !known || peer.VTEP != cmd.VTEP {
		return api.Lease{}, api.Unavailable("cell %s: its lease is stored but not in force yet: try again", cell)
	}
	if revision != 0 {
		c.log.Info("lease granted", "cell", cell, "subnet", peer.Lease, "vtep", peer.VTEP, "revision", revision)
	}
	return c.leaseOnWire(peer), nil
}

// standing returns the lease in force that a cell asks for again, as agents do
// before each stream: a thousand of them, when a controller was restarted, do not
// queue for the database. No lease where the database has to decide.
func (c *Controller) standing(ctx context.Context, cmd GrantLease) (peer flows.Peer, err error) {
	if c.store.Shared() {
		if err := c.catchUp(ctx); err != nil {
			return peer, err
		}
	}
	err = c.ask(ctx, func(s *State) { peer = s.Standing(cmd) })
	return peer, err
}

func (c *Controller) leaseOnWire(peer flows.Peer) api.Lease {
	lease := api.Lease{
		Cell: string(peer.Cell), Subnet: peer.Lease.String(), VNI: uint32(c.overlay.VNI), VXLANPort: c.overlay.VXLANPort,
		ExpirySeconds: int(c.overlay.LeaseExpiry / time.Second),
	}
	for _, network := range c.overlay.Networks {
		lease.Network = append(lease.Network, network.String())
	}
	return lease
}

func (c *Controller) checkLease(cell flows.CellID, req api.LeaseRequest) (cmd GrantLease, err error) {
	if err := api.CheckCell(cell); err != nil {
		return cmd, err
	}
	cmd = GrantLease{Cell: cell, Containers: req.Containers, SingleIP: req.SingleIP, Replica: c.replica, Quiet: c.quiet()}
	if cmd.VTEP, err = c.checkVTEP(req.VTEP); err != nil {
		return cmd, err
	}
	if req.Subnet != "" {
		cmd.Subnet, err = netip.ParsePrefix(req.Subnet)
		if err != nil || !cmd.Subnet.Addr().Is4() || cmd.Subnet != cmd.Subnet.Masked() {
			return cmd, api.Invalid("subnet %.60q: must be an IPv4 network such as 10.255.1.0/24, without host bits, as a lease had it", req.Subnet)
		}
	}
	switch {
	case req.Containers < 0:
		return cmd, api.Invalid("containers %d: must be 0 or more", req.Containers)
	case req.Containers > 0 && req.Subnet == "":
		return cmd, api.Invalid("containers %d: without subnet: must say in which subnet they run", req.Containers)
	}
	return cmd, nil
}

func (c *Controller) checkVTEP(text string) (netip.Addr, error) {
	vtep, err := netip.ParseAddr(text)
	if err != nil || !vtep.Is4() || vtep.IsUnspecified() || vtep.IsMulticast() {
		return vtep, api.Invalid("vtep %.60q: must be the IPv4 address of the cell's tunnel end (underlay_ip in the agent's configuration)", text)
	}
	for _, network := range c.overlay.Networks {
		if network.Contains(vtep) {
			return vtep, api.Invalid("vtep %s: lies inside the overlay network %s; it must be an underlay address", vtep, network)
		}
	}
	return vtep, nil
}

// Open starts the cell's stream; an older stream of the cell ends. The
// endpoints in hello are in force before the first snapshot is made. Those
// that cannot be are listed in that snapshot, with reasons.
func (c *Controller) Open(ctx context.Context, cell flows.CellID, hello api.Hello) (api.Stream, error) {
	st := &stream{c: c, id: rand.Text(), patches: hello.Patches, holds: hello.Holds, wake: make(chan struct{}, 1), over: make(chan struct{})}
	st.restart()
	st.wake <- struct{}{}
	services, err := servicesFromWire(hello.Services)
	if err != nil {
		return nil, err
	}
	var refusal error
	err = c.ask(ctx, func(s *State) {
		if refusal = c.mayOpen(s, cell, hello); refusal != nil {
			return
		}
		peer, _ := s.Peer(cell)
		st.vtep = peer.VTEP
		st.link = c.link(cell)
		st.link.attach(st, s.Revision())
		c.step(EndpointsReplaced{Cell: cell, Endpoints: hello.Endpoints, Services: services})
	})
	if err = cmp.Or(refusal, err); err != nil {
		return nil, err
	}
	c.acked.fire() // whoever waits for connected cells now waits for this one too
	token(c.attended)
	c.log.Info("stream opened", "cell", cell, "stream", st.id, "endpoints", len(hello.Endpoints))
	return st, nil
}

// servicesFromWire checks a hello's services. A bad one is the fault of the
// agent's configuration, and its operator learns of it best at once.
func servicesFromWire(wire []api.Service) ([]flows.Service, error) {
	var services []flows.Service
	for i, w := range wire {
		protocol, err := flows.ParseProtocol(w.Protocol)
		if err != nil {
			return nil, api.Invalid("services[%d]: protocol %.40q: must be tcp or udp", i, w.Protocol)
		}
		addr, err := netip.ParseAddr(w.Address)
		if err != nil || !addr.Is4() {
			return nil, api.Invalid("services[%d]: address %.60q: must be an IPv4 address of the cell's host", i, w.Address)
		}
		if w.Port == 0 {
			return nil, api.Invalid("services[%d]: port %d: must be 1 to 65535", i, w.Port)
		}
		services = append(services, flows.Service{Protocol: protocol, Addr: addr, Port: w.Port})
	}
	return services, nil
}

// mayOpen says why the cell cannot have a stream now.
func (c *Controller) mayOpen(s *State, cell flows.CellID, hello api.Hello) error {
	peer, leased := s.Peer(cell)
	switch {
	case c.draining:
		return api.Unavailable("the controller is stopping")
	case !leased:
		return api.Conflict("cell %s has no lease: ask for one first (POST %s/lease)", cell, api.Version)
	case peer.VTEP.String() != hello.VTEP:
		return api.Conflict("vtep %.60q: cell %s has its lease for %s: ask for the lease again first (POST %s/lease)", hello.VTEP, cell, peer.VTEP, api.Version)
	}
	return nil
}

// Report changes the endpoints of an open stream. Gone if it has ended. An
// endpoint that cannot be is refused alone and without an error here: the
// stream's next message lists it, with the reason.
func (c *Controller) Report(ctx context.Context, cell flows.CellID, report api.EndpointsReport) error {
	var gone error
	err := c.ask(ctx, func(s *State) {
		if gone = c.current(cell, report.Stream); gone == nil {
			c.step(EndpointsChanged{Cell: cell, Up: report.Up, Down: report.Down})
		}
	})
	return cmp.Or(gone, err)
}

// Acknowledge records what the cell's switch holds. Gone if the stream has ended.
func (c *Controller) Acknowledge(_ context.Context, cell flows.CellID, applied api.Applied) error {
	l := c.link(cell)
	if l == nil {
		return ended(cell, applied.Stream)
	}
	now := api.Revision(c.revision.Load()) // before the lock: what this counts has been offered to every stream
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.stream
	switch {
	case st == nil || st.id != applied.Stream:
		return ended(cell, applied.Stream)
	case applied.Seq == 0 || applied.Seq > st.seq:
		return api.Invalid("seq %d: the stream's last message is %d", applied.Seq, st.seq)
	case applied.Error != "":
		l.failure = applied.Error
		c.log.Warn("the cell could not apply its table", "cell", cell, "seq", applied.Seq, "error", applied.Error)
		return nil
	}
	l.failure = ""
	first := st.acked == 0
	st.acknowledged(applied.Seq, now)
	if first || st.told != 0 { // a cell may be back, or drained
		token(c.unsettled)
	}
	if l.paid(applied.Seq, st.revision) {
		c.acked.fire()
	}
	return nil
}

// current reports Gone unless this is the cell's open stream.
func (c *Controller) current(cell flows.CellID, id string) error {
	l := c.link(cell)
	if l == nil {
		return ended(cell, id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream == nil || l.stream.id != id {
		return ended(cell, id)
	}
	return nil
}

func ended(cell flows.CellID, id string) error {
	return api.Gone("stream %.40q of cell %s has ended: open a new one", id, cell)
}
