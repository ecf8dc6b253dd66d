package cellagent

import (
	"context"
	"slices"

	"github.com/weft-sdn/weft/flows"
)

// audit is a comparison of what the switch acknowledged with what it holds. It
// goes on beside the agent's work: a large table takes a tenth of a second, or
// where it differs and is dumped and parsed some tenths, and no change is to wait
// for that.
type audit struct {
	touched map[flows.Flow]bool // changed since it began, by key: says nothing
}

// key is what identifies a flow to the switch.
func key(f flows.Flow) flows.Flow {
	return flows.Flow{Table: f.Table, Priority: f.Priority, Match: f.Match}
}

// touch notes what a bundle changes while an audit is under way.
func (x *audit) touch(changed ...flows.Flow) {
	if x == nil {
		return
	}
	for _, f := range changed {
		x.touched[key(f)] = true
	}
}

// differ reports whether flows of which nobody changed anything are among these.
func (x *audit) differ(list []flows.Flow) bool {
	return slices.ContainsFunc(list, func(f flows.Flow) bool { return !x.touched[key(f)] })
}

// startAudit begins one, unless one is under way.
func (a *Agent) startAudit() {
	if a.audit != nil {
		return
	}
	x, sw, held := &audit{touched: map[flows.Flow]bool{}}, a.sw, a.held.list()
	a.audit = x
	a.spawn(func(ctx context.Context) {
		have, same, err := sw.Compare(ctx, held)
		var missing, foreign []flows.Flow
		if err == nil && !same {
			missing, foreign = flows.Diff(have, flows.Union(held))
		}
		a.post(ctx, func() {
			if a.audit == x { // else the switch was lost, and all will be compared
				a.audit = nil
				a.audited(err, x.differ(missing) || x.differ(foreign))
			}
		})
	})
}

// audited has the whole table compared, and repaired, where there is cause.
func (a *Agent) audited(err error, differs bool) {
	if err != nil || differs {
		a.suspect = true
		return
	}
	a.counts.Reconciles++
}
