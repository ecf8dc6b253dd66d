package cni

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/ovsdb"
)

// undoTimeout bounds taking back what ADD did. With readyTimeout's default, an
// ADD that nobody answers is over within ten seconds.
const undoTimeout = 1500 * time.Millisecond

// adding is one ADD: what was planned, and what it has so far.
type adding struct {
	Attachment
	places    Places
	lease     Lease
	cell      string // that owns the bridge
	timeout   time.Duration
	checksums checksums
	addresses addresses
	db        *ovsdb.Conn
	portLeft  bool // the port could not be taken out of the database
}

// steps add the port once nothing more changes in the veth's state: for each
// change ovs-vswitchd looks at all of its ports again. The container's end gets
// its address while switch and agent do their part.
func (a *adding) steps() []step {
	return []step{
		{"reserving an address", a.reserve, a.release},
		{"creating the veth", a.create, a.delete},
		{"bringing its ends up", a.bringUp, nil},
		{"adding the port", a.addPort, a.deletePort},
		{"configuring the container's end", a.configure, nil},
		{"waiting for the cell agent", a.waitReady, nil},
	}
}

func (a *adding) reserve(context.Context) error {
	ip, err := a.addresses.reserve(a.lease, a.Attachment)
	if err == nil {
		a.Attachment = a.At(a.lease.Subnet, ip)
	}
	return err
}

// release keeps the address if the database may still have a port with it.
func (a *adding) release(context.Context) error {
	if a.portLeft {
		return fmt.Errorf("address %s stays reserved until the port is gone", a.IP)
	}
	return a.addresses.release(a.Container, a.IfName)
}

func (a *adding) create(context.Context) error { return createVeth(a.Attachment) }
func (a *adding) delete(context.Context) error { return deleteVeth(a.HostName) }
func (a *adding) configure(context.Context) error {
	return configureContainer(a.Attachment)
}
func (a *adding) bringUp(context.Context) error {
	if err := bringUpHost(a.Attachment); err != nil {
		return err
	}
	return bringUpContainer(a.Attachment, a.checksums)
}

func (a *adding) addPort(ctx context.Context) error {
	boot, err := ovsdb.BootID()
	if err != nil {
		return fmt.Errorf("the kernel's boot id: %w", err)
	}
	err = a.db.AddPort(ctx, a.Bridge, a.cell, a.port(boot))
	for errors.Is(err, ovsdb.ErrNotConnected) { // the port may be there, or not
		if lost := a.redial(ctx); lost != nil {
			break
		}
		if err = a.db.DeletePortOf(ctx, a.Bridge, a.HostName, a.Container, a.IfName); err == nil {
			err = a.db.AddPort(ctx, a.Bridge, a.cell, a.port(boot))
		}
	}
	if err == nil {
		return nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if left := a.deletePort(undo); left != nil {
		err = fmt.Errorf("%w (and it may be left behind: %w)", err, left)
	}
	if ctx.Err() != nil || errors.Is(err, ovsdb.ErrNotConnected) {
		return failure(types.ErrTryAgainLater, err.Error(), "start openvswitch-switch")
	}
	return err
}

// redial replaces a connection that broke.
func (a *adding) redial(ctx context.Context) error {
	db, err := persist(ctx, a.places)
	if err == nil {
		a.db.Close()
		a.db = db
	}
	return err
}

// deletePort has a connection of its own: what failed may be the other.
func (a *adding) deletePort(ctx context.Context) error {
	db, err := persist(ctx, a.places)
	if err == nil {
		err = db.DeletePortOf(ctx, a.Bridge, a.HostName, a.Container, a.IfName)
		db.Close()
	}
	if errors.Is(err, ovsdb.ErrOthersPort) { // there is none of ours
		err = nil
	}
	a.portLeft = err != nil
	return err
}

// persist dials until ctx ends, since ovsdb-server may be about to come back.
func persist(ctx context.Context, places Places) (*ovsdb.Conn, error) {
	const pause = 20 * time.Millisecond
	for {
		db, err := dial(ctx, places)
		if err == nil {
			return db, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// waitReady survives a restart of ovsdb-server.
func (a *adding) waitReady(ctx context.Context) error {
	err := a.db.WaitReady(ctx, a.HostName)
	for errors.Is(err, ovsdb.ErrNotConnected) {
		if lost := a.redial(ctx); lost != nil {
			return failure(types.ErrTryAgainLater, fmt.Sprintf("container %s: lost ovsdb-server: %v", a.Container, lost), "start openvswitch-switch")
		}
		err = a.db.WaitReady(ctx, a.HostName)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ovsdb.ErrNotYet):
		return failure(types.ErrTryAgainLater, fmt.Sprintf("container %s: %v", a.Container, err), "weft-agent status")
	case ctx.Err() != nil:
		return a.unanswered(ctx)
	}
	return failure(CodeRefused, fmt.Sprintf("container %s: %v", a.Container, err), a.remedy(ctx))
}

// unanswered says who has not done his part in time.
func (a *adding) unanswered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if p, err := a.db.Port(ctx, a.Bridge, a.HostName); err == nil && p.OFPort == 0 {
		return failure(types.ErrTryAgainLater,
			fmt.Sprintf("ovs-vswitchd gave the port of container %s no OpenFlow number within %s: is ovs-vswitchd running?", a.Container, a.timeout),
			"start openvswitch-switch")
	}
	return failure(types.ErrTryAgainLater,
		fmt.Sprintf("the cell agent did not confirm container %s within %s: is weft-agent running and connected to its controller?", a.Container, a.timeout),
		"weft-agent status")
}
