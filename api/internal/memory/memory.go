package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Controller implements api.Policies, api.Fleet, api.Cells, api.Agents and api.Names. The exported
// fields are set before it is used; New makes one.
type Controller struct {
	Cellular []api.Cell          // what Cells answers
	Attached []api.Endpoint      // what Endpoints answers
	Late     []flows.CellID      // cells that never confirm: WaitApplied waits for them
	Away     []flows.CellID      // the same, but not connected: waited for only if asked
	Secured  []api.SecurityGroup // what SecurityGroups answers
	Freed    []api.Group         // what Groups lists after the others
	Failure  error               // what everything fails with, if not nil
	Streams  chan *Stream        // each stream that was opened
	Heard    chan any            // each LeaseRequest, EndpointsReport and Applied
	Lent     api.Lease           // what Lease answers
	Refusal  map[string]error    // by method: "Open", "Lease", "Report", "Acknowledge"

	mu       sync.Mutex
	policies []api.Policy
	abouts   map[flows.PolicyID]api.About
	groups   map[flows.AppID]flows.GroupID
	kinds    map[flows.AppID]string // of identities that AssignTag made
	last     flows.PolicyID
	logging  api.Logging
	revision api.Revision
}

// New returns an empty controller.
func New() *Controller {
	return &Controller{
		groups:  make(map[flows.AppID]flows.GroupID),
		kinds:   make(map[flows.AppID]string),
		abouts:  make(map[flows.PolicyID]api.About),
		Streams: make(chan *Stream, 16),
		Heard:   make(chan any, 16),
		Refusal: make(map[string]error),
	}
}

// Policies lists those that the filter selects, in the order of their ids.
func (c *Controller) Policies(_ context.Context, filter api.Filter) ([]api.Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return filter.Apply(slices.Clone(c.policies)), c.Failure
}

// Records lists all policies. Every change is of policies.
func (c *Controller) Records(context.Context) ([]api.PolicyRecord, api.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	records := make([]api.PolicyRecord, len(c.policies))
	for i, p := range c.policies {
		records[i] = api.PolicyRecord{Policy: p, About: c.abouts[p.ID]}
	}
	return records, c.revision, c.Failure
}

// ChangePolicies adds, describes and removes.
func (c *Controller) ChangePolicies(ctx context.Context, changes api.PolicyChanges, order api.Order) (api.Revision, error) {
	added := make([]api.Policy, len(changes.Add))
	for i, spec := range changes.Add {
		added[i] = spec.Policy
	}
	if _, err := c.AddPolicies(ctx, added, order); err != nil {
		return 0, err
	}
	c.mu.Lock()
	for _, spec := range changes.Add {
		c.abouts[c.policies[c.find(spec.Policy)].ID] = spec.About
	}
	c.mu.Unlock()
	return c.RemovePolicies(ctx, changes.Remove, order)
}

// AddPolicies adds those that are not there.
func (c *Controller) AddPolicies(_ context.Context, policies []api.Policy, _ api.Order) (api.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Failure != nil {
		return 0, c.Failure
	}
	for _, p := range policies {
		if c.find(p) >= 0 {
			continue
		}
		c.last++
		p.ID = c.last
		c.policies = append(c.policies, p)
		c.name(p.From)
		c.name(p.To)
	}
	c.revision++
	return c.revision, nil
}

// RemovePolicies removes those that are there.
func (c *Controller) RemovePolicies(_ context.Context, policies []api.Policy, _ api.Order) (api.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Failure != nil {
		return 0, c.Failure
	}
	for _, p := range policies {
		if i := c.find(p); i >= 0 {
			c.policies = slices.Delete(c.policies, i, i+1)
		}
	}
	c.revision++
	return c.revision, nil
}

func (c *Controller) find(p api.Policy) int {
	return slices.IndexFunc(c.policies, func(q api.Policy) bool {
		q.ID = p.ID
		return p == q
	})
}

func (c *Controller) name(app flows.AppID) {
	if c.groups[app] == 0 {
		c.groups[app] = flows.GroupID(100 + len(c.groups) + 1)
	}
}

