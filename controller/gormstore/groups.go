package gormstore

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// groupsOf returns the group ids that the policies' apps have.
func (w *write) groupsOf(policies []api.Policy) (map[flows.AppID]groupRow, error) {
	apps := make([]flows.AppID, 0, 2*len(policies))
	for _, p := range policies {
		apps = append(apps, p.From, p.To)
	}
	return w.groups(apps)
}

// groups returns the rows of those apps that have one, in use or in quarantine.
func (w *write) groups(apps []flows.AppID) (map[flows.AppID]groupRow, error) {
	found := make(map[flows.AppID]groupRow, len(apps))
	apps = slices.Clone(apps)
	slices.Sort(apps)
	for some := range slices.Chunk(slices.Compact(apps), batch) {
		var rows []groupRow
		if err := w.tx.Where("app IN ?", some).Where("id BETWEEN 1 AND ?", MaxGroup).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("looking up group ids: %w", err)
		}
		for _, row := range rows {
			found[flows.AppID(row.App)] = row
		}
	}
	return found, nil
}

// allocate gives app a group id, unless it has one: its old one if that is in
// quarantine, else the lowest that nobody has. What it did is stored by
// storeGroups, all at once.
func (w *write) allocate(app flows.AppID, groups map[flows.AppID]groupRow) error {
	row, has := groups[app]
	switch {
	case has && row.FreedRevision == 0:
		return nil
	case has:
		row.FreedRevision, row.FreedAt = 0, 0
		w.regained = append(w.regained, row.ID)
	default:
		next, err := w.nextGroup()
		if err != nil {
			return err
		}
		row = groupRow{ID: next, App: string(app), Type: controller.AppType}
		w.given = append(w.given, row)
	}
	groups[app] = row
	w.did.Groups = append(w.did.Groups, groupBody{Group: row.ID, App: string(app)})
	return nil
}

// freeIDs is where a write looks for group ids that nobody has.
type freeIDs struct {
	begun bool
	next  int             // the lowest that may be free
	read  int             // up to where taken is known
	taken map[uint16]bool // from where the search began up to read, and what was given
}

// page is how many group ids are looked at with one query.
const page = 4096

// nextGroup returns the lowest id that nobody has. One in quarantine is still
// somebody's: a cell that is behind could take the new app for the old one.
func (w *write) nextGroup() (uint16, error) {
	f := &w.free
	if !f.begun {
		*f = freeIDs{begun: true, next: w.full + 1, read: w.full, taken: map[uint16]bool{}}
	}
	for ; f.next <= int(w.MaxGroup); f.next++ {
		if f.next > f.read {
			var ids []uint16
			f.read = f.next + page - 1
			if err := w.tx.Model(&groupRow{}).Where("id BETWEEN ? AND ?", f.next, f.read).Pluck("id", &ids).Error; err != nil {
				return 0, fmt.Errorf("looking for a free group id: %w", err)
			}
			for _, id := range ids {
				f.taken[id] = true
			}
		}
		if id := uint16(f.next); !f.taken[id] {
			f.taken[id] = true
			f.next++
			return id, nil
		}
	}
	if w.full > 0 { // another hand may have released some
		w.full = 0
		f.next, f.read = 1, 0
		return w.nextGroup()
	}
	return 0, w.exhausted()
}

// exhausted says that no id is left, as upstream does, and when one may be.
func (w *write) exhausted() error {
	var quarantine struct {
		Freed int64
		First int64
	}
	err := w.tx.Raw("SELECT COUNT(*) AS freed, COALESCE(MIN(freed_at), 0) AS first FROM `groups`"+
		" WHERE freed_revision > 0 AND id BETWEEN 1 AND ?", w.MaxGroup).Scan(&quarantine).Error
	switch {
	case err != nil:
		return fmt.Errorf("looking for a free group id: %w", err)
	case quarantine.Freed == 0:
		return api.Exhausted("failed to find available tag: all %d group ids are in use: no app that has none yet can be named in a policy", w.MaxGroup)
	}
	until := time.UnixMilli(quarantine.First).Add(w.Quarantine).UTC().Format(time.RFC3339)
	return api.Exhausted("failed to find available tag: all %d group ids are taken, %d of them in quarantine: the first is released at %s at the earliest,"+
		" once every cell has confirmed that it no longer knows it (weft groups, weft cells)", w.MaxGroup, quarantine.Freed, until)
}

// storeGroups stores what allocate did.
func (w *write) storeGroups() error {
	for some := range slices.Chunk(w.regained, batch) {
		err := w.tx.Model(&groupRow{}).Where("id IN ?", some).Updates(map[string]any{"freed_revision": 0, "freed_at": 0}).Error
		if err != nil {
			return fmt.Errorf("taking group ids out of quarantine: %w", err)
		}
	}
	if len(w.given) == 0 {
		return nil
	}
	if err := w.tx.CreateInBatches(w.given, batch).Error; err != nil {
		return fmt.Errorf("assigning group ids: %w", err)
	}
	return nil
}

// assignTag gives an identity of a type its group id.
func (w *write) assignTag(id flows.AppID, kind string) error {
	kind = cmp.Or(kind, controller.AppType)
	groups, err := w.groups([]flows.AppID{id})
	if err != nil {
		return err
	}
	if row, has := groups[id]; has && cmp.Or(row.Type, controller.AppType) != kind {
		return api.Conflict("%q: its group id is of type %q, not %q", id, row.Type, kind)
	}
	if err := w.allocate(id, groups); err != nil {
		return err
	}
	for i := range w.given {
		w.given[i].Type = kind
	}
	for i := range w.did.Groups {
		w.did.Groups[i].Type = kind
	}
	return w.storeGroups()
}

// assignGroups gives group ids to the apps that have none, as far as they go.
// One that can have its own back gets it, however few there are for the others.
func (w *write) assignGroups(apps []flows.AppID) error {
	groups, err := w.groups(apps)
	if err != nil {
		return err
	}
	var exhausted error
	for _, app := range apps {
		if _, has := groups[app]; !has && exhausted != nil {
			continue
		}
		if err := w.allocate(app, groups); err != nil {
			if api.KindOf(err) != api.ErrExhausted {
				return err
			}
			exhausted = fmt.Errorf("app %q stays isolated: %w", app, err)
		}
	}
	if err := w.storeGroups(); err != nil {
		return err
	}
	if exhausted != nil {
		return partly{exhausted}
	}
	return nil
}
