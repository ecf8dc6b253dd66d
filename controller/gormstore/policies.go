package gormstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm/clause"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

const (
	batch   = 200 // bounds the rows, or the values of a list, of one statement
	lookups = 100 // bounds the policies of one query
)

// changes is what a write is to do with policies.
type changes struct {
	add      []api.PolicySpec
	remove   []api.Policy
	describe bool // those of add that exist get its description
	order    api.Order
}

// plain are policies that nothing describes.
func plain(policies []api.Policy) []api.PolicySpec {
	specs := make([]api.PolicySpec, len(policies))
	for i, p := range policies {
		specs[i].Policy = p
	}
	return specs
}

// contents is what a policy is, by which the database finds it.
type contents struct {
	source, destination uint16
	protocol            uint8
	first, last         uint16
}

func (row policyRow) contents() contents {
	return contents{row.SourceGroup, row.DestinationGroup, row.Protocol, row.FirstPort, row.LastPort}
}

// contentsOf is false of a policy with an app that has no group id: there is
// none.
func contentsOf(p api.Policy, groups map[flows.AppID]groupRow) (contents, bool) {
	from, to := groups[p.From].ID, groups[p.To].ID
	return contents{from, to, uint8(p.Protocol), p.Ports.First, p.Ports.Last}, from != 0 && to != 0
}

// changePolicies adds those that do not exist, with group ids for their apps,
// describes those that do, and removes the others.
func (w *write) changePolicies(c changes) error {
	if seen := c.order.IfRevision; seen != nil && uint64(*seen) != w.lock.PoliciesRevision {
		return api.Outdated("the policies have changed since revision %d: the latest is %d", *seen, w.lock.PoliciesRevision)
	}
	add, err := distinct(c)
	if err != nil {
		return err
	}
	all := slices.Clone(c.remove)
	for _, p := range add {
		all = append(all, p.Policy)
	}
	groups, err := w.groupsOf(all)
	if err != nil {
		return err
	}
	there, err := w.find(all, groups)
	if err != nil {
		return err
	}
	if err := w.removePolicies(c.remove, groups, there); err != nil {
		return err
	}
	var described, added []policyRow
	for _, p := range add {
		key, known := contentsOf(p.Policy, groups)
		row, exists := there[key]
		about, err := columns(p.About)
		switch {
		case err != nil:
			return err
		case known && exists && c.describe && !row.describedBy(about):
			row.describe(about)
			described = append(described, row)
			w.did.Describe = append(w.did.Describe, row.body(p))
		case known && exists:
		default:
			for _, app := range []flows.AppID{p.From, p.To} {
				if err := w.allocate(app, groups); err != nil {
					return err
				}
			}
			w.lock.Policy++
			row := policyRow{
				ID: w.lock.Policy, SourceGroup: groups[p.From].ID, DestinationGroup: groups[p.To].ID,
				Protocol: uint8(p.Protocol), FirstPort: p.Ports.First, LastPort: p.Ports.Last, Revision: w.lock.Revision + 1,
				Creator: c.order.By, Created: w.now.UnixMilli(),
			}
			row.describe(about)
			added = append(added, row)
			w.did.Add = append(w.did.Add, row.body(p))
		}
	}
	if err := w.checkQuota(c.order.MaxPerSource); err != nil {
		return err
	}
	if err := w.storeGroups(); err != nil {
		return err
	}
	return w.storePolicies(added, described)
}

// distinct returns what is to be added, each once.
func distinct(c changes) ([]api.PolicySpec, error) {
	seen := make(map[api.Policy]api.About, len(c.add))
	add := make([]api.PolicySpec, 0, len(c.add))
	for _, p := range c.add {
		p.ID = 0
		if about, is := seen[p.Policy]; !is {
			seen[p.Policy] = p.About
			add = append(add, p)
		} else if !equal(about, p.About) {
			return nil, api.Invalid("policy %s is given twice, with different descriptions", words(p.Policy))
		}
	}
	for _, p := range c.remove {
		p.ID = 0
		if _, is := seen[p]; is {
			return nil, api.Invalid("policy %s is to be both added and removed", words(p))
		}
	}
	return add, nil
}

func equal(a, b api.About) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Set == b.Set && maps.Equal(a.Labels, b.Labels)
}

func words(p api.Policy) string {
	return fmt.Sprintf("from %q to %q, %s %d-%d", p.From, p.To, p.Protocol, p.Ports.First, p.Ports.Last)
}

