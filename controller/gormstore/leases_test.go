package gormstore

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

func grant(t testing.TB, s *Store, cell int, vtep string) error {
	t.Helper()
	_, err := s.Write(t.Context(), controller.GrantLease{Cell: flows.CellID(fmt.Sprintf("cell-%d", cell)), VTEP: netip.MustParseAddr(vtep)})
	return err
}

// TestLeases: first free block, never the first; one per cell, and the same one
// each time; a VTEP belongs to one cell.
func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		o := options()
		o.Networks = []netip.Prefix{netip.MustParsePrefix("10.255.0.0/22"), netip.MustParsePrefix("10.77.0.0/23")}
		s := open(t, db, o)
		for i := 1; i <= 4; i++ {
			if err := grant(t, s, i, fmt.Sprintf("192.0.2.%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := grant(t, s, 5, "192.0.2.5"); !errors.Is(err, api.ErrExhausted) || !strings.Contains(err.Error(), "cell-5") {
			t.Errorf("beyond the last block: %v", err)
		}
		if err := grant(t, s, 5, "192.0.2.1"); !errors.Is(err, api.ErrConflict) || !strings.Contains(err.Error(), "cell cell-1 has it") {
			t.Errorf("another cell's vtep: %v", err)
		}
		if err := grant(t, s, 2, "192.0.2.1"); !errors.Is(err, api.ErrConflict) {
			t.Errorf("moving onto another cell's vtep: %v", err)
		}
		if err := grant(t, s, 1, "192.0.2.11"); err != nil {
			t.Errorf("a cell that moves: %v", err)
		}
		if err := grant(t, s, 5, "192.0.2.1"); !errors.Is(err, api.ErrExhausted) {
			t.Errorf("the vtep that was left: %v", err)
		}
		s = reopen(t, s, db)
		got := state(load(t, s)).Cells()
		want := "[{cell-1 192.0.2.11 10.255.1.0/24} {cell-2 192.0.2.2 10.255.2.0/24} {cell-3 192.0.2.3 10.255.3.0/24} {cell-4 192.0.2.4 10.77.1.0/24}]"
		var short []string
		for _, c := range got {
			short = append(short, fmt.Sprintf("{%s %s %s}", c.Cell, c.VTEP, c.Subnet))
		}
		if fmt.Sprint(short) != want {
			t.Errorf("leases %v, want %v", short, want)
		}
	})
}

// fleet is a store whose clock the test sets, over two networks of which the
// first has three blocks for cells and the second one.
type fleet struct {
	testing.TB
	*Store
	now time.Time
}

func newFleet(t testing.TB, db place) *fleet {
	t.Helper()
	f := &fleet{TB: t, now: options().Now()}
	o := options()
	o.Networks = []netip.Prefix{netip.MustParsePrefix("10.255.0.0/22"), netip.MustParsePrefix("10.77.0.0/23")}
	o.Now = func() time.Time { return f.now }
	f.Store = open(t, db, o)
	return f
}

// ask asks for a lease as cell-n, at 192.0.2.n unless the request has a VTEP,
// and returns what the cell has then, or why not.
func (f *fleet) ask(n int, request controller.GrantLease) string {
	f.Helper()
	request.Cell = flows.CellID(fmt.Sprintf("cell-%d", n))
	if !request.VTEP.IsValid() {
		request.VTEP = netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	}
	if _, err := f.Write(f.Context(), request); err != nil {
		return fmt.Sprintf("%s: %v", api.KindOf(err), err)
	}
	return f.has(n)
}

// has is the lease of cell-n: "10.255.1.0/24", "10.255.1.0/24 expired", "none".
func (f *fleet) has(n int) string {
	f.Helper()
	for _, c := range state(load(f, f.Store)).Cells() {
		if c.Cell == fmt.Sprintf("cell-%d", n) {
			return strings.TrimSpace(c.Subnet + " " + c.State)
		}
	}
	return "none"
}

