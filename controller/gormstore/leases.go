package gormstore

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// The values of leaseRow.State.
const (
	inForce   = ""
	expired   = "expired"   // nobody renewed it: kept for its cell until somebody else needs the subnet
	returning = "returning" // in force, but for the other cells: see controller.LeaseGranted
)

// prefix is the row's subnet; the zero one if its text is none.
func (row leaseRow) prefix() netip.Prefix {
	if p, err := netip.ParsePrefix(row.Subnet); err == nil && p.Addr().Is4() {
		return p.Masked()
	}
	return netip.Prefix{}
}

// usable reports what is wrong with a cell's own lease.
func (row leaseRow) usable(p pool) error {
	peer, err := leaseBody{Cell: row.Cell, Subnet: row.Subnet, VTEP: row.VTEP}.peer()
	if err == nil {
		err = p.inside(peer.Lease)
	}
	return err
}

func (s *Store) pool() pool { return pool{s.Networks, s.SubnetPrefix} }

// grantLease gives a cell the lease that it has; else the one that it had, if
// that can be; else the first free one; else that of the cell that has been
// away for longest.
func (w *write) grantLease(cmd controller.GrantLease) error {
	if err := w.mayLease(cmd); err != nil {
		return err
	}
	rows, err := w.leases()
	if err != nil {
		return err
	}
	var own *leaseRow
	others := make([]leaseRow, 0, len(rows))
	for i, row := range rows {
		switch {
		case row.Cell == string(cmd.Cell):
			own = &rows[i]
		case row.VTEP != cmd.VTEP.String():
			others = append(others, row)
		case row.State != expired:
			return api.Conflict("vtep %s: cell %s has it; two cells cannot share a tunnel end", cmd.VTEP, row.Cell)
		default:
			if err := w.release(row, reclaimed); err != nil {
				return err
			}
		}
	}
	if own == nil {
		return w.lend(cmd, others)
	}
	if err := w.mayMove(*own, cmd); err != nil {
		return err
	}
	if kindOf(own.prefix()) == kindFor(cmd) {
		return w.renew(*own, cmd)
	}
	return w.changeKind(*own, cmd, others)
}

// mayLease refuses a cell that was drained, and containers where there can be none.
func (w *write) mayLease(cmd controller.GrantLease) error {
	drain, err := w.drain(cmd.Cell)
	switch {
	case err != nil:
		return err
	case drain != nil && drain.Drained != 0:
		return w.refuseDrained(*drain)
	case cmd.SingleIP && cmd.Containers > 0:
		return api.Conflict("cell %s: %s, and a cell with a single address runs none: stop them first, or do without single_ip", cmd.Cell, containers(cmd))
	}
	return nil
}

// renew brings a cell's own lease back if it has expired, and moves its tunnel
// end if that changed. It keeps its subnet.
func (w *write) renew(own leaseRow, cmd controller.GrantLease) error {
	if err := own.usable(w.pool()); err != nil {
		return api.Conflict("cell %s: its lease in the database cannot be used: %w; `weft cells remove %s` makes room for another", own.Cell, err, own.Cell)
	}
	if cmd.Containers > 0 && cmd.Subnet != own.prefix() {
		return api.Conflict("cell %s: %s, and its lease is %s: stop them, and it gets the lease; or restore the database that had the other one",
			own.Cell, containers(cmd), own.Subnet)
	}
	now := own
	now.VTEP, now.RenewedAt = cmd.VTEP.String(), w.now.UnixMilli()
	if own.State == expired {
		now.State = returning
	}
	err := w.tx.Model(&leaseRow{}).Where("cell = ?", own.Cell).
		Updates(map[string]any{"vtep": now.VTEP, "renewed_at": now.RenewedAt, "state": now.State, "replica": ""}).Error
	if err != nil {
		return fmt.Errorf("renewing the lease of cell %s: %w", own.Cell, err)
	}
	if now.VTEP != own.VTEP || now.State != own.State {
		w.did.Lease = &leaseBody{Cell: now.Cell, Subnet: now.Subnet, VTEP: now.VTEP, Returning: now.State == returning}
	}
	return nil
}

// mayMove refuses another tunnel end while the cell is connected to another
// replica from the one that it has: then there are two of it.
func (w *write) mayMove(own leaseRow, cmd controller.GrantLease) error {
	age := w.now.Sub(time.UnixMilli(own.RenewedAt))
	if own.VTEP == cmd.VTEP.String() || own.State == expired || own.Replica == "" || own.Replica == cmd.Replica || age.Abs() >= cmd.Quiet {
		return nil
	}
	return controller.ConnectedFrom(cmd.Cell, cmd.VTEP, own.VTEP,
		fmt.Sprintf("; if that controller is dead, %v after it renewed the lease last", cmd.Quiet))
}

// changeKind gives a cell a lease of the other kind, and takes the old one.
func (w *write) changeKind(own leaseRow, cmd controller.GrantLease, others []leaseRow) error {
	drain, err := w.drain(cmd.Cell)
	switch {
	case err != nil:
		return err
	case cmd.Containers > 0:
		return api.Conflict("cell %s: its lease is %s, and it asks for one of another kind (single_ip %t) while %s: stop them first",
			own.Cell, own.Subnet, cmd.SingleIP, containers(cmd))
	case drain != nil:
		return api.Conflict("cell %s is to be drained, and asks for a lease of another kind (single_ip %t): `weft cells undrain %s` lets it have one",
			own.Cell, cmd.SingleIP, own.Cell)
	}
	if err := w.release(own, replaced); err != nil {
		return err
	}
	return w.lend(cmd, others)
}

