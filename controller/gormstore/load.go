package gormstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
)

// loading collects what Load finds.
type loading struct {
	controller.Snapshot
	apps  map[flows.GroupID]flows.AppID
	pool  pool
	peers []flows.Peer
}

// Load reads everything, in one transaction. It trusts no row: those that make
// no sense are in Faults, and the rest is as if they were not there.
func (s *Store) Load(ctx context.Context) (controller.Snapshot, error) {
	l := &loading{apps: map[flows.GroupID]flows.AppID{}, pool: s.pool()}
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var lock lockRow
		if err := tx.First(&lock, 1).Error; err != nil {
			return fmt.Errorf("reading the lock row: %w", err)
		}
		l.Revision = api.Revision(lock.Revision)
		for _, part := range []struct {
			query string
			row   func(cells []any) error
		}{
			{"SELECT id, app, freed_revision, freed_at, type FROM `groups` ORDER BY id", l.group},
			{"SELECT id, source_group, destination_group, protocol, first_port, last_port, name, description, set_name, labels, creator, created FROM policies ORDER BY id", l.policy},
			{"SELECT cell, subnet, vtep, state FROM leases ORDER BY cell", l.lease},
			{"SELECT cell, drained FROM drains ORDER BY cell", l.drain},
			{"SELECT name, value FROM settings ORDER BY name", l.setting},
			{readSecurityGroups, l.securityGroup},
		} {
			if err := l.each(tx, part.query, part.row); err != nil {
				return err
			}
		}
		if marks := (controller.Marks{
			Policies: api.Revision(lock.PoliciesRevision), PoliciesChanged: lock.PoliciesChanged, SecurityGroupsChanged: lock.SecurityGroupsChanged,
		}); marks != (controller.Marks{}) {
			l.Events = append(l.Events, marks)
		}
		return nil
	}, s.snapshot())
	if err != nil {
		return controller.Snapshot{}, fmt.Errorf("loading the database: %w", err)
	}
	return l.Snapshot, nil
}

// each gives every row of a query to parse, column values as the driver has
// them, and collects its complaints.
func (l *loading) each(tx *gorm.DB, query string, parse func([]any) error) error {
	rows, err := tx.Raw(query).Rows()
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		values, err := scan(rows)
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		if err := parse(values); err != nil {
			l.Faults = append(l.Faults, err)
		}
	}
	return rows.Err()
}

func scan(rows *sql.Rows) ([]any, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	return values, rows.Scan(into...)
}

func (l *loading) group(row []any) error {
	id, err := integer("id", row[0], uint64(MaxGroup))
	if err != nil {
		return fmt.Errorf("groups: app %q: %w", text(row[1]), err)
	}
	app := flows.AppID(text(row[1]))
	if row[1] == nil { // PUT tags may have given the empty name an id
		return fmt.Errorf("groups: id %d: it has no app", id)
	}
	l.apps[flows.GroupID(id)] = app
	l.Events = append(l.Events, controller.GroupAssigned{App: app, Group: flows.GroupID(id), Type: text(row[4])})
	if text(row[2]) == "0" {
		return nil
	}
	freed, err := integer("freed_revision", row[2], uint64(l.Revision))
	if err != nil {
		return fmt.Errorf("groups: id %d: %w: it counts as in use", id, err)
	}
	at, err := integer("freed_at", row[3], math.MaxInt64)
	if err != nil {
		return fmt.Errorf("groups: id %d: %w: it counts as in use", id, err)
	}
	l.Events = append(l.Events, controller.GroupFreed{
		Group: flows.GroupID(id), Revision: api.Revision(freed), At: time.UnixMilli(int64(at)),
	})
	return nil
}

func (l *loading) setting(row []any) error {
	if name := text(row[0]); name != loggingSetting {
		return fmt.Errorf("settings: %q: no such setting", name)
	}
	var logging api.Logging
	if err := json.Unmarshal([]byte(text(row[1])), &logging); err != nil {
		return fmt.Errorf("settings: %s: %w: nothing is logged that was accepted", loggingSetting, err)
	}
	l.Events = append(l.Events, controller.LoggingSet{Logging: logging})
	return nil
}

