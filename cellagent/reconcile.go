package cellagent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// install brings the switch to what is wanted, in at most one bundle per way:
// by the fragments that changed where we know what the switch holds, else by
// comparing everything. Knowledge of the switch (held) only saves
// work: it is dropped with the connection, after every failure, and checked
// against the switch at each reconcile_interval (audit).
func (a *Agent) install(ctx context.Context) {
	var have flows.Table
	if !a.want.complete {
		var resorted bool
		if have, resorted = a.resort(ctx); !resorted {
			return
		}
	}
	verify := a.verify
	if a.verify = false; a.blocked && !verify {
		return
	}
	err := a.installChanges(ctx)
	switch {
	case err != nil:
	case a.held == nil, a.suspect:
		err = a.reconcile(ctx, have)
	case verify:
		a.startAudit()
	}
	var refused *RefusedError
	a.blocked = errors.As(err, &refused)
	if err != nil {
		a.held = nil
	}
	a.fault("apply", err)
	a.settle(err)
}

// resort reports whether the last good table has become what is wanted while no
// controller has said anything yet, and returns what the switch holds where that
// is not the same. There are two cases: the switch lost its
// flows, or it holds just that table, so that going on from it changes nothing
// but what containers that ended left behind. A switch that holds anything
// else is left as it is, since it may be newer.
func (a *Agent) resort(ctx context.Context) (have flows.Table, resorted bool) {
	base, known := a.fallback.fragments[flows.BaseKey()]
	if !known || a.looked {
		return nil, false
	}
	admissible := a.admissible(a.fallback)
	have, same, err := a.sw.Compare(ctx, admissible.list())
	if a.fault("apply", err) {
		return nil, false
	}
	a.looked = true
	switch {
	case same, a.isFallback(have, admissible):
		a.log.Info("the switch holds the last good table", "revision", a.fallback.revision)
	case slices.ContainsFunc(have, func(f flows.Flow) bool { return slices.Contains(base.Flows, f) }):
		return nil, false
	default:
		a.log.Warn("the switch lost its flows and the controller is away: the last good table is installed", "revision", a.fallback.revision)
		a.counts.LastGoodInstalls++
	}
	a.want, a.fallback = a.fallback, desired{}
	if same {
		a.agree(admissible)
	}
	return have, true
}

// isFallback reports whether what the switch holds is the last good table, but for
// containers that have ended since.
func (a *Agent) isFallback(have flows.Table, admissible fragments) bool {
	missing, _ := flows.Diff(have, a.table(admissible))
	_, foreign := flows.Diff(have, a.table(a.fallback.fragments))
	return len(missing)+len(foreign) == 0
}

// admits reports whether a fragment may be in this cell's switch now.
func (a *Agent) admits(f flows.Fragment) bool {
	if a.alone() && len(f.Flows) > 0 && f.Flows[0].Cookie.Kind() == flows.KindCell {
		return false
	}
	return a.seen.admits(f)
}

// installChanges applies the difference of the dirty fragments.
func (a *Agent) installChanges(ctx context.Context) error {
	if a.held == nil || len(a.dirty) == 0 {
		return nil
	}
	var before, after []flows.Fragment
	gone := make([]flows.FragmentKey, 0, len(a.dirty))
	for key := range a.dirty {
		if f, holds := a.held[key]; holds {
			before = append(before, f)
		}
		if f, wanted := a.want.fragments[key]; wanted && a.admits(f) {
			after = append(after, f)
		} else {
			gone = append(gone, key)
		}
	}
	add, remove := flows.Diff(flows.Union(before), flows.Union(after))
	if err := a.apply(ctx, add, remove); err != nil {
		return err
	}
	for _, key := range gone {
		delete(a.held, key)
	}
	for _, f := range after {
		a.held[f.Key] = f
	}
	clear(a.dirty)
	return nil
}

// reconcile has no memory: it compares what the switch holds, unless somebody has
// just read that, and makes it what is wanted. What is there and not wanted is
// removed: the bridge is ours alone.
func (a *Agent) reconcile(ctx context.Context, have flows.Table) (err error) {
	wanted, same := a.admissible(a.want), false
	if have == nil {
		if have, same, err = a.sw.Compare(ctx, wanted.list()); err != nil {
			return err
		}
	}
	if !same {
		if err := a.repair(ctx, have, a.table(wanted)); err != nil {
			return err
		}
	}
	a.agree(wanted)
	return nil
}