// containers says what runs on a cell that asks for a lease.
func containers(cmd controller.GrantLease) string {
	if cmd.Containers == 1 {
		return fmt.Sprintf("1 container runs in %s", cmd.Subnet)
	}
	return fmt.Sprintf("%d containers run in %s", cmd.Containers, cmd.Subnet)
}

// lend gives a lease to a cell that has none. A subnet that is kept for a cell
// that is away, whose containers may run on, goes to containers that run in it;
// else only to who can have no other.
func (w *write) lend(cmd controller.GrantLease, others []leaseRow) error {
	p, of := w.pool(), kindFor(cmd)
	if cmd.Subnet.IsValid() && kindOf(cmd.Subnet) == of {
		had, err := p.again(cmd.Subnet, others)
		switch {
		case err == nil && (cmd.Containers > 0 || len(had.reclaim) == 0):
			return w.give(cmd, had)
		case err != nil && cmd.Containers > 0:
			return api.Conflict("cell %s: %s, and it cannot have that again: %w; stop them, and it gets another lease", cmd.Cell, containers(cmd), err)
		}
	}
	next, found := p.next(of, others)
	switch {
	case found:
		return w.give(cmd, next)
	case of == single:
		return api.Exhausted("no single address is left for cell %s in the first blocks (length %d) of %v: remove routers that are gone (weft cells), or add a network in the controller's configuration",
			cmd.Cell, p.bits, p.networks)
	}
	return api.Exhausted("no subnet of length %d is left in %v for cell %s: remove cells that are gone (weft cells), or enlarge the network in the controller's configuration",
		p.bits, p.networks, cmd.Cell)
}

// room is a subnet for a new lease, and the expired leases that make way for it.
type room struct {
	subnet  netip.Prefix
	reclaim []leaseRow
}

// again returns the room of a lease that a cell had, or says why it cannot be
// had again.
func (p pool) again(subnet netip.Prefix, rows []leaseRow) (room, error) {
	if err := p.lends(subnet); err != nil {
		return room{}, err
	}
	found := room{subnet: subnet}
	for _, row := range rows {
		switch taken := row.prefix(); {
		case !taken.IsValid() || !taken.Overlaps(subnet):
		case row.State != expired:
			return room{}, fmt.Errorf("cell %s at %s has %s now", row.Cell, row.VTEP, row.Subnet)
		default:
			found.reclaim = append(found.reclaim, row)
		}
	}
	return found, nil
}

// next returns the first free room of a kind. If there is none, expired leases
// make way, the longest expired ones first.
func (p pool) next(of kind, rows []leaseRow) (room, bool) {
	var kept []netip.Prefix
	var old []leaseRow
	for _, row := range rows {
		switch taken := row.prefix(); {
		case !taken.IsValid():
		case row.State == expired:
			old = append(old, row)
		default:
			kept = append(kept, taken)
		}
	}
	slices.SortFunc(old, func(a, b leaseRow) int {
		return cmp.Or(cmp.Compare(a.RenewedAt, b.RenewedAt), cmp.Compare(a.Cell, b.Cell))
	})
	without := func(n int) (netip.Prefix, bool) { // the first n of old
		taken := slices.Clone(kept)
		for _, row := range old[n:] {
			taken = append(taken, row.prefix())
		}
		return p.free(of, taken)
	}
	n := sort.Search(len(old), func(n int) bool { _, free := without(n); return free })
	subnet, free := without(n)
	found := room{subnet: subnet}
	for _, row := range old[:n] {
		if free && row.prefix().Overlaps(subnet) {
			found.reclaim = append(found.reclaim, row)
		}
	}
	return found, free
}

// give makes a room the cell's lease. What runs on the cell may know group ids
// as what they were when it was last heard of: then it is returning.
func (w *write) give(cmd controller.GrantLease, at room) error {
	for _, row := range at.reclaim {
		if err := w.release(row, reclaimed); err != nil {
			return err
		}
	}
	row := leaseRow{Cell: string(cmd.Cell), Subnet: at.subnet.String(), VTEP: cmd.VTEP.String(), RenewedAt: w.now.UnixMilli()}
	if cmd.Containers > 0 {
		row.State = returning
	}
	if err := w.tx.Create(&row).Error; err != nil {
		return fmt.Errorf("granting a lease: %w", err)
	}
	w.did.Lease = &leaseBody{Cell: row.Cell, Subnet: row.Subnet, VTEP: row.VTEP, Returning: row.State == returning}
	return nil
}

// leases reads all leases in the order of their cells.
func (w *write) leases() ([]leaseRow, error) { return readLeases(w.tx) }

// readLeases reads all leases. What a hand put there in place of text reads as
// text, and in place of a time as 1970.
func readLeases(tx *gorm.DB) ([]leaseRow, error) {
	found, err := tx.Raw("SELECT cell, subnet, vtep, renewed_at, state, replica FROM leases ORDER BY cell").Rows()
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	defer found.Close()
	var rows []leaseRow
	for found.Next() {
		values, err := scan(found)
		if err != nil {
			return nil, fmt.Errorf("reading leases: %w", err)
		}
		row := leaseRow{Cell: text(values[0]), Subnet: text(values[1]), VTEP: text(values[2]), State: text(values[4]), Replica: text(values[5])}
		row.RenewedAt, _ = strconv.ParseInt(text(values[3]), 10, 64)
		rows = append(rows, row)
	}
	return rows, found.Err()
}
