package gormstore

import (
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// batch bounds the variables of one statement.
const batch = 200

// addPolicies adds those that do not exist, and group ids for their apps.
func (w *write) addPolicies(policies []api.Policy) error {
	groups, err := w.groupsOf(policies)
	if err != nil {
		return err
	}
	seen := map[api.Policy]bool{}
	var rows []policyRow
	for _, p := range policies {
		p.ID = 0
		if seen[p] {
			continue
		}
		seen[p] = true
		if _, exists, err := w.find(p, groups); err != nil || exists {
			if err != nil {
				return err
			}
			continue
		}
		for _, app := range []flows.AppID{p.From, p.To} {
			if err := w.allocate(app, groups); err != nil {
				return err
			}
		}
		w.lock.Policy++
		row := policyRow{
			ID: w.lock.Policy, SourceGroup: groups[p.From].ID, DestinationGroup: groups[p.To].ID,
			Protocol: uint8(p.Protocol), FirstPort: p.Ports.First, LastPort: p.Ports.Last, Revision: w.lock.Revision + 1,
		}
		rows = append(rows, row)
		w.did.Add = append(w.did.Add, row.body(p))
	}
	if err := w.storeGroups(); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	if err := w.tx.CreateInBatches(rows, batch).Error; err != nil {
		return fmt.Errorf("adding policies: %w", err)
	}
	return nil
}

// removePolicies removes those that exist.
func (w *write) removePolicies(policies []api.Policy) error {
	groups, err := w.groupsOf(policies)
	if err != nil {
		return err
	}
	gone := map[uint64]bool{}
	for _, p := range policies {
		row, exists, err := w.find(p, groups)
		if err != nil {
			return err
		}
		if !exists || gone[row.ID] {
			continue
		}
		gone[row.ID] = true
		if err := w.tx.Delete(&policyRow{ID: row.ID}).Error; err != nil {
			return fmt.Errorf("removing policy %d: %w", row.ID, err)
		}
		w.did.Remove = append(w.did.Remove, row.body(p))
	}
	return nil
}

// find looks a policy up by its contents.
func (w *write) find(p api.Policy, groups map[flows.AppID]groupRow) (row policyRow, exists bool, err error) {
	from, to := groups[p.From].ID, groups[p.To].ID
	if from == 0 || to == 0 {
		return row, false, nil // no policy names an app without a group id
	}
	err = w.tx.Where(
		"source_group = ? AND destination_group = ? AND protocol = ? AND first_port = ? AND last_port = ?",
		from, to, uint8(p.Protocol), p.Ports.First, p.Ports.Last,
	).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, false, nil
	}
	if err != nil {
		return row, false, fmt.Errorf("looking up a policy: %w", err)
	}
	return row, true, nil
}

func (row policyRow) body(p api.Policy) policyBody {
	return policyBody{
		ID: row.ID, From: string(p.From), To: string(p.To), FromGroup: row.SourceGroup, ToGroup: row.DestinationGroup,
		Protocol: row.Protocol, First: row.FirstPort, Last: row.LastPort,
	}
}
