package gormstore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// grantLease gives a cell the first free block, or records its new VTEP. The
// cell keeps its block forever.
func (w *write) grantLease(cell flows.CellID, vtep netip.Addr) error {
	rows, err := w.leases()
	if err != nil {
		return err
	}
	var own *leaseRow
	var taken []netip.Prefix
	for i, row := range rows {
		if row.Cell == string(cell) {
			own = &rows[i]
		} else if row.VTEP == vtep.String() {
			return api.Conflict("vtep %s: cell %s has it; two cells cannot share a tunnel end", vtep, row.Cell)
		}
		if subnet, err := netip.ParsePrefix(row.Subnet); err == nil && subnet.Addr().Is4() {
			taken = append(taken, subnet.Masked())
		}
	}
	if own != nil {
		return w.renew(own, vtep)
	}
	subnet, free := firstFree(w.Networks, w.SubnetPrefix, taken)
	if !free {
		return api.Exhausted("no subnet of length %d is left in %v for cell %s: enlarge the network in the controller's configuration", w.SubnetPrefix, w.Networks, cell)
	}
	row := leaseRow{Cell: string(cell), Subnet: subnet.String(), VTEP: vtep.String()}
	if err := w.tx.Create(&row).Error; err != nil {
		return fmt.Errorf("granting a lease: %w", err)
	}
	w.did.Lease = &leaseBody{Cell: row.Cell, Subnet: row.Subnet, VTEP: row.VTEP}
	return nil
}

// renew checks a cell's old lease, and moves its tunnel end if that changed.
func (w *write) renew(own *leaseRow, vtep netip.Addr) error {
	stored := leaseBody{Cell: own.Cell, Subnet: own.Subnet, VTEP: vtep.String()}
	peer, err := stored.peer()
	if err == nil {
		err = inside(peer.Lease, w.Networks)
	}
	if err != nil {
		return api.Conflict("cell %s: its lease in the database cannot be used: %w", own.Cell, err)
	}
	if own.VTEP == vtep.String() {
		return nil
	}
	own.VTEP = vtep.String()
	if err := w.tx.Model(own).Update("vtep", own.VTEP).Error; err != nil {
		return fmt.Errorf("moving the tunnel end of cell %s: %w", own.Cell, err)
	}
	w.did.Lease = &stored
	return nil
}

// leases reads all leases; what a hand put there in place of text reads as text.
func (w *write) leases() ([]leaseRow, error) {
	var rows []leaseRow
	err := w.tx.Raw("SELECT COALESCE(cell, '') AS cell, COALESCE(subnet, '') AS subnet, COALESCE(vtep, '') AS vtep FROM leases").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	return rows, nil
}

// inside reports an error unless the lease is a part of the overlay.
func inside(lease netip.Prefix, networks []netip.Prefix) error {
	for _, network := range networks {
		if network.Bits() <= lease.Bits() && network.Contains(lease.Addr()) {
			return nil
		}
	}
	return fmt.Errorf("subnet %s: outside the configured network %v: a network may grow, but not move away from leases", lease, networks)
}

// firstFree returns the first block that overlaps none of taken. The first
// block of each network is not given: like Cloud Foundry's, it is kept for
// addresses that belong to no cell.
func firstFree(networks []netip.Prefix, bits int, taken []netip.Prefix) (netip.Prefix, bool) {
	slices.SortFunc(taken, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for _, network := range networks {
		size := uint64(1) << (32 - bits)
		first := uint64(number(network.Masked().Addr()))
		end := first + uint64(1)<<(32-network.Bits())
		next := 0 // taken[:next] end before the block looked at
		for at := first + size; at+size <= end; {
			for next < len(taken) && last(taken[next]) < at {
				next++
			}
			if next == len(taken) || uint64(number(taken[next].Addr())) >= at+size {
				return netip.PrefixFrom(address(uint32(at)), bits), true
			}
			at = max(at, last(taken[next])/size*size) + size
		}
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
