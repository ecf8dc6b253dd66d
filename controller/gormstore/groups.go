package gormstore

import (
	"fmt"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// groupsOf returns the group ids that the policies' apps have.
func (w *write) groupsOf(policies []api.Policy) (map[flows.AppID]uint16, error) {
	apps := make([]flows.AppID, 0, 2*len(policies))
	for _, p := range policies {
		apps = append(apps, p.From, p.To)
	}
	return w.groups(apps)
}

// groups returns the group ids of those apps that have one.
func (w *write) groups(apps []flows.AppID) (map[flows.AppID]uint16, error) {
	found := make(map[flows.AppID]uint16, len(apps))
	apps = slices.Clone(apps)
	slices.Sort(apps)
	for some := range slices.Chunk(slices.Compact(apps), batch) {
		var rows []groupRow
		if err := w.tx.Where("app IN ?", some).Where("id BETWEEN 1 AND ?", MaxGroup).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("looking up group ids: %w", err)
		}
		for _, row := range rows {
			found[flows.AppID(row.App)] = row.ID
		}
	}
	return found, nil
}

// allocate gives app the next group id, unless it has one. The rows are made
// by createGroups, all at once.
func (w *write) allocate(app flows.AppID, groups map[flows.AppID]uint16) error {
	if groups[app] != 0 {
		return nil
	}
	next, err := w.nextGroup()
	if err != nil {
		return err
	}
	groups[app] = next
	w.did.Groups = append(w.did.Groups, groupBody{Group: next, App: string(app)})
	return nil
}

// nextGroup returns the id after the highest one in use. Ids are not reused: a
// cell that is behind could take one app for another.
func (w *write) nextGroup() (uint16, error) {
	var last uint16
	if n := len(w.did.Groups); n > 0 {
		last = w.did.Groups[n-1].Group
	} else if err := w.tx.Raw("SELECT COALESCE(MAX(id), 0) FROM `groups` WHERE id BETWEEN 1 AND ?", MaxGroup).Scan(&last).Error; err != nil {
		return 0, fmt.Errorf("looking for a free group id: %w", err)
	}
	if flows.GroupID(last) >= w.MaxGroup {
		return 0, api.Exhausted("all %d group ids are in use: no app that has none yet can be named in a policy", w.MaxGroup)
	}
	return last + 1, nil
}

func (w *write) createGroups() error {
	if len(w.did.Groups) == 0 {
		return nil
	}
	rows := make([]groupRow, len(w.did.Groups))
	for i, g := range w.did.Groups {
		rows[i] = groupRow{ID: g.Group, App: g.App}
	}
	if err := w.tx.CreateInBatches(rows, batch).Error; err != nil {
		return fmt.Errorf("assigning group ids: %w", err)
	}
	return nil
}

// assignGroups gives group ids to the apps that have none, as far as they go.
func (w *write) assignGroups(apps []flows.AppID) error {
	groups, err := w.groups(apps)
	if err != nil {
		return err
	}
	var exhausted error
	for _, app := range apps {
		if err := w.allocate(app, groups); err != nil {
			if api.KindOf(err) != api.ErrExhausted {
				return err
			}
			exhausted = fmt.Errorf("app %q stays isolated: %w", app, err)
			break
		}
	}
	if err := w.createGroups(); err != nil {
		return err
	}
	if exhausted != nil {
		return partly{exhausted}
	}
	return nil
}