// removePolicies removes those of policies that are there.
func (w *write) removePolicies(policies []api.Policy, groups map[flows.AppID]groupRow, there map[contents]policyRow) error {
	var gone []uint64
	for _, p := range policies {
		key, known := contentsOf(p, groups)
		row, exists := there[key]
		if !known || !exists {
			continue
		}
		delete(there, key)
		gone = append(gone, row.ID)
		w.did.Remove = append(w.did.Remove, row.body(api.PolicySpec{Policy: p}))
	}
	for some := range slices.Chunk(gone, batch) {
		if err := w.tx.Delete(&policyRow{}, "id IN ?", some).Error; err != nil {
			return fmt.Errorf("removing policies: %w", err)
		}
	}
	return nil
}

// find looks policies up by their contents.
func (w *write) find(policies []api.Policy, groups map[flows.AppID]groupRow) (map[contents]policyRow, error) {
	keys := make([]contents, 0, len(policies))
	for _, p := range policies {
		if key, known := contentsOf(p, groups); known {
			keys = append(keys, key)
		}
	}
	found := make(map[contents]policyRow, len(keys))
	for some := range slices.Chunk(keys, lookups) {
		const one = "(source_group = ? AND destination_group = ? AND protocol = ? AND first_port = ? AND last_port = ?)"
		values := make([]any, 0, 5*len(some))
		for _, k := range some {
			values = append(values, k.source, k.destination, k.protocol, k.first, k.last)
		}
		var rows []policyRow
		if err := w.tx.Where(strings.Repeat(one+" OR ", len(some)-1)+one, values...).Find(&rows).Error; err != nil {
			return nil, fmt.Errorf("looking up policies: %w", err)
		}
		for _, row := range rows {
			found[row.contents()] = row
		}
	}
	return found, nil
}

// checkQuota refuses more than most policies with one source, of those sources
// for which the write adds any. 0: no bound. What was removed is no longer there.
func (w *write) checkQuota(most int) error {
	if most == 0 {
		return nil
	}
	adds, apps := map[uint16]int{}, map[uint16]string{}
	for _, p := range w.did.Add {
		adds[p.FromGroup]++
		apps[p.FromGroup] = p.From
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(adds)), batch) {
		var counts []struct {
			SourceGroup uint16
			Policies    int
		}
		err := w.tx.Raw("SELECT source_group, COUNT(*) AS policies FROM policies WHERE source_group IN ? GROUP BY source_group", some).Scan(&counts).Error
		if err != nil {
			return fmt.Errorf("counting policies: %w", err)
		}
		for _, c := range counts {
			adds[c.SourceGroup] += c.Policies
		}
	}
	for _, group := range slices.Sorted(maps.Keys(adds)) {
		if adds[group] > most {
			return api.Quota("app %q would be the source of %d policies, more than the %d that it may have", apps[group], adds[group], most)
		}
	}
	return nil
}

func (w *write) storePolicies(added, described []policyRow) error {
	if len(added) > 0 {
		if err := w.tx.CreateInBatches(added, batch).Error; err != nil {
			return fmt.Errorf("adding policies: %w", err)
		}
	}
	if len(described) > 0 {
		update := clause.OnConflict{
			Columns:   []clause.Column{{Name: "id"}},
			DoUpdates: clause.AssignmentColumns([]string{"name", "description", "set_name", "labels"}),
		}
		if err := w.tx.Clauses(update).CreateInBatches(described, batch).Error; err != nil {
			return fmt.Errorf("describing policies: %w", err)
		}
	}
	return nil
}

// columns is what describes a policy, as its row has it.
func columns(about api.About) (policyRow, error) {
	row := policyRow{Name: about.Name, Description: about.Description, SetName: about.Set}
	if len(about.Labels) > 0 {
		text, err := json.Marshal(about.Labels)
		if err != nil {
			return row, err
		}
		row.Labels = new(string(text))
	}
	return row, nil
}

func (row policyRow) describedBy(about policyRow) bool {
	labels := func(r policyRow) string {
		if r.Labels == nil {
			return ""
		}
		return *r.Labels
	}
	return row.Name == about.Name && row.Description == about.Description && row.SetName == about.SetName && labels(row) == labels(about)
}

func (row *policyRow) describe(about policyRow) {
	row.Name, row.Description, row.SetName, row.Labels = about.Name, about.Description, about.SetName, about.Labels
}

func (row policyRow) body(p api.PolicySpec) policyBody {
	return policyBody{
		ID: row.ID, From: string(p.From), To: string(p.To), FromGroup: row.SourceGroup, ToGroup: row.DestinationGroup,
		Protocol: row.Protocol, First: row.FirstPort, Last: row.LastPort,
		Name: p.Name, Description: p.Description, Set: p.Set, Labels: p.Labels,
	}
}
