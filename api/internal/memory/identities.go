package memory

import (
	"cmp"
	"context"
	"fmt"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// AssignTag gives an identity a group id of its type.
func (c *Controller) AssignTag(_ context.Context, id flows.AppID, kind, _ string) (api.Group, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Failure != nil {
		return api.Group{}, c.Failure
	}
	kind = cmp.Or(kind, "app")
	if has := c.kinds[id]; has != "" && has != kind {
		return api.Group{}, api.Conflict("%q has type %q", string(id), has)
	}
	c.kinds[id] = kind
	c.name(id)
	number := uint16(c.groups[id])
	return api.Group{Group: number, Tag: fmt.Sprintf("%04X", number), App: string(id), Type: kind}, nil
}

// GroupsOf returns those that a policy or AssignTag gave.
func (c *Controller) GroupsOf(_ context.Context, ids []flows.AppID) (map[flows.AppID]flows.GroupID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[flows.AppID]flows.GroupID{}
	for _, id := range ids {
		if group := c.groups[id]; group != 0 {
			found[id] = group
		}
	}
	return found, c.Failure
}

// PoliciesChanged returns the revision: every change is of policies.
func (c *Controller) PoliciesChanged(context.Context) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.revision), c.Failure
}

// SecurityGroups returns the field, and how many they are.
func (c *Controller) SecurityGroups(context.Context) ([]api.SecurityGroup, int64, error) {
	return c.Secured, int64(len(c.Secured)), c.Failure
}

// SetSecurityGroups sets the field.
func (c *Controller) SetSecurityGroups(_ context.Context, groups []api.SecurityGroup, _ string) error {
	c.Secured = groups
	return c.Failure
}
