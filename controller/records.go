package controller

import (
	"cmp"
	"context"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Records lists all policies with what describes them, in the order of their
// ids, and the revision that last changed any of them. The list is shared with
// other callers until the next change: nobody may change it.
func (s *State) Records() ([]api.PolicyRecord, api.Revision) {
	if s.records == nil {
		s.records = make([]api.PolicyRecord, 0, len(s.policies))
		for _, p := range s.policies {
			s.records = append(s.records, p.record())
		}
		slices.SortFunc(s.records, func(a, b api.PolicyRecord) int { return cmp.Compare(a.ID, b.ID) })
	}
	return s.records, s.marks.Policies
}

func (p PolicyAdded) record() api.PolicyRecord {
	return api.PolicyRecord{Policy: p.Policy(), About: p.About, Origin: p.Origin}
}

// Records lists all policies with what describes them, in the order of their
// ids, and the revision that last changed any of them: all that was
// acknowledged before, on whichever replica.
func (c *Controller) Records(ctx context.Context) (list []api.PolicyRecord, revision api.Revision, err error) {
	if err := c.catchUp(ctx); err != nil {
		return nil, 0, err
	}
	err = c.ask(ctx, func(s *State) { list, revision = s.Records() })
	return list, revision, err
}

// ChangePolicies makes all changes or none, and returns when they are durable.
func (c *Controller) ChangePolicies(ctx context.Context, changes api.PolicyChanges, order api.Order) (api.Revision, error) {
	all := make([]api.Policy, 0, len(changes.Add)+len(changes.Remove))
	for _, p := range changes.Add {
		all = append(all, p.Policy)
	}
	all = append(all, changes.Remove...)
	if err := check(all); err != nil {
		return 0, err
	}
	return c.writePolicies(ctx, ChangePolicies{PolicyChanges: changes, Order: order}, all)
}

// Audit lists changes that people and programs asked for, newest first.
func (c *Controller) Audit(ctx context.Context, query api.AuditQuery) ([]api.AuditEntry, error) {
	return c.store.Audit(ctx, query)
}

// maxBehind bounds how many changes of the log are read for one who follows
// the policies. Who is further behind has to list them anew.
const maxBehind = 1000

// PolicyChanges waits for changes of policies after a revision, and returns
// them, oldest first, with the revision up to which it has looked. It keeps
// nothing for those who follow: their place in the change log is theirs.
func (c *Controller) PolicyChanges(ctx context.Context, after api.Revision) ([]api.AuditEntry, api.Revision, error) {
	for {
		grown := c.reached.next()
		last := api.Revision(c.revision.Load())
		switch {
		case after > last:
			return nil, after, api.Gone("revision %d is newer than the newest, %d: list the policies again", after, last)
		case last-after > maxBehind:
			return nil, after, api.Gone("revision %d is more than %d changes old, the newest is %d: list the policies again", after, maxBehind, last)
		case after < last:
			entries, err := c.entries(ctx, after, last)
			if err != nil {
				return nil, after, err
			}
			if after = last; len(entries) > 0 {
				return entries, after, nil
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, after, ctx.Err()
		case <-c.stopped:
			return nil, after, api.Unavailable("the controller is stopping")
		}
	}
}

// entries reads what the log has of policies after a revision, up to last.
func (c *Controller) entries(ctx context.Context, after, last api.Revision) ([]api.AuditEntry, error) {
	changes, err := c.store.Changes(ctx, after)
	if err != nil {
		return nil, err
	}
	var entries []api.AuditEntry
	err = c.ask(ctx, func(s *State) {
		for _, change := range changes {
			if entry := s.entry(change); change.Revision <= last && len(entry.Added)+len(entry.Removed)+len(entry.Updated) > 0 {
				entries = append(entries, entry)
			}
		}
	})
	return entries, err
}

// entry says what a change did to policies. A new description of a policy that
// is gone again is left out: its end follows.
func (s *State) entry(change Change) api.AuditEntry {
	entry := api.AuditEntry{Revision: uint64(change.Revision), At: change.At.UTC(), By: change.By}
	for _, ev := range change.Events {
		switch ev := ev.(type) {
		case PolicyAdded:
			entry.Added = append(entry.Added, ev.record().Detail())
		case PolicyRemoved:
			entry.Removed = append(entry.Removed, api.PolicyRecord{Policy: ev.Was}.Detail())
		case PolicyDescribed:
			if p, known := s.policies[ev.ID]; known {
				p.About = ev.About
				entry.Updated = append(entry.Updated, p.record().Detail())
			}
		}
	}
	return entry
}

// endpointsOf lists the endpoints of each of the apps, by cell and container id.
func (s *State) endpointsOf(apps []flows.AppID) map[flows.AppID][]api.Endpoint {
	found := make(map[flows.AppID][]api.Endpoint, len(apps))
	for _, app := range apps {
		if found[app] != nil {
			continue
		}
		list := []api.Endpoint{}
		for id := range s.hosts[app] {
			for _, ep := range s.cells[id].endpoints {
				if ep.App == app {
					list = append(list, endpointOnWire(id, ep))
				}
			}
		}
		sortEndpoints(list)
		found[app] = list
	}
	return found
}

// EndpointsOf lists the endpoints of each of the apps, by cell and container id.
func (c *Controller) EndpointsOf(ctx context.Context, apps []flows.AppID) (found map[flows.AppID][]api.Endpoint, err error) {
	err = c.ask(ctx, func(s *State) { found = s.endpointsOf(apps) })
	return found, err
}
