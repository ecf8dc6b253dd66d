package controller

import (
	"context"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// maxCatchUp bounds how long a durable write waits to be visible in listings.
const maxCatchUp = 5 * time.Second

// Policies lists the policies that filter selects in the order of their ids.
// Nobody may change the list.
func (c *Controller) Policies(ctx context.Context, filter api.Filter) (list []api.Policy, err error) {
	if err := c.catchUp(ctx); err != nil {
		return nil, err
	}
	err = c.ask(ctx, func(s *State) { list = s.Select(filter) })
	return list, err
}

// AddPolicies adds all of them or none, and returns when they are durable.
func (c *Controller) AddPolicies(ctx context.Context, policies []api.Policy, order api.Order) (api.Revision, error) {
	if err := check(policies); err != nil {
		return 0, err
	}
	return c.writePolicies(ctx, AddPolicies{Policies: policies, Order: order}, policies)
}

// RemovePolicies is the inverse of AddPolicies.
func (c *Controller) RemovePolicies(ctx context.Context, policies []api.Policy, order api.Order) (api.Revision, error) {
	if err := check(policies); err != nil {
		return 0, err
	}
	return c.writePolicies(ctx, RemovePolicies{Policies: policies, Order: order}, policies)
}

// check holds what the database and the compiler rely on, whoever calls.
func check(policies []api.Policy) error {
	for i, p := range policies {
		switch {
		case p.From == "" || p.To == "":
			return api.Invalid("policy %d: from %q, to %q: both must name an app", i, p.From, p.To)
		case len(p.From) > maxAppLength || len(p.To) > maxAppLength:
			return api.Invalid("policy %d: app id longer than %d bytes", i, maxAppLength)
		case p.Protocol != flows.TCP && p.Protocol != flows.UDP:
			return api.Invalid("policy %d: %s: must be tcp or udp", i, p.Protocol)
		case p.Ports.First == 0 || p.Ports.First > p.Ports.Last:
			return api.Invalid("policy %d: ports %d-%d: want 1 <= first <= last", i, p.Ports.First, p.Ports.Last)
		}
	}
	return nil
}

// writePolicies writes, and returns the revision to wait for: that of the
// write, or where nothing changed the one that made it so.
func (c *Controller) writePolicies(ctx context.Context, cmd Command, policies []api.Policy) (api.Revision, error) {
	revision, err := c.write(ctx, cmd)
	if err != nil {
		return 0, err
	}
	destinations := make([]flows.AppID, len(policies))
	for i, p := range policies {
		destinations[i] = p.To
	}
	err = c.ask(ctx, func(s *State) {
		if revision == 0 {
			revision = s.lastTouched(destinations, c.loaded)
		}
		for _, cell := range s.hosting(destinations) {
			l := c.link(cell)
			l.mu.Lock()
			l.cover(revision)
			l.mu.Unlock()
		}
	})
	if err != nil {
		c.log.Warn("a durable write could not be followed", "revision", revision, "error", err)
	}
	return revision, nil
}

// write writes, and waits until the state has followed, so that who wrote
// reads what was written. The write is durable either way.
func (c *Controller) write(ctx context.Context, cmd Command) (api.Revision, error) {
	revision, err := c.store.Write(ctx, cmd)
	token(c.logged) // even after an error: a commit whose answer was lost is in the log
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxCatchUp)
	defer cancel()
	if !c.follows(ctx, revision) {
		c.log.Warn("a durable write is not visible yet", "revision", revision)
	}
	return revision, nil
}

// follows waits until the state has reached revision. False: ctx ended first.
func (c *Controller) follows(ctx context.Context, revision api.Revision) bool {
	for {
		grown := c.reached.next()
		if api.Revision(c.revision.Load()) >= revision {
			return true
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return false
		case <-c.stopped:
			return false
		}
	}
}

// Groups lists the group ids in use or in quarantine, in ascending order.
func (c *Controller) Groups(ctx context.Context) (list []api.Group, err error) {
	if err := c.catchUp(ctx); err != nil {
		return nil, err
	}
	err = c.ask(ctx, func(s *State) { list = s.Groups() })
	return list, err
}

// GroupNames lists those of the group ids that there are, in ascending order.
func (c *Controller) GroupNames(ctx context.Context, ids []flows.GroupID) (list []api.Group, err error) {
	err = c.ask(ctx, func(s *State) { list = s.GroupNames(ids) })
	return list, err
}

// Endpoints lists every known endpoint, by cell and container id.
func (c *Controller) Endpoints(ctx context.Context) (list []api.Endpoint, err error) {
	err = c.ask(ctx, func(s *State) { list = s.Endpoints() })
	return list, err
}

// Explain resolves the cookie of a dumped flow. NotFound if nothing has it.
func (c *Controller) Explain(ctx context.Context, cookie flows.Cookie) (found api.Explanation, err error) {
	if asked := c.ask(ctx, func(s *State) {
		if found, err = s.Explain(cookie); found.Cell != nil {
			c.describe(found.Cell, s.Revision())
		}
	}); asked != nil {
		return api.Explanation{}, asked
	}
	return found, err
}

// Healthy reports whether the database answers.
func (c *Controller) Healthy(ctx context.Context) error { return c.store.Healthy(ctx) }
