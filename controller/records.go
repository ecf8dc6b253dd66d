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
// ids, and the revision that last changed any of them.
func (c *Controller) Records(ctx context.Context) (list []api.PolicyRecord, revision api.Revision, err error) {
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

// maxBehind bounds how many changes of the log are read for one who follows
// the policies. Who is further behind has to list them anew.
const maxBehind = 10_000

// PolicyEvents waits for changes of policies after a revision, and returns
// them with the revision up to which it has looked. Gone: there are too many.
func (c *Controller) PolicyEvents(ctx context.Context, after api.Revision) ([]api.PolicyEvent, api.Revision, error) {
	for {
		grown := c.reached.next()
		last := api.Revision(c.revision.Load())
		if after > last {
			return nil, 0, api.Gone("revision %d is newer than the newest, %d: list the policies again", after, last)
		}
		if last-after > maxBehind {
			return nil, 0, api.Gone("revision %d is more than %d changes old, the newest is %d: list the policies again", after, maxBehind, last)
		}
		if after < last {
			events, err := c.policyEvents(ctx, after, last)
			if err != nil || len(events) > 0 {
				return events, last, err
			}
			after = last
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

// policyEvents reads what the log has of policies after a revision, up to last.
func (c *Controller) policyEvents(ctx context.Context, after, last api.Revision) ([]api.PolicyEvent, error) {
	changes, err := c.store.Changes(ctx, after)
	if err != nil {
		return nil, err
	}
	var events []api.PolicyEvent
	err = c.ask(ctx, func(s *State) {
		for _, change := range changes {
			if change.Revision > last {
				return
			}
			for _, ev := range change.Events {
				if event, is := s.policyEvent(ev); is {
					event.Revision = change.Revision
					events = append(events, event)
				}
			}
		}
	})
	return events, err
}

// policyEvent says what an event did to a policy, if it did anything. A
// description of a policy that is gone again is left out: its end follows.
func (s *State) policyEvent(ev Event) (api.PolicyEvent, bool) {
	switch ev := ev.(type) {
	case PolicyAdded:
		return api.PolicyEvent{Kind: api.PolicyEventAdded, Policy: ev.record()}, true
	case PolicyRemoved:
		return api.PolicyEvent{Kind: api.PolicyEventRemoved, Policy: api.PolicyRecord{Policy: ev.Was}}, true
	case PolicyDescribed:
		p, known := s.policies[ev.ID]
		p.About = ev.About
		return api.PolicyEvent{Kind: api.PolicyEventDescribed, Policy: p.record()}, known
	}
	return api.PolicyEvent{}, false
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