// expire ends the leases of these cells, which nobody has renewed.
func (f *fleet) expire(cells ...int) {
	f.Helper()
	renewals, err := f.Renewals(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	var old []controller.Renewal
	for _, r := range renewals {
		for _, n := range cells {
			if string(r.Cell) == fmt.Sprintf("cell-%d", n) {
				old = append(old, r)
			}
		}
	}
	if do(f, f.Store, controller.ExpireLeases{Leases: old}); len(old) != len(cells) {
		f.Fatalf("%d of %v have a lease in force", len(old), cells)
	}
}

// are checks a list of outcomes: each what came, what was wanted and why. What is
// wanted of an error is how it begins.
func (f *fleet) are(list ...[3]string) {
	f.Helper()
	for _, each := range list {
		got, want, why := each[0], each[1], each[2]
		if failed := strings.Contains(want, ":"); got != want && (!failed || !strings.HasPrefix(got, want)) {
			f.Errorf("%s:\ngot  %s\nwant %s", why, got, want)
		}
	}
}

func subnet(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// TestExpiredLeases keep their subnet for their cell, until there is no other.
func TestExpiredLeases(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		for n := 1; n <= 4; n++ {
			f.ask(n, controller.GrantLease{})
			f.now = f.now.Add(time.Minute)
		}
		do(t, f.Store, controller.RenewLeases{Cells: []flows.CellID{"cell-1"}})
		f.are([3]string{f.ask(5, controller.GrantLease{}), "exhausted: no subnet of length 24 is left in [10.255.0.0/22 10.77.0.0/23] for cell cell-5: remove cells", "all are in force"})
		f.expire(1, 2, 3)
		f.are(
			[3]string{f.has(2), "10.255.2.0/24 expired", "a cell that was away too long"},
			[3]string{f.ask(3, controller.GrantLease{}), "10.255.3.0/24 returning", "it is back"},
			[3]string{f.ask(3, controller.GrantLease{VTEP: netip.MustParseAddr("192.0.2.33")}), "10.255.3.0/24 returning", "it asks again before its switch is in step"},
		)
		do(t, f.Store, controller.ConfirmReturns{Cells: []flows.CellID{"cell-3", "cell-1", "cell-9"}})
		f.are(
			[3]string{f.has(3), "10.255.3.0/24", "its switch is in step"},
			[3]string{f.has(1), "10.255.1.0/24 expired", "one that is not back"},
			[3]string{f.ask(5, controller.GrantLease{}), "10.255.2.0/24", "the lease that was renewed longest ago makes way"},
			[3]string{f.has(2), "none", "its cell has none then"},
			[3]string{f.ask(2, controller.GrantLease{Subnet: subnet("10.255.2.0/24")}), "10.255.1.0/24", "it is back, and without containers any subnet does"},
			[3]string{f.ask(1, controller.GrantLease{}), "exhausted: no subnet", "none is left to make way"},
		)
		f.expire(4)
		f.are(
			[3]string{f.ask(6, controller.GrantLease{VTEP: netip.MustParseAddr("192.0.2.4")}), "10.77.1.0/24", "a VTEP whose cell's lease has expired"},
			[3]string{f.has(4), "none", "who had it"},
			[3]string{f.ask(7, controller.GrantLease{VTEP: netip.MustParseAddr("192.0.2.4")}), "conflict: vtep 192.0.2.4: cell cell-6 has it", "a VTEP whose cell's lease is in force"},
		)
		f.Store = reopen(t, f.Store, db)
		f.are([3]string{f.has(3), "10.255.3.0/24", "after a restart"}, [3]string{f.has(6), "10.77.1.0/24", "after a restart"})
	})
}

