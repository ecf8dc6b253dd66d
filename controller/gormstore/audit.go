package gormstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Audit lists changes, newest first. It reads no more entries than it returns:
// app_changes leads to those of an app, changes_by to those of a caller. With
// both it reads those of the app. An entry that cannot be read is listed and
// says so.
func (s *Store) Audit(ctx context.Context, query api.AuditQuery) ([]api.AuditEntry, error) {
	find := s.db.WithContext(ctx).Limit(query.Limit)
	revision := "changes.revision"
	if query.App != "" {
		revision = "app_changes.revision"
		find = find.Joins("JOIN app_changes ON app_changes.revision = changes.revision").Where("app_changes.app = ?", query.App)
	}
	switch {
	case query.By != "" && query.App != "": // COALESCE keeps the database from going through all that the caller ever did
		find = find.Where("COALESCE(changes.`by`, '') = ?", query.By)
	case query.By != "":
		find = find.Where("changes.`by` = ?", query.By)
	}
	if query.Before != 0 {
		find = find.Where(revision+" < ?", uint64(query.Before))
	}
	rows, err := s.entries(find.Order(revision + " DESC"))
	if err != nil {
		return nil, classify(fmt.Errorf("reading the change log: %w", err))
	}
	entries := make([]api.AuditEntry, 0, len(rows))
	for _, row := range rows {
		entries = append(entries, row.entry())
	}
	return entries, nil
}

func (row changeRow) entry() api.AuditEntry {
	at := time.UnixMilli(row.At).UTC()
	entry := api.AuditEntry{Revision: row.Revision, At: at, By: row.By}
	did, err := decodeBody(row.Body)
	if err != nil {
		entry.Other = "this entry of the log is broken: " + err.Error()
		return entry
	}
	for _, p := range did.Add {
		detail := p.detail()
		detail.Creator, detail.Created = row.By, &at
		entry.Added = append(entry.Added, detail)
	}
	for _, p := range did.Remove {
		entry.Removed = append(entry.Removed, p.detail())
	}
	for _, p := range did.Describe {
		entry.Updated = append(entry.Updated, p.detail())
	}
	entry.Logging, entry.Other = did.Logging, did.other()
	return entry
}

// other says what a write did beside policies and logging.
func (b body) other() string {
	var words []string
	for _, each := range []struct {
		what   string
		groups []groupBody
	}{{"group ids assigned", b.Groups}, {"group ids freed", b.Freed}, {"group ids released", b.Released}} {
		if len(each.groups) > 0 {
			list := make([]string, 0, len(each.groups))
			for _, g := range each.groups {
				list = append(list, fmt.Sprintf("%04X %s", g.Group, g.App))
			}
			words = append(words, each.what+": "+strings.Join(list, ", "))
		}
	}
	words = append(words, b.leaseWords()...)
	if len(b.SecurityGroups) > 0 {
		names := make([]string, 0, len(b.SecurityGroups))
		for _, g := range b.SecurityGroups {
			names = append(names, g.Name+" "+g.GUID)
		}
		words = append(words, "security groups set: "+strings.Join(names, ", "))
	}
	if len(b.NoSecurityGroups) > 0 {
		words = append(words, "security groups removed: "+strings.Join(b.NoSecurityGroups, ", "))
	}
	return strings.Join(words, "; ")
}

// leaseWords says what a write did to leases and drains.
func (b body) leaseWords() (words []string) {
	switch {
	case b.Drain == nil:
	case b.Drain.On:
		words = append(words, fmt.Sprintf("cell %s is to be drained", b.Drain.Cell))
	default:
		words = append(words, fmt.Sprintf("cell %s is not to be drained any more", b.Drain.Cell))
	}
	for _, ended := range b.Ended {
		switch {
		case ended.Why == unrenewed:
			words = append(words, fmt.Sprintf("lease of cell %s expired: %s", ended.Cell, ended.Subnet))
		case ended.Subnet == "":
			words = append(words, fmt.Sprintf("cell %s %s", ended.Cell, ended.Why))
		default:
			words = append(words, fmt.Sprintf("cell %s %s: its lease of %s has ended", ended.Cell, ended.Why, ended.Subnet))
		}
	}
	if b.Lease != nil {
		words = append(words, fmt.Sprintf("lease of cell %s: %s at %s", b.Lease.Cell, b.Lease.Subnet, b.Lease.VTEP))
	}
	if len(b.Returned) > 0 {
		words = append(words, "cells back: "+strings.Join(b.Returned, ", "))
	}
	return words
}

func (p policyBody) detail() api.PolicyDetail {
	return api.PolicyDetail{
		PolicyRequest: api.PolicyRequest{
			Source: p.From, Destination: p.To, Protocol: flows.Protocol(p.Protocol).String(), Ports: api.Ports{Start: int(p.First), End: int(p.Last)},
			Name: p.Name, Description: p.Description, Labels: p.Labels,
		},
		ID: p.ID, Set: p.Set, Cookie: flows.PolicyCookie(flows.PolicyID(p.ID)).String(),
	}
}
