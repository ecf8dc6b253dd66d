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
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"
)

// addresses reserves addresses of the cell's lease with CNI's host-local
// allocator, which goes round the lease. The folder is the bridge's, not the
// network's: two network configurations on one cell share its lease.
//
// An address that is given back rests: a packet that is still under way to its
// last owner must not reach the next. Only when all others are taken is the one
// given out that has rested for the longest time.
//
// All addresses of the lease are given out but the first and the last: the
// gateway is link-local, and takes none; the network's and the broadcast
// address would work on a /32, but tools and people take them for what they
// are elsewhere.
type addresses struct{ dir, bridge string }

// firstRange names the allocator's one range in its "last reserved" file.
const firstRange = 0

// reserve takes the address that the attachment asks for, or any. It fails if
// the container's interface has one, or none is left.
func (a addresses) reserve(lease Lease, want Attachment) (netip.Addr, error) {
	s, err := openStore(a.folder())
	if err != nil {
		return netip.Addr{}, a.unusable(err)
	}
	defer s.Close()
	s.network, s.rest, s.wanted = want.Network, lease.Rest, want.Wanted.IsValid()
	if err := s.locked(s.begin); err != nil {
		return netip.Addr{}, a.unusable(err)
	}
	if s.wanted {
		return a.reserveWanted(s, lease, want)
	}
	return a.reserveNext(s, lease, want)
}

// duplicate refuses an attachment that is there already.
func duplicate(container, ifName string) *types.Error {
	return failure(CodeDuplicate, fmt.Sprintf("container %q has an interface %q already", container, ifName),
		"CNI wants a DEL before another ADD of the same container and interface")
}

// What the allocator's errors say: they have no types.
const (
	noneLeft    = "no IP addresses available"
	hasOne      = "duplicate allocation"
	maxAttempts = 3 // at an address that has rested: another plugin may be faster
)

// reserveNext reserves the next address of the lease that nobody has and that
// does not rest, or else the one that has rested for the longest time.
func (a addresses) reserveNext(s *store, lease Lease, want Attachment) (netip.Addr, error) {
	ip, err := s.allocate(lease, want, nil)
	for range maxAttempts {
		longest, rests := s.longestRested(lease.Subnet)
		if err == nil || !rests || !strings.Contains(err.Error(), noneLeft) {
			break
		}
		s.ignoreRest = true
		if ip, err = s.allocate(lease, want, longest.AsSlice()); err != nil {
			s.ignoreRest = false
			ip, err = s.allocate(lease, want, nil)
		}
	}
	switch {
	case err == nil:
		return ip, nil
	case strings.Contains(err.Error(), hasOne):
		return ip, duplicate(want.Container, want.IfName)
	case strings.Contains(err.Error(), noneLeft):
		return ip, failure(CodeExhausted, fmt.Sprintf("the cell's lease %s is exhausted: all of its addresses are reserved in %s", lease.Subnet, a.folder()),
			"stop containers on this cell, or give cells larger leases (subnet_prefix_length of the controller)")
	}
	return ip, fmt.Errorf("reserving an address of %s: %w", lease.Subnet, err)
}

// reserveWanted reserves the one address that the runtime wants.
func (a addresses) reserveWanted(s *store, lease Lease, want Attachment) (netip.Addr, error) {
	ip, err := s.allocate(lease, want, want.Wanted.AsSlice())
	var known *types.Error
	if err == nil || errors.As(err, &known) {
		return ip, err
	}
	if s.spent(lease.Subnet) { // who asks for nothing would get one that rests
		s.ignoreRest = true
		if ip, err = s.allocate(lease, want, want.Wanted.AsSlice()); err == nil || errors.As(err, &known) {
			return ip, err
		}
	}
	address := want.Wanted.String()
	if holder, taken := s.read(address); taken == nil {
		return ip, failure(CodeTaken, fmt.Sprintf("address %s is that of container %s (%s)", address, holder.container, holder.ifName),
			"ask for another address, or remove that container")
	}
	if left, last, resting := s.restOf(address); resting == nil && left > 0 {
		return ip, failure(types.ErrTryAgainLater, fmt.Sprintf("address %s was container %s's, and rests for another %s", address, last, left.Round(time.Second)),
			"try again then, or ask for another address (address_rest of weft-agent is how long an address rests)")
	}
	return ip, fmt.Errorf("reserving address %s: %w", address, err)
}

// allocate calls the allocator, which locks the store.
func (s *store) allocate(lease Lease, want Attachment, ip net.IP) (netip.Addr, error) {
	got, err := allocator.NewIPAllocator(rangeOf(lease.Subnet), s, firstRange).Get(want.Container, want.IfName, ip)
	if err != nil {
		return netip.Addr{}, err
	}
	address, _ := netip.AddrFromSlice(got.Address.IP.To4())
	return address, nil
}

// release gives back what the container's interface holds, if anything.
func (a addresses) release(container, ifName string) error {
	return a.open(func(s *store) error { return s.ReleaseByID(container, ifName) })
}

// held returns the address that the container's interface holds, or the zero
// Addr.
func (a addresses) held(container, ifName string) (ip netip.Addr, err error) {
	err = a.open(func(s *store) error {
		for _, r := range s.of(container, ifName) {
			ip = r.ip
		}
		return nil
	})
	return ip, err
}

// open calls do with the store locked, unless nothing was ever reserved.
func (a addresses) open(do func(*store) error) error {
	if _, err := os.Stat(a.folder()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := openStore(a.folder())
	if err != nil {
		return a.unusable(err)
	}
	defer s.Close()
	return s.locked(func() error { return do(s) })
}

// locked calls do while nobody else changes the store.
func (s *store) locked(do func() error) error {
	if err := s.Lock(); err != nil {
		return fmt.Errorf("locking %s: %w", s.dir, err)
	}
	defer s.Unlock()
	return do()
}

func (a addresses) unusable(err error) error {
	var known *types.Error
	if errors.As(err, &known) {
		return known
	}
	return fmt.Errorf("dataDir %q: %w", a.dir, err)
}

func (a addresses) folder() string { return filepath.Join(a.dir, a.bridge) }

// rangeOf is the lease less its first and last address. The range has no
// gateway, so that the allocator sets none aside.
func rangeOf(subnet netip.Prefix) *allocator.RangeSet {
	first, last := ends(subnet)
	network := types.IPNet{IP: subnet.Addr().AsSlice(), Mask: net.CIDRMask(subnet.Bits(), 32)}
	return &allocator.RangeSet{{Subnet: network, RangeStart: first.AsSlice(), RangeEnd: last.AsSlice()}}
}

// ends are the first and the last address that a container can have. The lease
// is a /30 or larger.
func ends(subnet netip.Prefix) (first, last netip.Addr) {
	broadcast := subnet.Addr().As4()
	mask := net.CIDRMask(subnet.Bits(), 32)
	for i := range broadcast {
		broadcast[i] |= ^mask[i]
	}
	return subnet.Addr().Next(), netip.AddrFrom4(broadcast).Prev()
}