// Groups lists the apps that a policy named, also one that is gone.
func (c *Controller) Groups(context.Context) ([]api.Group, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Failure != nil {
		return nil, c.Failure
	}
	var groups []api.Group
	for app, id := range c.groups {
		n := 0
		for _, p := range c.policies {
			if p.From == app || p.To == app {
				n++
			}
		}
		groups = append(groups, api.Group{Group: uint16(id), Tag: fmt.Sprintf("%04X", uint16(id)), App: string(app), Type: "app", Policies: n})
	}
	slices.SortFunc(groups, func(a, b api.Group) int { return cmp.Compare(a.Group, b.Group) })
	return append(groups, c.Freed...), nil
}

// WaitApplied returns at once if no cell is late, else when ctx ends.
func (c *Controller) WaitApplied(ctx context.Context, _ api.Revision, disconnected bool) []flows.CellID {
	pending := slices.Clone(c.Late)
	if disconnected {
		pending = append(pending, c.Away...)
	}
	if len(pending) > 0 {
		<-ctx.Done()
	}
	return pending
}

// Endpoints returns the field.
func (c *Controller) Endpoints(context.Context) ([]api.Endpoint, error) { return c.Attached, c.Failure }

// EndpointsOf selects from the field.
func (c *Controller) EndpointsOf(_ context.Context, apps []flows.AppID) (map[flows.AppID][]api.Endpoint, error) {
	found := map[flows.AppID][]api.Endpoint{}
	for _, ep := range c.Attached {
		if app := flows.AppID(ep.App); slices.Contains(apps, app) {
			found[app] = append(found[app], ep)
		}
	}
	return found, c.Failure
}

// Logging returns what was set.
func (c *Controller) Logging(context.Context) (api.Logging, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logging, c.Failure
}

// SetLogging keeps it as it is.
func (c *Controller) SetLogging(_ context.Context, logging api.Logging, _ string) (api.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logging = logging
	c.revision++
	return c.revision, c.Failure
}

// Healthy fails if everything does.
func (c *Controller) Healthy(context.Context) error { return c.Failure }

// Explain knows the cookies of policies that do not overlap.
func (c *Controller) Explain(_ context.Context, cookie flows.Cookie) (api.Explanation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind, file, err := flows.Explain(cookie)
	if err != nil {
		return api.Explanation{}, api.NotFound("%w", err)
	}
	if profile, _ := cookie.Egress(); profile != 0 {
		return api.Explanation{
			Cookie: cookie.String(), Kind: kind.String(), File: file, Text: "a rule of egress profile " + profile.String(),
			Rule: "tcp 10.0.0.1 443", Endpoints: c.Attached,
		}, nil
	}
	for _, p := range c.policies {
		if flows.PolicyCookie(p.ID) != cookie {
			continue
		}
		return api.Explanation{
			Cookie: cookie.String(), Kind: kind.String(), File: file,
			Text: fmt.Sprintf("policy %d lets %s connect to %s", p.ID, p.From, p.To),
			Policies: []api.PolicyInfo{{
				ID: uint64(p.ID), Cookie: cookie.String(), Source: api.Source{ID: string(p.From)},
				Destination: api.Destination{ID: string(p.To), Protocol: p.Protocol.String(), Ports: api.Ports{Start: int(p.Ports.First), End: int(p.Ports.Last)}},
			}},
		}, nil
	}
	return api.Explanation{}, api.NotFound("no %s has the cookie %s", kind, cookie)
}

// CleanUp removes the policies of the apps that access says are gone.
func (c *Controller) CleanUp(ctx context.Context, access api.Access, _ string) ([]api.Policy, error) {
	all, err := c.Policies(ctx, api.Filter{})
	if err != nil || access == nil {
		return nil, err
	}
	var apps []flows.AppID
	for _, p := range all {
		apps = append(apps, p.From, p.To)
	}
	gone, err := access.Gone(ctx, apps)
	if err != nil {
		return nil, err
	}
	stale := slices.DeleteFunc(all, func(p api.Policy) bool {
		return !slices.Contains(gone, p.From) && !slices.Contains(gone, p.To)
	})
	_, err = c.RemovePolicies(ctx, stale, api.Order{})
	return stale, err
}