// TestKeptSubnet: what is kept for a cell that is away is not given to another
// that had it before it, while there is room; but to containers that run in it.
func TestKeptSubnet(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		first, router := controller.GrantLease{Subnet: subnet("10.255.1.0/24")}, controller.GrantLease{SingleIP: true, Subnet: subnet("10.255.0.1/32")}
		running := first
		running.Containers = 7
		f.ask(1, controller.GrantLease{})
		do(t, f.Store, controller.RemoveCell{Cell: "cell-1", By: "ann"})
		f.are([3]string{f.ask(2, controller.GrantLease{}), "10.255.1.0/24", "who has it next"})
		f.expire(2)
		f.are(
			[3]string{f.ask(1, first), "10.255.2.0/24", "who had it first is back, with nothing running"},
			[3]string{f.ask(2, running), "10.255.1.0/24 returning", "for whom it was kept is back, with its containers"},
		)
		f.expire(2)
		f.are(
			[3]string{f.ask(3, controller.GrantLease{}), "10.255.3.0/24", "a new cell"},
			[3]string{f.ask(4, first), "10.77.1.0/24", "another that had it, and the last free subnet"},
			[3]string{f.ask(5, first), "10.255.1.0/24", "the network is full"},
			[3]string{f.has(2), "none", "the network is full"},
		)
		f.expire(5)
		f.are(
			[3]string{f.ask(2, running), "10.255.1.0/24 returning", "containers run in what is kept for another"},
			[3]string{f.has(5), "none", "for whom it was kept"},
		)
		f.ask(6, router)
		f.expire(6)
		f.are(
			[3]string{f.ask(7, router), "10.255.0.2/32", "an address that is kept for another"},
			[3]string{f.has(6), "10.255.0.1/32 expired", "for whom it is kept"},
		)
	})
}

// TestTwoMachinesOfOneCell: while a cell is connected to one replica, another
// gives its lease to no other VTEP.
func TestTwoMachinesOfOneCell(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		cells, twin := []flows.CellID{"cell-1", "cell-2"}, netip.MustParseAddr("192.0.2.101")
		by := func(replica, vtep string) controller.GrantLease {
			return controller.GrantLease{VTEP: netip.MustParseAddr(vtep), Replica: replica, Quiet: 20 * time.Minute}
		}
		refused := "conflict: vtep 192.0.2.101: cell cell-1 is connected from 192.0.2.1: if these are two machines (one is a clone of the other), give one of them a cell and certificate of its own; " +
			"if the cell's address has changed, it gets its lease when the old connection has ended, within half a minute; if that controller is dead, 20m0s after it renewed the lease last"
		f.are([3]string{f.ask(1, by("A", "192.0.2.1")), "10.255.1.0/24", "a new cell"})
		do(t, f.Store, controller.RenewLeases{Cells: cells, Replica: "A"})
		f.now = f.now.Add(19 * time.Minute)
		single := by("B", twin.String())
		single.SingleIP = true
		f.are(
			[3]string{f.ask(1, by("B", "192.0.2.101")), refused, "another machine asks another replica"},
			[3]string{f.ask(1, single), refused, "for a lease of another kind"},
			[3]string{f.ask(1, by("A", "192.0.2.101")), "10.255.1.0/24", "it asks the one that knows whether the cell is connected"},
		)
		do(t, f.Store, controller.RenewLeases{Cells: cells, Replica: "B"})
		do(t, f.Store, controller.LeaveCells{Cells: cells, Replica: "A"}) // which notices late
		f.are([3]string{f.ask(1, by("A", "192.0.2.1")), "conflict: vtep 192.0.2.1: cell cell-1 is connected from 192.0.2.101", "it went to the other replica"})
		do(t, f.Store, controller.LeaveCells{Cells: cells, Replica: "B"})
		f.are([3]string{f.ask(1, by("A", "192.0.2.1")), "10.255.1.0/24", "its stream has ended"})
		do(t, f.Store, controller.RenewLeases{Cells: cells, Replica: "A"})
		f.are(
			[3]string{f.ask(1, by("B", "192.0.2.1")), "10.255.1.0/24", "it goes to the other replica"},
			[3]string{f.ask(1, by("B", "192.0.2.101")), "10.255.1.0/24", "and has no stream yet"},
		)
		do(t, f.Store, controller.RenewLeases{Cells: cells, Replica: "A"})
		f.now = f.now.Add(20 * time.Minute)
		f.are([3]string{f.ask(1, by("B", "192.0.2.1")), "10.255.1.0/24", "the replica that had it is dead"})
		do(t, f.Store, controller.RenewLeases{Cells: cells, Replica: "A"})
		f.expire(1)
		f.are([3]string{f.ask(1, by("B", "192.0.2.101")), "10.255.1.0/24 returning", "its lease has expired"})
	})
}

