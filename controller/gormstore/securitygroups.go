package gormstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"gorm.io/gorm/clause"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// readSecurityGroups gives loading.securityGroup its columns.
const readSecurityGroups = "SELECT id, guid, name, rules, staging_default, running_default, staging_spaces, running_spaces FROM security_groups ORDER BY id"

// setSecurityGroups makes groups all that there are. A GUID that is known keeps
// its id; the log gets only what is different. Rows that a hand has broken go.
func (w *write) setSecurityGroups(groups []api.SecurityGroup) error {
	var stored loading
	if err := stored.each(w.tx, readSecurityGroups, stored.securityGroup); err != nil {
		return fmt.Errorf("reading security groups: %w", err)
	}
	had := make(map[string]api.SecurityGroup, len(stored.Events))
	last := uint64(0)
	for _, ev := range stored.Events {
		group := ev.(controller.SecurityGroupSet).Group
		had[group.GUID] = group
		last = max(last, group.ID)
	}
	broken := len(stored.Faults) > 0
	if broken { // which are, no key tells: all are written anew
		if err := w.tx.Where("1 = 1").Delete(&securityGroupRow{}).Error; err != nil {
			return fmt.Errorf("removing broken security groups: %w", err)
		}
	}
	var changed []securityGroupRow
	seen := make(map[string]bool, len(groups))
	for _, g := range groups {
		if seen[g.GUID] {
			return api.Invalid("security group %q is given twice", g.GUID)
		}
		seen[g.GUID] = true
		old, known := had[g.GUID]
		if g.ID = old.ID; !known {
			last++
			g.ID = last
		}
		row, err := columnsOf(g)
		if err != nil {
			return err
		}
		before, err := columnsOf(old)
		if err != nil {
			return err
		}
		if row == before && !broken {
			continue
		}
		changed = append(changed, row)
		if row != before {
			w.did.SecurityGroups = append(w.did.SecurityGroups, g)
		}
	}
	for _, guid := range slices.Sorted(maps.Keys(had)) {
		if !seen[guid] {
			w.did.NoSecurityGroups = append(w.did.NoSecurityGroups, guid)
		}
	}
	for some := range slices.Chunk(w.did.NoSecurityGroups, batch) {
		if err := w.tx.Delete(&securityGroupRow{}, "guid IN ?", some).Error; err != nil {
			return fmt.Errorf("removing security groups: %w", err)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := w.tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(changed, batch).Error; err != nil {
		return fmt.Errorf("storing security groups: %w", err)
	}
	return nil
}

func columnsOf(g api.SecurityGroup) (securityGroupRow, error) {
	row := securityGroupRow{
		ID: g.ID, GUID: g.GUID, Name: g.Name, Rules: g.Rules, StagingDefault: g.StagingDefault, RunningDefault: g.RunningDefault,
	}
	for _, each := range []struct {
		into   *string
		spaces []string
	}{{&row.StagingSpaces, g.StagingSpaces}, {&row.RunningSpaces, g.RunningSpaces}} {
		text, err := json.Marshal(append([]string{}, each.spaces...)) // never null
		if err != nil {
			return row, err
		}
		*each.into = string(text)
	}
	return row, nil
}

func (l *loading) securityGroup(row []any) error {
	id, err := integer("id", row[0], math.MaxInt64)
	if err != nil {
		return fmt.Errorf("security_groups: %q: %w", text(row[1]), err)
	}
	g := api.SecurityGroup{
		ID: id, GUID: text(row[1]), Name: text(row[2]), Rules: text(row[3]),
		StagingDefault: text(row[4]) == "1", RunningDefault: text(row[5]) == "1",
	}
	if g.GUID == "" {
		return fmt.Errorf("security_groups: id %d: it has no guid", id)
	}
	for _, each := range []struct {
		name  string
		value any
		into  *[]string
	}{{"staging_spaces", row[6], &g.StagingSpaces}, {"running_spaces", row[7], &g.RunningSpaces}} {
		if err := json.Unmarshal([]byte(text(each.value)), each.into); err != nil {
			return fmt.Errorf("security_groups: id %d: %s: %w", id, each.name, err)
		}
	}
	l.Events = append(l.Events, controller.SecurityGroupSet{Group: g})
	return nil
}
