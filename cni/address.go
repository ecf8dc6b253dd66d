package cni

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/disk"
)

// addresses reserves addresses of the cell's lease: CNI's host-local store, one
// file per address with the container's id and interface in it, and its
// allocator, which goes round the lease so that an address rests as long as
// possible. The folder is the bridge's, not the network's: two network
// configurations on one cell share its lease.
//
// All addresses of the lease are given out but the first and the last: the
// gateway is link-local, and takes none; the network's and the broadcast
// address would work on a /32, but tools and people take them for what they
// are elsewhere.
type addresses struct{ dir, bridge string }

// firstRange names the allocator's one range in its "last reserved" file.
const firstRange = 0

// reserve takes an address. It fails if the container's interface has one, or
// none is left.
func (a addresses) reserve(lease Lease, container, ifName string) (netip.Addr, error) {
	store, err := disk.New(a.bridge, a.dir)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("dataDir %q: %w", a.dir, err)
	}
	defer store.Close()
	got, err := allocator.NewIPAllocator(rangeOf(lease.Subnet), store, firstRange).Get(container, ifName, nil)
	switch {
	case err == nil:
		ip, _ := netip.AddrFromSlice(got.Address.IP.To4())
		return ip, nil
	case strings.Contains(err.Error(), "duplicate allocation"): // the allocator's errors have no types
		return netip.Addr{}, failure(CodeDuplicate, fmt.Sprintf("container %q has an interface %q already: %v", container, ifName, err),
			"CNI wants a DEL before another ADD of the same container and interface")
	case strings.Contains(err.Error(), "no IP addresses available"):
		return netip.Addr{}, failure(CodeExhausted, fmt.Sprintf("the cell's lease %s is exhausted: all of its addresses are reserved in %s", lease.Subnet, a.folder()),
			"stop containers on this cell, or give cells larger leases (subnet_prefix_length of the controller)")
	default:
		return netip.Addr{}, fmt.Errorf("reserving an address of %s: %w", lease.Subnet, err)
	}
}

// release gives back what the container's interface holds, if anything.
func (a addresses) release(container, ifName string) error {
	return a.open(func(store *disk.Store) error { return store.ReleaseByID(container, ifName) })
}

// held returns the address that the container's interface holds, or the zero
// Addr.
func (a addresses) held(container, ifName string) (ip netip.Addr, err error) {
	err = a.open(func(store *disk.Store) error {
		for _, got := range store.GetByID(container, ifName) {
			ip, _ = netip.AddrFromSlice(got.To4())
		}
		return nil
	})
	return ip, err
}

// open calls do with the store locked, unless nothing was ever reserved.
func (a addresses) open(do func(*disk.Store) error) error {
	if _, err := os.Stat(a.folder()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, err := disk.New(a.bridge, a.dir)
	if err != nil {
		return fmt.Errorf("dataDir %q: %w", a.dir, err)
	}
	defer store.Close()
	if err := store.Lock(); err != nil {
		return fmt.Errorf("locking %s: %w", a.folder(), err)
	}
	defer store.Unlock()
	return do(store)
}

func (a addresses) folder() string { return filepath.Join(a.dir, a.bridge) }

// rangeOf is the lease less its first and last address. The range has no
// gateway, so that the allocator sets none aside.
func rangeOf(subnet netip.Prefix) *allocator.RangeSet {
	first, last := subnet.Addr().As4(), subnet.Addr().As4()
	mask := net.CIDRMask(subnet.Bits(), 32)
	for i := range last {
		last[i] |= ^mask[i]
	}
	network := types.IPNet{IP: net.IP(append([]byte(nil), first[:]...)), Mask: mask}
	first[3]++ // cannot carry: the lease is a /30 or larger
	last[3]--
	return &allocator.RangeSet{{Subnet: network, RangeStart: first[:], RangeEnd: last[:]}}
}