// TestRenewal is not logged; a lease is expired only as it was looked at, and
// once it has it is not renewed.
func TestRenewal(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		f.ask(1, controller.GrantLease{})
		f.ask(2, controller.GrantLease{})
		before, err := f.Renewals(t.Context())
		if err != nil || len(before) != 2 || !before[0].At.Equal(f.now) {
			t.Fatalf("renewals %+v, %v", before, err)
		}
		f.now = f.now.Add(time.Hour)
		if got := do(t, f.Store, controller.RenewLeases{Cells: []flows.CellID{"cell-1", "cell-9"}}); got != 0 {
			t.Errorf("a renewal is revision %d", got)
		}
		if got := do(t, f.Store, controller.ExpireLeases{Leases: before}); got != 3 {
			t.Errorf("expiring one lease is revision %d", got)
		}
		f.are(
			[3]string{f.has(1), "10.255.1.0/24", "renewed after it was looked at"},
			[3]string{f.has(2), "10.255.2.0/24 expired", "not renewed"},
		)
		if got := do(t, f.Store, controller.ExpireLeases{Leases: before}); got != 0 {
			t.Errorf("expiring it again is revision %d", got)
		}
		do(t, f.Store, controller.RenewLeases{Cells: []flows.CellID{"cell-2"}})
		after, err := f.Renewals(t.Context())
		if err != nil || len(after) != 1 || after[0].Cell != "cell-1" || !after[0].At.Equal(f.now) || f.has(2) != "10.255.2.0/24 expired" {
			t.Errorf("renewals %+v, %v; cell-2 has %s", after, err, f.has(2))
		}
		f.now = f.now.Add(time.Hour)
		f.ask(1, controller.GrantLease{}) // who asks is there
		if again, err := f.Renewals(t.Context()); err != nil || !again[0].At.Equal(f.now) {
			t.Errorf("renewals %+v, %v", again, err)
		}
		if changes, err := f.Changes(t.Context(), 0); err != nil || len(changes) != 3 {
			t.Errorf("%d changes in the log, %v", len(changes), err)
		}
	})
}

