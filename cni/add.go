package cni

import (
	"context"
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
	lease     Lease
	timeout   time.Duration
	addresses addresses
	db        *ovsdb.Client
	portLeft  bool // the port could not be taken out of the database
}

func (a *adding) steps() []step {
	return []step{
		{"reserving an address", a.reserve, a.release},
		{"creating the veth", a.create, a.delete},
		{"configuring the host's end", func(context.Context) error { return configureHost(a.Attachment) }, nil},
		{"configuring the container's end", a.configure, nil},
		{"adding the port", a.addPort, a.deletePort},
		{"waiting for the cell agent", a.waitReady, nil},
	}
}

func (a *adding) reserve(context.Context) error {
	ip, err := a.addresses.reserve(a.lease, a.Container, a.IfName)
	if err == nil {
		a.Attachment = a.At(ip)
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
	who := inKernel
	if a.db.Status(a.Bridge).DatapathType == "netdev" {
		who = bySender
	}
	return configureContainer(a.Attachment, who)
}

func (a *adding) addPort(ctx context.Context) error {
	boot, err := ovsdb.BootID()
	if err != nil {
		return fmt.Errorf("the kernel's boot id: %w", err)
	}
	_, err = a.db.AddPort(ctx, a.Bridge, a.port(boot))
	if err == nil {
		return nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if left := a.deletePort(undo); left != nil {
		err = fmt.Errorf("%w (and it may be left behind: %w)", err, left)
	}
	if ctx.Err() != nil {
		return failure(types.ErrTryAgainLater, err.Error(), "start openvswitch-switch")
	}
	return err
}

func (a *adding) deletePort(ctx context.Context) error {
	err := a.db.DeletePort(ctx, a.Bridge, a.HostName)
	a.portLeft = err != nil
	return err
}

func (a *adding) waitReady(ctx context.Context) error {
	err := a.db.WaitReady(ctx, a.HostName)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return failure(types.ErrTryAgainLater,
			fmt.Sprintf("the cell agent did not confirm container %s within %s: is weft-agent running and connected to its controller?", a.Container, a.timeout),
			"weft-agent status")
	default:
		return failure(CodeRefused, fmt.Sprintf("container %s: %v", a.Container, err), "weft-agent status")
	}
}
