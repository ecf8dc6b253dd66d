package cni

import (
	"fmt"
	"os"

	"github.com/containernetworking/cni/pkg/types"
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