// TestKeepingALease: a cell that the database does not know gets the subnet
// that it had, so that a backup may be older than a lease.
func TestKeepingALease(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		with := func(text string, containers int) controller.GrantLease {
			return controller.GrantLease{Subnet: subnet(text), Containers: containers}
		}
		const stop = "; stop them, and it gets another lease"
		f.are(
			[3]string{f.ask(1, with("10.255.3.0/24", 0)), "10.255.3.0/24", "a free one, without containers"},
			[3]string{f.ask(2, with("10.255.2.0/24", 7)), "10.255.2.0/24 returning", "a free one, with containers, which know group ids of long ago"},
			[3]string{f.ask(3, with("10.255.2.0/24", 1)), "conflict: cell cell-3: 1 container runs in 10.255.2.0/24, and it cannot have that again: cell cell-2 at 192.0.2.2 has 10.255.2.0/24 now" + stop, "another cell's"},
			[3]string{f.ask(3, with("10.254.1.0/24", 1)), "conflict: cell cell-3: 1 container runs in 10.254.1.0/24, and it cannot have that again: subnet 10.254.1.0/24: outside the configured network", "outside the overlay"},
			[3]string{f.ask(3, with("10.77.0.0/24", 1)), "conflict: cell cell-3: 1 container runs in 10.77.0.0/24, and it cannot have that again: subnet 10.77.0.0/24: overlaps 10.77.0.0/24, the first block of 10.77.0.0/23", "the block that is kept for addresses"},
			[3]string{f.ask(3, with("10.77.0.0/23", 1)), "conflict: cell cell-3: 1 container runs in 10.77.0.0/23, and it cannot have that again: subnet 10.77.0.0/23: overlaps", "a whole network"},
			[3]string{f.has(3), "none", "after refusals"},
			[3]string{f.ask(3, with("10.255.2.0/24", 0)), "10.255.1.0/24", "another cell's, without containers: the first free one"},
			[3]string{f.ask(3, with("10.255.9.0/24", 0)), "10.255.1.0/24", "its own row wins without containers"},
			[3]string{f.ask(3, with("10.255.3.0/24", 2)), "conflict: cell cell-3: 2 containers run in 10.255.3.0/24, and its lease is 10.255.1.0/24: stop them, and it gets the lease; or restore", "containers run elsewhere"},
			[3]string{f.ask(3, with("10.255.1.0/24", 2)), "10.255.1.0/24", "containers run where its lease is"},
			[3]string{f.ask(4, with("10.255.1.128/25", 3)), "conflict: cell cell-4: 3 containers run in 10.255.1.128/25, and it cannot have that again: cell cell-3 at", "a part of another's"},
		)
		f.expire(3)
		f.are(
			[3]string{f.ask(4, with("10.255.1.128/25", 3)), "10.255.1.128/25 returning", "an expired lease makes way for it"},
			[3]string{f.has(3), "none", "whose that was"},
			[3]string{f.ask(3, controller.GrantLease{}), "10.77.1.0/24", "which gets the next one"},
		)
		f.expire(2)
		f.are([3]string{f.ask(2, with("10.255.1.0/24", 1)), "conflict: cell cell-2: 1 container runs in 10.255.1.0/24, and its lease is 10.255.2.0/24", "an expired lease is still its own"})
	})
}

// TestSingleAddresses come out of the first blocks, which no cell's block does.
func TestSingleAddresses(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		router := controller.GrantLease{SingleIP: true}
		with := func(text string) controller.GrantLease {
			return controller.GrantLease{SingleIP: true, Subnet: subnet(text)}
		}
		f.are(
			[3]string{f.ask(1, router), "10.255.0.1/32", "the first one"},
			[3]string{f.ask(1, router), "10.255.0.1/32", "again"},
			[3]string{f.ask(2, with("10.77.0.9/32")), "10.77.0.9/32", "the one that it had"},
			[3]string{f.ask(3, with("10.77.0.9/32")), "10.255.0.2/32", "another's"},
			[3]string{f.ask(4, with("10.255.0.0/32")), "10.255.0.3/32", "the first address is nobody's"},
			[3]string{f.ask(5, with("10.255.0.255/32")), "10.255.0.4/32", "the last one neither"},
			[3]string{f.ask(6, with("10.255.1.1/32")), "10.255.0.5/32", "not out of a cell's block"},
			[3]string{f.ask(7, controller.GrantLease{}), "10.255.1.0/24", "a cell's block"},
			[3]string{f.ask(8, controller.GrantLease{SingleIP: true, Subnet: subnet("10.255.0.9/32"), Containers: 1}), "conflict: cell cell-8: 1 container runs in 10.255.0.9/32, and a cell with a single address runs none", "with containers"},
			// From one kind to the other.
			[3]string{f.ask(7, controller.GrantLease{SingleIP: true, Subnet: subnet("10.255.1.0/24"), Containers: 1}), "conflict: cell cell-7: 1 container runs in 10.255.1.0/24", "a cell that becomes a router, too early"},
			[3]string{f.ask(7, controller.GrantLease{SingleIP: true, Subnet: subnet("10.255.1.0/24")}), "10.255.0.6/32", "a cell that becomes a router"},
			[3]string{f.ask(1, controller.GrantLease{Subnet: subnet("10.255.0.1/32"), Containers: 1}), "conflict: cell cell-1: its lease is 10.255.0.1/32, and it asks for one of another kind (single_ip false) while 1 container runs", "a router that runs containers"},
			[3]string{f.ask(1, controller.GrantLease{Subnet: subnet("10.255.0.1/32")}), "10.255.1.0/24", "a router that becomes a cell"},
			[3]string{f.ask(9, router), "10.255.0.1/32", "the address that it left"},
		)
		do(t, f.Store, controller.DrainCell{Cell: "cell-1", By: "ann"})
		f.are([3]string{f.ask(1, router), "conflict: cell cell-1 is to be drained, and asks for a lease of another kind (single_ip true): `weft cells undrain cell-1`", "while it is drained"})
		var rows []string
		for i := range 2 * 254 {
			address := netip.AddrFrom4([4]byte{10, []byte{255, 77}[i/254], 0, byte(1 + i%254)})
			rows = append(rows, fmt.Sprintf("('full-%d', '%s/32', '192.0.3.%d')", i, address, i))
		}
		hand(t, db, "DELETE FROM leases WHERE cell <> 'cell-1'", "INSERT INTO leases (cell, subnet, vtep) VALUES "+strings.Join(rows, ", "))
		f.are([3]string{f.ask(2, router), "exhausted: no single address is left for cell cell-2 in the first blocks (length 24) of [10.255.0.0/22 10.77.0.0/23]: remove routers", "all are taken"})
		hand(t, db, "UPDATE leases SET state = 'expired' WHERE cell IN ('full-300', 'cell-1')")
		f.are(
			[3]string{f.ask(2, router), "10.77.0.47/32", "an expired one makes way"},
			[3]string{f.has(1), "10.255.1.0/24 expired", "an expired block does not"},
		)
	})
}

