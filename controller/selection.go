package controller

import (
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Select lists the policies that the filter selects, in the order of their
// ids. Nobody may change the list. It takes as long as the apps of the filter
// have policies, however many others there are.
func (s *State) Select(filter api.Filter) []api.Policy {
	var apps []string
	switch {
	case filter.ID != nil:
		apps = filter.ID
	case filter.Source != nil:
		apps = filter.Source
	case filter.Dest != nil:
		apps = filter.Dest
	default:
		return s.Policies()
	}
	var ids []flows.PolicyID
	for _, app := range slices.Compact(slices.Sorted(slices.Values(apps))) {
		ids = slices.AppendSeq(ids, maps.Keys(s.naming[s.groups[flows.AppID(app)]]))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids) // one may name two of the apps
	list := make([]api.Policy, len(ids))
	for i, id := range ids {
		list[i] = s.policies[id].Policy()
	}
	return filter.Apply(list)
}

// name notes that a policy names its groups.
func (s *State) name(rule flows.Rule) {
	for _, group := range groupsOf(rule) {
		if s.naming[group] == nil {
			s.naming[group] = map[flows.PolicyID]struct{}{}
		}
		s.naming[group][rule.Policy] = struct{}{}
	}
}

// unname is the inverse of name.
func (s *State) unname(rule flows.Rule) {
	for _, group := range groupsOf(rule) {
		delete(s.naming[group], rule.Policy)
		if len(s.naming[group]) == 0 {
			delete(s.naming, group)
		}
	}
}

// groupsOf returns the groups that a rule names: two, or one with itself.
func groupsOf(rule flows.Rule) []flows.GroupID {
	if rule.From == rule.To {
		return []flows.GroupID{rule.From}
	}
	return []flows.GroupID{rule.From, rule.To}
}
