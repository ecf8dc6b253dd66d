package gormstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// storm is everything that happens to leases at once: more cells than there are
// blocks ask, keep, and are away; others expire, drain and remove them; writes
// are given up in the middle, through any of several stores.
type storm struct {
	t      *testing.T
	seed   uint64
	stores []*Store

	mu    sync.Mutex
	acked []ack
	done  map[string]int // writes that were acknowledged, by the type of their command; and "made way": leases that did
}

// ack is what a caller was told of a write.
type ack struct {
	cmd      controller.Command
	revision api.Revision // 0: nothing had to change
	told     netip.Prefix // of GrantLease: the cell's lease; zero: it was gone again
	low      api.Revision // of the database before, and after it was told
	high     api.Revision
}

const (
	stormCells  = 10
	stormRounds = 60
)

func newStorm(t *testing.T, stores []*Store) *storm {
	s := &storm{t: t, seed: rand.Uint64(), stores: stores, done: map[string]int{}}
	t.Logf("seed %d", s.seed)
	return s
}

// stormOptions has six blocks for ten cells.
func stormOptions() Options {
	o := options()
	o.Networks, o.Now = []netip.Prefix{subnet("10.255.0.0/22"), subnet("10.77.0.0/22")}, time.Now
	return o
}

// player does random things through random stores.
type player struct {
	*storm
	*rand.Rand
	answered int // how often the database has
}

func (s *storm) player(n int) *player {
	return &player{storm: s, Rand: rand.New(rand.NewPCG(s.seed, uint64(n)))}
}

// plays reports whether the player goes on: until the database has answered so
// often, however long it was away.
func (p *player) plays(rounds int) bool {
	return p.answered < rounds && p.t.Context().Err() == nil && !p.t.Failed()
}

// unanswered lets some time go by before it is tried again.
func (p *player) unanswered() (netip.Prefix, bool) {
	time.Sleep(5 * time.Millisecond)
	return netip.Prefix{}, false
}

// run plays all parts at once, and what else there is beside them, until over.
func (s *storm) run(beside ...func(over <-chan struct{})) {
	var playing, watching sync.WaitGroup
	over := make(chan struct{})
	for n := range stormCells {
		playing.Go(func() { s.player(n).cell(n) })
	}
	for n := range 2 {
		playing.Go(func() { s.player(100 + n).operator() })
	}
	for _, part := range beside {
		watching.Go(func() { part(over) })
	}
	watching.Go(func() {
		for p := s.player(200); ; {
			select {
			case <-over:
				return
			default:
				if rows, err := readLeases(p.store().db.WithContext(s.t.Context())); err == nil {
					s.disjoint(rows, "at one moment")
				}
			}
		}
	})
	playing.Wait()
	close(over)
	watching.Wait()
}

func (p *player) store() *Store { return p.stores[p.IntN(len(p.stores))] }

// write writes, and gives up in the middle now and then.
func (p *player) write(cmd controller.Command) (told netip.Prefix, acknowledged bool) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	store := p.store()
	low, known := revisionOf(ctx, store)
	if !known {
		return p.unanswered()
	}
	writing := ctx
	if p.IntN(5) == 0 {
		var give context.CancelFunc
		writing, give = context.WithTimeout(ctx, time.Duration(p.IntN(3000))*time.Microsecond)
		defer give()
	}
	revision, err := store.Write(writing, cmd)
	if api.KindOf(err) == api.ErrUnavailable {
		return p.unanswered()
	}
	p.answered++
	switch kind := api.KindOf(err); {
	case err == nil:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), kind == api.ErrConflict, kind == api.ErrExhausted, kind == api.ErrNotFound:
		return told, false
	default:
		p.t.Errorf("%+v: %v", cmd, err)
		return told, false
	}
	if grant, is := cmd.(controller.GrantLease); is {
		rows, err := readLeases(store.db.WithContext(ctx))
		if err != nil {
			return told, false // it was not told
		}
		for _, row := range rows {
			if row.Cell == string(grant.Cell) {
				told = row.prefix()
			}
		}
	}
	high, known := revisionOf(ctx, store)
	if !known {
		return told, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked = append(p.acked, ack{cmd, revision, told, low, high})
	p.done[fmt.Sprintf("%T", cmd)]++
	return told, true
}

// more waits until so many more writes have been acknowledged. False: it is over.
func (s *storm) more(writes int, over <-chan struct{}) bool {
	acknowledged := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.acked)
	}
	for target := acknowledged() + writes; acknowledged() < target; time.Sleep(time.Millisecond) {
		select {
		case <-over:
			return false
		default:
		}
	}
	return true
}

func revisionOf(ctx context.Context, s *Store) (api.Revision, bool) {
	var lock lockRow
	err := s.db.WithContext(ctx).First(&lock, 1).Error
	return api.Revision(lock.Revision), err == nil
}

func stormCell(n int) flows.CellID { return flows.CellID(fmt.Sprintf("cell-%d", n)) }

