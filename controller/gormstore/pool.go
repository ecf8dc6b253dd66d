package gormstore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/weft-sdn/weft/controller"
)

// pool is what leases are cut out of: blocks for cells, and in the first block
// of each network, which is no cell's, single addresses.
type pool struct {
	networks []netip.Prefix
	bits     int // length of a block
}

// kind is what sort of lease a cell has.
type kind string

const (
	block  kind = "block"
	single kind = "single" // one address
)

func kindOf(subnet netip.Prefix) kind {
	if subnet.IsSingleIP() {
		return single
	}
	return block
}

// kindFor is the kind that a cell asks for.
func kindFor(cmd controller.GrantLease) kind {
	if cmd.SingleIP {
		return single
	}
	return block
}

// inside reports an error unless the lease is a part of the overlay.
func (p pool) inside(lease netip.Prefix) error {
	for _, network := range p.networks {
		if network.Bits() <= lease.Bits() && network.Contains(lease.Addr()) {
			return nil
		}
	}
	return fmt.Errorf("subnet %s: outside the configured network %v: a network may grow, but not move away from leases", lease, p.networks)
}

// first is the block of a network that is kept for single addresses: like Cloud
// Foundry's.
func (p pool) first(network netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(network.Masked().Addr(), p.bits)
}

// lends reports an error unless the pool has such a lease, whoever has it now.
func (p pool) lends(subnet netip.Prefix) error {
	if err := p.inside(subnet); err != nil {
		return err
	}
	for _, network := range p.networks {
		first := p.first(network)
		of := kindOf(subnet)
		switch reserved := first.Overlaps(subnet); {
		case of == block && reserved:
			return fmt.Errorf("subnet %s: overlaps %s, the first block of %s, which is kept for single addresses", subnet, first, network)
		case of == single && reserved && (subnet.Addr() == first.Addr() || uint64(number(subnet.Addr())) == last(first)):
			return fmt.Errorf("subnet %s: the first and last address of %s are nobody's", subnet, first)
		case of == single && reserved:
			return nil
		}
	}
	switch {
	case kindOf(subnet) == single:
		return fmt.Errorf("subnet %s: a single address comes out of the first block of a network %v", subnet, p.networks)
	case subnet.Bits() < p.bits:
		return fmt.Errorf("subnet %s: larger than a cell's block (subnet_prefix_length %d)", subnet, p.bits)
	}
	return nil
}

// free returns the first lease of a kind that overlaps none of taken.
func (p pool) free(of kind, taken []netip.Prefix) (netip.Prefix, bool) {
	taken = slices.Clone(taken)
	slices.SortFunc(taken, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for _, network := range p.networks {
		s := span{start: uint64(number(network.Masked().Addr())), bits: p.bits}
		size := uint64(1) << (32 - p.bits)
		s.end = s.start + uint64(1)<<(32-network.Bits())
		if of == single {
			s = span{start: s.start + 1, end: s.start + size - 1, bits: 32}
		} else {
			s.start += size
		}
		if found, is := s.firstFree(taken); is {
			return found, true
		}
	}
	return netip.Prefix{}, false
}

// span are the addresses from start up to end, which it does not include, that
// are given in blocks of a length.
type span struct {
	start, end uint64
	bits       int
}

// firstFree returns the first block that overlaps none of taken, which is sorted.
func (s span) firstFree(taken []netip.Prefix) (netip.Prefix, bool) {
	size := uint64(1) << (32 - s.bits)
	next := 0 // taken[:next] end before the block looked at
	for at := s.start; at+size <= s.end; {
		for next < len(taken) && last(taken[next]) < at {
			next++
		}
		if next == len(taken) || uint64(number(taken[next].Addr())) >= at+size {
			return netip.PrefixFrom(address(uint32(at)), s.bits), true
		}
		at = max(at, last(taken[next])/size*size) + size
	}
	return netip.Prefix{}, false
}

// last is the highest address of a network.
func last(p netip.Prefix) uint64 {
	return uint64(number(p.Addr())) + uint64(1)<<(32-p.Bits()) - 1
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}
