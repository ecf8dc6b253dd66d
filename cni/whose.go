package cni

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/ovsdb"
)

// A host name has 48 bits of a hash, so that two containers may have the same
// one. The second is refused before anything is made for it, and whoever takes
// something away by its name looks first whose it is: the port says so itself,
// and a veth without a port is that of whoever has reserved an address, which
// comes before the veth and goes after it.

// holder returns the reservation of whoever has the host name of a container's
// interface: that interface, as a rule.
func (s *store) holder(container, ifName string) (r reservation, held bool) {
	address, err := os.Readlink(s.owner(container, ifName))
	if err != nil {
		return r, false
	}
	r, err = s.read(address)
	return r, err == nil && hostName(r.container, r.ifName) == hostName(container, ifName) // else what was left of one that is gone
}

func (r reservation) is(container, ifName string) bool {
	return r.container == container && r.ifName == ifName
}

// refuses says why a container gets no address while the holder of its
// interface's host name has one.
func (r reservation) refuses(container, ifName string) *types.Error {
	if r.is(container, ifName) {
		return duplicate(container, ifName)
	}
	return failure(CodeDuplicate, fmt.Sprintf("the host end of container %q's %q would have the name of container %q's %q, %s",
		container, ifName, r.container, r.ifName, hostName(container, ifName)), "give the container another id")
}

// others reports whether another interface has reserved the host name.
func (a addresses) others(container, ifName string) (is bool) {
	_ = a.open(func(s *store) error { // a store that cannot be read keeps nothing from being removed
		r, held := s.holder(container, ifName)
		is = held && !r.is(container, ifName)
		return nil
	})
	return is
}

// deletePort takes the port of a container's interface away. ErrOthersPort if
// the port of that name is another's.
func deletePort(ctx context.Context, conf Places, container, ifName string) error {
	db, err := dial(ctx, conf)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.DeletePortOf(ctx, conf.Bridge, hostName(container, ifName), container, ifName)
}

// unplug takes port and veth away, unless they are another's.
func (p Plugin) unplug(ctx context.Context, conf Places, container, ifName string) error {
	err := deletePort(ctx, conf, container, ifName)
	p.did("deleting the port")
	othersPort := errors.Is(err, ovsdb.ErrOthersPort)
	if othersPort {
		err = nil
	}
	if !othersPort && !(addresses{conf.DataDir, conf.Bridge}).others(container, ifName) {
		if vethErr := deleteVeth(hostName(container, ifName)); vethErr != nil {
			return coded(CodeAttach, errors.Join(vethErr, err))
		}
	}
	p.did("deleting the veth")
	if err != nil {
		return coded(CodeAttach, err)
	}
	return nil
}