// cell asks for a lease again and again, as an agent that restarts: with what it
// was told last, and with containers in it or not. A cell that has containers
// gets the subnet of these, or none.
func (p *player) cell(n int) {
	var has netip.Prefix
	for p.plays(stormRounds) {
		if p.IntN(4) == 0 {
			p.write(controller.RenewLeases{Cells: []flows.CellID{stormCell(n)}})
			continue
		}
		grant := controller.GrantLease{Cell: stormCell(n), VTEP: netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + n)}), Subnet: has}
		switch {
		case p.IntN(10) == 0:
			grant.VTEP = netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + p.IntN(stormCells))}) // perhaps another's
		case has.IsValid() && !has.IsSingleIP():
			grant.Containers = p.IntN(2)
		}
		grant.SingleIP = grant.Containers == 0 && p.IntN(6) == 0
		told, acknowledged := p.write(grant)
		if !acknowledged || !told.IsValid() {
			continue
		}
		if grant.Containers > 0 && told != has {
			p.t.Errorf("cell-%d runs containers in %s, and was told that its lease is %s", n, has, told)
		}
		if grant.SingleIP != told.IsSingleIP() {
			p.t.Errorf("cell-%d asked for a single address: %v, and was told %s", n, grant.SingleIP, told)
		}
		if p.IntN(6) > 0 { // or the answer was lost on its way
			has = told
		}
	}
}

// operator expires, confirms, drains, lets in and removes cells.
func (p *player) operator() {
	for p.plays(3 * stormRounds) {
		cell := stormCell(p.IntN(stormCells))
		switch p.IntN(9) {
		case 0, 1, 2:
			renewals, err := p.store().Renewals(p.t.Context())
			if err != nil {
				p.unanswered()
				continue
			}
			some := slices.DeleteFunc(renewals, func(controller.Renewal) bool { return p.IntN(3) > 0 })
			p.write(controller.ExpireLeases{Leases: some})
		case 3, 4:
			p.write(controller.ConfirmReturns{Cells: []flows.CellID{cell}})
		case 5:
			p.write(controller.DrainCell{Cell: cell, By: "ann"})
		case 6:
			p.write(controller.ReleaseDrained{Cells: []flows.CellID{cell}})
		case 7:
			p.write(controller.UndrainCell{Cell: cell, By: "ann"})
		case 8:
			p.write(controller.RemoveCell{Cell: cell, By: "ann"})
		}
	}
}

// disjoint fails if two leases overlap, or share a VTEP.
func (s *storm) disjoint(rows []leaseRow, when string) {
	for i, a := range rows {
		for _, b := range rows[:i] {
			if a.prefix().Overlaps(b.prefix()) || a.VTEP == b.VTEP {
				s.t.Errorf("%s: %s has %s at %s, and %s has %s at %s", when, a.Cell, a.Subnet, a.VTEP, b.Cell, b.Subnet, b.VTEP)
			}
		}
	}
}

// kept fails if a change gives what was kept for a cell that is away to one that
// runs no container, while another subnet was free.
func (s *storm) kept(m *fleetModel, change controller.Change) {
	var to leaseRow
	for _, ev := range change.Events {
		if granted, is := ev.(controller.LeaseGranted); is && !granted.Returning {
			to = leaseRow{Cell: string(granted.Peer.Cell), Subnet: granted.Peer.Lease.String(), VTEP: granted.Peer.VTEP.String()}
		}
	}
	for _, row := range m.rows() {
		if to.Cell == "" || row.Cell == to.Cell || !row.prefix().Overlaps(to.prefix()) || row.VTEP == to.VTEP {
			continue
		}
		s.done["made way"]++
		var taken []netip.Prefix
		for _, other := range m.rows() {
			if other.Cell != to.Cell && other.VTEP != to.VTEP {
				taken = append(taken, other.prefix())
			}
		}
		if free, is := s.stores[0].pool().free(kindOf(to.prefix()), taken); is {
			s.t.Errorf("revision %d: %s, without containers, got %s, which was kept for %s, with %s free", change.Revision, to.Cell, to.Subnet, row.Cell, free)
		}
	}
}

// fleetModel is what the change log says of leases, entry by entry.
type fleetModel struct {
	leases map[string]leaseRow
	drains map[string]bool // true: drained
}

func (m *fleetModel) apply(ev controller.Event) {
	switch ev := ev.(type) {
	case controller.LeaseGranted:
		row := leaseRow{Cell: string(ev.Peer.Cell), Subnet: ev.Peer.Lease.String(), VTEP: ev.Peer.VTEP.String()}
		if ev.Returning {
			row.State = returning
		}
		m.leases[row.Cell] = row
	case controller.LeaseExpired:
		m.turn(ev.Cell, expired)
	case controller.CellReturned:
		m.turn(ev.Cell, inForce)
	case controller.LeaseReleased:
		delete(m.leases, string(ev.Cell))
		if _, draining := m.drains[string(ev.Cell)]; draining {
			m.drains[string(ev.Cell)] = true
		}
	case controller.DrainBegun:
		m.drains[string(ev.Cell)] = false
	case controller.DrainEnded:
		delete(m.drains, string(ev.Cell))
	}
}