// TestNetworkGrows: leases stay, and what was added is given. A network that was
// moved away from a lease makes that unusable, and says so.
func TestNetworkGrows(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		f := newFleet(t, db)
		grow := func(networks ...string) {
			t.Helper()
			o := f.Options
			o.Networks = nil
			for _, text := range networks {
				o.Networks = append(o.Networks, subnet(text))
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			f.Store = open(t, db, o)
		}
		grow("10.255.128.0/23")
		f.are(
			[3]string{f.ask(1, controller.GrantLease{}), "10.255.129.0/24", "a network with one block"},
			[3]string{f.ask(2, controller.GrantLease{SingleIP: true}), "10.255.128.1/32", "its first block"},
			[3]string{f.ask(3, controller.GrantLease{}), "exhausted: no subnet", "a full network"},
		)
		grow("10.255.128.0/23", "10.77.0.0/23")
		f.are([3]string{f.ask(3, controller.GrantLease{}), "10.77.1.0/24", "a second network"})
		grow("10.255.128.0/22", "10.77.0.0/23")
		f.are(
			[3]string{f.ask(4, controller.GrantLease{}), "10.255.130.0/24", "the first one is larger"},
			[3]string{f.ask(1, controller.GrantLease{Subnet: subnet("10.255.129.0/24"), Containers: 1}), "10.255.129.0/24", "who was there"},
		)
		grow("10.255.0.0/16") // 10.77.0.0/23 is no more
		f.are(
			[3]string{f.ask(2, controller.GrantLease{SingleIP: true}), "10.255.128.1/32", "an address out of what was the first block"},
			[3]string{f.ask(5, controller.GrantLease{}), "10.255.1.0/24", "the first block that is free now"},
			[3]string{f.ask(6, controller.GrantLease{SingleIP: true}), "10.255.0.1/32", "the first block is another one now"},
			[3]string{f.ask(3, controller.GrantLease{}), "conflict: cell cell-3: its lease in the database cannot be used: subnet 10.77.1.0/24: outside the configured network [10.255.0.0/16]", "a network that is gone"},
		)
		do(t, f.Store, controller.RemoveCell{Cell: "cell-3", By: "ann"})
		f.are([3]string{f.ask(3, controller.GrantLease{}), "10.255.2.0/24", "when its old lease is removed"})
	})
}
