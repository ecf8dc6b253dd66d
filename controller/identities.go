package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"unicode"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// AssignTag gives an identity a group id, and returns when it is durable.
// Conflict: the identity has one of another type. Without a type it is an app's.
func (c *Controller) AssignTag(ctx context.Context, id flows.AppID, kind, by string) (group api.Group, err error) {
	kind = cmp.Or(kind, AppType)
	if len(id) > maxAppLength || len(kind) > maxAppLength {
		return api.Group{}, api.Invalid("id %.40q, type %.40q: at most %d bytes each", string(id), kind, maxAppLength)
	}
	if _, err := c.write(ctx, AssignTag{ID: id, Type: kind, By: by}); err != nil {
		return api.Group{}, err
	}
	if err := c.catchUp(ctx); err != nil { // another replica may have assigned it
		return api.Group{}, err
	}
	known := false
	err = c.ask(ctx, func(s *State) {
		var number flows.GroupID
		if number, known = s.groups[id]; known {
			group = s.groupOnWire(number)
		}
	})
	if err == nil && !known {
		err = api.Unavailable("the group id of %q was freed again at once: try again", string(id))
	}
	return group, err
}

// GroupsOf returns the group ids of those of the identities that have one.
func (c *Controller) GroupsOf(ctx context.Context, ids []flows.AppID) (groups map[flows.AppID]flows.GroupID, err error) {
	groups = make(map[flows.AppID]flows.GroupID, len(ids))
	err = c.ask(ctx, func(s *State) {
		for _, id := range ids {
			if group, has := s.groups[id]; has {
				groups[id] = group
			}
		}
	})
	return groups, err
}

// PoliciesChanged returns a number that grows with each change of policies: in
// nanoseconds since 1970, or a little more.
func (c *Controller) PoliciesChanged(ctx context.Context) (at int64, err error) {
	if err := c.catchUp(ctx); err != nil {
		return 0, err
	}
	err = c.ask(ctx, func(s *State) { at = s.marks.PoliciesChanged })
	return at, err
}

// SecurityGroups lists all of them in the order of their ids, and a number that
// grows with each change of them, like that of PoliciesChanged.
func (c *Controller) SecurityGroups(ctx context.Context) (groups []api.SecurityGroup, at int64, err error) {
	if err := c.catchUp(ctx); err != nil {
		return nil, 0, err
	}
	err = c.ask(ctx, func(s *State) { groups, at = s.SecurityGroups(), s.marks.SecurityGroupsChanged })
	return groups, at, err
}

// SetSecurityGroups makes these all that there are, and returns when that is
// durable and all tables are compiled. From here on endpoints with a space have
// their rules, even if there are none.
func (c *Controller) SetSecurityGroups(ctx context.Context, groups []api.SecurityGroup, by string) error {
	seen := make(map[string]bool, len(groups))
	for _, g := range groups {
		switch {
		case !isGUID(g.GUID):
			return api.Invalid("security group %.80q: its GUID must be 1 to %d printable characters", g.GUID, maxAppLength)
		case seen[g.GUID]:
			return api.Invalid("security group %s: is there twice", g.GUID)
		case !json.Valid([]byte(g.Rules)):
			return api.Invalid("security group %s: rules %.80q: not JSON", g.GUID, g.Rules)
		}
		seen[g.GUID] = true
		for _, spaces := range [][]string{g.RunningSpaces, g.StagingSpaces} {
			for _, space := range spaces {
				if !isGUID(space) {
					return api.Invalid("security group %s: space %.80q: its GUID must be 1 to %d printable characters", g.GUID, space, maxAppLength)
				}
			}
		}
	}
	if _, err := c.write(ctx, SetSecurityGroups{Groups: groups, By: by}); err != nil {
		return err
	}
	return c.ask(ctx, func(s *State) {
		if !s.security.known {
			c.step(SecurityGroupsRead{})
		}
	})
}

// isGUID reports whether a text can name something in Cloud Controller.
func isGUID(text string) bool {
	for _, r := range text {
		if !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return text != "" && len(text) <= maxAppLength
}