// agree notes that the switch holds these fragments, which are wanted, and nothing
// else.
func (a *Agent) agree(wanted fragments) {
	a.counts.Reconciles++
	a.held, a.suspect = wanted, false
	clear(a.dirty)
}

// repair turns what the switch holds into the table.
func (a *Agent) repair(ctx context.Context, have, table flows.Table) error {
	add, remove := flows.Diff(have, table)
	if a.held != nil && len(add)+len(remove) > 0 {
		a.counts.Drift += uint64(len(add) + len(remove))
		a.log.Warn("the switch differed from what it acknowledged; repairing", "missing", firstFlows(add), "foreign", firstFlows(remove))
	}
	if err := a.apply(ctx, add, remove); err != nil {
		return err
	}
	if len(remove) == 0 {
		return nil
	}
	return a.sweep(ctx, remove, table)
}

// sweep replaces the table if something is still there after its removal: a dump does not tell all
// of every match (Open vSwitch prints tun_gbp_flags without its mask), and what
// it tells of such a flow is no flow of the switch.
func (a *Agent) sweep(ctx context.Context, removed []flows.Flow, table flows.Table) error {
	have, err := a.sw.DumpFlows(ctx)
	if err != nil {
		return err
	}
	_, foreign := flows.Diff(have, table)
	gone := make(map[flows.Flow]bool, len(removed))
	for _, f := range removed {
		gone[f] = true
	}
	foreign = slices.DeleteFunc(foreign, func(f flows.Flow) bool { return !gone[f] })
	if len(foreign) == 0 {
		return nil
	}
	a.log.Warn("foreign flows cannot be removed by what a dump tells of them: the table is replaced", "foreign", firstFlows(foreign))
	if err := a.sw.Replace(ctx, table); err != nil {
		return fmt.Errorf("replace the table by revision %d: %w", a.want.revision, err)
	}
	a.counts.Bundles++
	a.counts.OfctlBundles++
	return nil
}

// admissible is a table without what may not be in the switch now.
func (a *Agent) admissible(table desired) fragments {
	out := make(fragments, len(table.fragments))
	for key, f := range table.fragments {
		if a.admits(f) {
			out[key] = f
		}
	}
	return out
}

// table joins fragments.
func (a *Agent) table(parts fragments) flows.Table {
	return flows.Union(parts.list())
}

// apply sends one bundle, if there is anything to send.
func (a *Agent) apply(ctx context.Context, add, remove []flows.Flow) error {
	if len(add)+len(remove) == 0 {
		return nil
	}
	start := time.Now()
	a.audit.touch(add...)
	a.audit.touch(remove...)
	if err := a.sw.Apply(ctx, add, remove); err != nil {
		return fmt.Errorf("apply revision %d: %w", a.want.revision, err)
	}
	a.notices.tracker.revoke(remove)
	a.counts.Bundles++
	a.counts.FlowMods += uint64(len(add) + len(remove))
	a.log.Info("applied", "revision", a.want.revision, "add", len(add), "remove", len(remove), "took", time.Since(start).Round(time.Microsecond))
	return nil
}

// settle keeps the table for the next time the switch loses it, and then tells
// the controller what the switch answered: a policy whose removal was
// acknowledged must not come back from the file.
func (a *Agent) settle(failure error) {
	var refused *RefusedError
	if failure != nil && !errors.As(failure, &refused) {
		return // the switch did not answer; it may yet
	}
	if failure == nil {
		a.applied = a.want.revision
		if err := a.lastGood.keep(a.want, a.journal); !a.fault("disk", err) {
			a.journal = nil
		}
	}
	if s := a.stream; s != nil && s.seq > s.acked {
		s.outbox.acknowledge(s.seq, failure)
		s.acked = s.seq
	}
}

// maxJournal bounds the messages kept in memory while the switch is away.
const maxJournal = 256

// record notes a message for the file of the last good table. From a snapshot
// on, the file is written whole.
func (a *Agent) record(msg api.Message) {
	if msg.Type == api.TypeSnapshot || len(a.journal) >= maxJournal {
		a.journal = []api.Message{{Type: api.TypeSnapshot}}
		return
	}
	a.journal = append(a.journal, msg)
}

// firstFlows is a taste of many, for the log.
func firstFlows(all []flows.Flow) []string {
	var out []string
	for _, f := range all[:min(len(all), 3)] {
		out = append(out, f.String())
	}
	if len(all) > 3 {
		out = append(out, fmt.Sprintf("and %d more", len(all)-3))
	}
	return out
}