func (l *loading) policy(row []any) error {
	id, err := integer("id", row[0], 1<<60-1)
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	var n [5]uint64
	for i, column := range []struct {
		name string
		most uint64
	}{{"source_group", uint64(MaxGroup)}, {"destination_group", uint64(MaxGroup)}, {"protocol", 255}, {"first_port", 65535}, {"last_port", 65535}} {
		if n[i], err = integer(column.name, row[1+i], column.most); err != nil {
			return fmt.Errorf("policies: id %d: %w", id, err)
		}
	}
	p := policyBody{
		ID: id, FromGroup: uint16(n[0]), ToGroup: uint16(n[1]), Protocol: uint8(n[2]), First: uint16(n[3]), Last: uint16(n[4]),
		From: string(l.apps[flows.GroupID(n[0])]), To: string(l.apps[flows.GroupID(n[1])]),
	}
	switch protocol := flows.Protocol(p.Protocol); {
	case p.From == "" || p.To == "":
		return fmt.Errorf("policies: id %d: source_group %d or destination_group %d is no app's", id, p.FromGroup, p.ToGroup)
	case protocol != flows.TCP && protocol != flows.UDP:
		return fmt.Errorf("policies: id %d: protocol %d: neither tcp (6) nor udp (17)", id, p.Protocol)
	case p.First > p.Last:
		return fmt.Errorf("policies: id %d: first_port %d is above last_port %d", id, p.First, p.Last)
	}
	origin, fault := l.described(&p, row[6:])
	l.Events = append(l.Events, p.event(origin))
	return fault
}

// described reads what describes a policy. What is broken of it is reported,
// and the policy holds without.
func (l *loading) described(p *policyBody, row []any) (api.Origin, error) {
	p.Name, p.Description, p.Set = text(row[0]), text(row[1]), text(row[2])
	origin := api.Origin{Creator: text(row[4])}
	if labels := text(row[3]); labels != "" {
		if err := json.Unmarshal([]byte(labels), &p.Labels); err != nil {
			p.Labels = nil
			return origin, fmt.Errorf("policies: id %d: labels: %w: it holds without", p.ID, err)
		}
	}
	if created := text(row[5]); created != "0" {
		at, err := integer("created", row[5], math.MaxInt64)
		if err != nil {
			return origin, fmt.Errorf("policies: id %d: %w: it holds without", p.ID, err)
		}
		origin.Created = time.UnixMilli(int64(at))
	}
	return origin, nil
}

func (l *loading) lease(row []any) error {
	stored := leaseBody{Cell: text(row[0]), Subnet: text(row[1]), VTEP: text(row[2])}
	peer, err := stored.peer()
	if err == nil {
		err = l.pool.inside(peer.Lease)
	}
	if err != nil {
		return fmt.Errorf("leases: cell %q: %w", stored.Cell, err)
	}
	for _, other := range l.peers {
		if other.Lease.Overlaps(peer.Lease) || other.VTEP == peer.VTEP {
			return fmt.Errorf("leases: cell %q: %s at %s collides with cell %s: %s at %s", peer.Cell, peer.Lease, peer.VTEP, other.Cell, other.Lease, other.VTEP)
		}
	}
	l.peers = append(l.peers, peer)
	state := text(row[3])
	l.Events = append(l.Events, controller.LeaseGranted{Peer: peer, Returning: state == returning})
	switch state {
	case inForce, returning:
	case expired:
		l.Events = append(l.Events, controller.LeaseExpired{Cell: peer.Cell})
	default:
		return fmt.Errorf("leases: cell %q: state %q: it counts as in force", peer.Cell, state)
	}
	return nil
}

// drain reads a cell that is to be drained, or has been: its time is not looked at.
func (l *loading) drain(row []any) error {
	cell := flows.CellID(text(row[0]))
	if err := api.CheckCell(cell); err != nil {
		return fmt.Errorf("drains: %w", err)
	}
	l.Events = append(l.Events, controller.DrainBegun{Cell: cell})
	if text(row[1]) != "0" {
		l.Events = append(l.Events, controller.LeaseReleased{Cell: cell})
	}
	return nil
}

// text reads a column as text, whatever type a hand gave its value.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	}
	return fmt.Sprint(value)
}

// integer reads a column as a number from 1 to most.
func integer(name string, value any, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(text(value), 10, 64)
	if err != nil || n == 0 || n > most {
		return 0, fmt.Errorf("%s %q: want a number from 1 to %d", name, text(value), most)
	}
	return n, nil
}
