package cellagent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// databaseTimeout bounds what the agent writes to OVSDB in one pass.
const databaseTimeout = 5 * time.Second

// observe reads the container ports and finds the fragments that what it saw
// concerns. It fails unless the bridge is there and ours: a bridge of our name
// that somebody else made is none that the agent may write to.
func (a *Agent) observe() error {
	ports, err := a.db.Ports(a.cfg.Bridge)
	if owner := a.db.Status(a.cfg.Bridge).Owner; err == nil && owner != a.cfg.Cell {
		err = fmt.Errorf("%w: bridge %s is owned by %q", ovsdb.ErrForeignBridge, a.cfg.Bridge, owner)
	}
	if errors.Is(err, ovsdb.ErrNoBridge) || errors.Is(err, ovsdb.ErrForeignBridge) {
		a.configured = false
	}
	if err != nil {
		return err
	}
	others, err := a.db.OtherOFPorts(a.cfg.Bridge)
	if err != nil {
		return err
	}
	now := source{ports: ports, others: others, lease: a.lease.subnet, boot: a.cfg.BootID, barred: a.barred()}
	if now.same(a.seenOf) {
		return nil // one transaction comes as many changes
	}
	a.ports, a.seenOf = ports, now
	a.seen = observe(now)
	for key, f := range a.held {
		if !a.admits(f) {
			a.dirty[key] = true
		}
	}
	for container := range a.seen.endpoints {
		key := flows.EndpointKey(container)
		if f, wanted := a.want.fragments[key]; wanted && a.held[key].Hash != f.Hash {
			a.dirty[key] = true
		}
	}
	return nil
}

// tidy removes ports of an earlier boot, moves containers off reserved
// OpenFlow ports and pins the others, so that their numbers, which flows match,
// outlive ovs-vswitchd. What limited ports that are gone goes, too. A port that
// cannot be tidied holds up no other.
func (a *Agent) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	var faults []error
	a.seen.stale = slices.DeleteFunc(a.seen.stale, func(name string) bool {
		err := a.deletePort(ctx, name)
		if err == nil {
			a.log.Info("removed a port of an earlier boot", "port", name)
		}
		faults = append(faults, err)
		return err == nil
	})
	for port, number := range a.seen.displaced {
		a.log.Info("moves a port off a reserved number", "port", port, "ofport", number)
		faults = append(faults, ignoreGone(a.db.PinOFPort(ctx, port, number)))
	}
	for _, p := range a.seen.endpoints {
		if p.OFPortRequest != p.OFPort { // another port may have been faster to take the number
			faults = append(faults, ignoreGone(a.db.PinOFPort(ctx, p.Name, p.OFPort)))
		}
	}
	faults = append(faults, a.db.Sweep(ctx))
	return errors.Join(faults...)
}

// deletePort does what weft-cni does.
func (a *Agent) deletePort(ctx context.Context, name string) error {
	conn, err := ovsdb.Dial(ctx, a.cfg.OVSDB)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.DeletePort(ctx, a.cfg.Bridge, name)
}

// ignoreGone forgives that a port went while it was written to.
func ignoreGone(err error) error {
	if errors.Is(err, ovsdb.ErrNoPort) {
		return nil
	}
	return err
}