func (m *fleetModel) turn(cell flows.CellID, state string) {
	row := m.leases[string(cell)]
	row.State = state
	m.leases[row.Cell] = row
}

func (m *fleetModel) rows() (rows []leaseRow) {
	for _, row := range m.leases {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b leaseRow) int { return strings.Compare(a.Cell, b.Cell) })
	return rows
}

// judge goes through the log: at no revision two leases overlap, and what is kept
// for a cell goes only where nothing else is free; what was acknowledged is in
// it, and what a cell was told is what it had at that time; and in the end the
// tables have what the log says.
func (s *storm) judge(store *Store) {
	s.t.Helper()
	changes, err := store.Changes(s.t.Context(), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	m := &fleetModel{leases: map[string]leaseRow{}, drains: map[string]bool{}}
	had := []map[string]string{{}} // subnet by cell, at each revision
	for i, change := range changes {
		if change.Revision != api.Revision(i+1) {
			s.t.Fatalf("change %d is revision %d", i, change.Revision)
		}
		s.kept(m, change)
		for _, ev := range change.Events {
			m.apply(ev)
		}
		s.disjoint(m.rows(), fmt.Sprintf("at revision %d", change.Revision))
		now := map[string]string{}
		for cell, row := range m.leases {
			now[cell] = row.Subnet
		}
		had = append(had, now)
	}
	s.judgeAcks(changes, had)
	rows, err := readLeases(store.db.WithContext(s.t.Context()))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range rows {
		rows[i].RenewedAt = 0 // not in the log
	}
	if want := m.rows(); !slices.Equal(rows, want) {
		s.t.Errorf("the table has\n%+v\nthe log leads to\n%+v", rows, want)
	}
	var drains []drainRow
	if err := store.db.WithContext(s.t.Context()).Find(&drains).Error; err != nil || len(drains) != len(m.drains) {
		s.t.Errorf("drains %+v, %v; the log leads to %v", drains, err, m.drains)
	}
	for _, row := range drains {
		if done, is := m.drains[row.Cell]; !is || done != (row.Drained != 0) {
			s.t.Errorf("drains %+v; the log leads to %v", drains, m.drains)
		}
	}
}

func (s *storm) judgeAcks(changes []controller.Change, had []map[string]string) {
	s.t.Helper()
	for _, a := range s.acked {
		if int(a.revision) > len(changes) {
			s.t.Errorf("%+v was acknowledged as revision %d, and the log ends at %d", a.cmd, a.revision, len(changes))
			continue
		}
		grant, is := a.cmd.(controller.GrantLease)
		if a.revision != 0 && is && changes[a.revision-1].By != string(grant.Cell) {
			s.t.Errorf("%+v was acknowledged as revision %d, which is %+v", a.cmd, a.revision, changes[a.revision-1])
		}
		if !a.told.IsValid() {
			continue
		}
		if !slices.ContainsFunc(had[a.low:a.high+1], func(at map[string]string) bool { return at[string(grant.Cell)] == a.told.String() }) {
			s.t.Errorf("%s was told %s, which it had at no revision from %d to %d", grant.Cell, a.told, a.low, a.high)
		}
	}
}

// proves fails if the storm was none.
func (s *storm) proves() {
	s.t.Helper()
	s.t.Logf("acknowledged: %v", s.done)
	for _, cmd := range []controller.Command{
		controller.GrantLease{}, controller.RenewLeases{}, controller.ExpireLeases{}, controller.ConfirmReturns{},
		controller.DrainCell{}, controller.UndrainCell{}, controller.ReleaseDrained{}, controller.RemoveCell{},
	} {
		if s.done[fmt.Sprintf("%T", cmd)] == 0 {
			s.t.Errorf("no %T was acknowledged: this proves nothing", cmd)
		}
	}
}

// TestLeaseStorm: whatever happens at once, no two leases overlap at any moment,
// and what a cell was told is so.
func TestLeaseStorm(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		stores := []*Store{open(t, db, stormOptions())}
		if db.server != nil {
			stores = append(stores, open(t, db, stormOptions()), open(t, db, stormOptions()))
		}
		s := newStorm(t, stores)
		s.run()
		s.judge(stores[0])
		s.proves()
	})
}

// TestLeaseStormUnderKills: the same while the database server is killed and
// started again.
func TestLeaseStormUnderKills(t *testing.T) {
	server, err := mariadb.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Remove()
	if err := server.Exec("", "CREATE DATABASE weft"); err != nil {
		t.Fatal(err)
	}
	db := place{dsn: server.DSN("weft"), server: server, schema: "weft"}
	s := newStorm(t, []*Store{open(t, db, stormOptions()), open(t, db, stormOptions())})
	kills := 0
	s.run(func(over <-chan struct{}) {
		for ; s.more(120, over); kills++ {
			server.Kill()
			if err := server.Run(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	s.judge(s.stores[0])
	s.proves()
	if t.Logf("%d kills", kills); kills < 2 {
		t.Errorf("the server was killed %d times: this proves nothing", kills)
	}
}
