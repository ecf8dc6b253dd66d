package cni

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/ovsdb"
)

// remover takes away attachments, one after the other, over one connection to
// the switch's database.
type remover struct {
	Plugin
	places Places
	db     *ovsdb.Conn // nil before the first, and after it broke
	away   error       // why there is none to be had: nobody waits twice for that
}

func (r *remover) close() {
	if r.db != nil {
		r.db.Close()
		r.db = nil
	}
}

// remove takes away whatever an attachment has. Its address stays somebody's
// until the port is out of the switch's database. What is another's stays.
func (r *remover) remove(ctx context.Context, container, ifName string) error {
	store := addresses{r.places.DataDir, r.places.Bridge}
	portErr := r.deletePort(ctx, container, ifName)
	r.did("deleting the port")
	others := errors.Is(portErr, ovsdb.ErrOthersPort)
	if others {
		portErr = nil
	}
	if !others && !store.others(container, ifName) {
		if err := deleteVeth(hostName(container, ifName)); err != nil {
			return coded(CodeAttach, errors.Join(err, portErr), callAgain)
		}
	}
	r.did("deleting the veth")
	if portErr != nil {
		return portErr
	}
	if err := store.release(container, ifName); err != nil {
		return coded(types.ErrIOFailure, err, freeDataDir)
	}
	r.did("releasing the address")
	return nil
}

// deletePort dials once more if the connection of an earlier port has broken.
// ErrOthersPort if the port of that name is another container's.
func (r *remover) deletePort(ctx context.Context, container, ifName string) error {
	had := r.db != nil
	err := r.connect(ctx)
	if err == nil {
		err = r.db.DeletePortOf(ctx, r.places.Bridge, hostName(container, ifName), container, ifName)
	}
	switch {
	case err == nil, r.away != nil, errors.Is(err, ovsdb.ErrOthersPort):
		return err
	case errors.Is(err, ovsdb.ErrNotConnected) && had:
		r.close()
		return r.deletePort(ctx, container, ifName)
	case errors.Is(err, ovsdb.ErrNotConnected), ctx.Err() != nil:
		r.close()
		r.away = noDatabase(fmt.Errorf("ovsdb-server does not answer: %w", err))
		return r.away
	}
	return coded(CodeAttach, err, callAgain)
}

// connect makes a connection unless there is one.
func (r *remover) connect(ctx context.Context) (err error) {
	if r.db == nil && r.away == nil {
		r.db, r.away = dial(ctx, r.places)
	}
	return r.away
}
