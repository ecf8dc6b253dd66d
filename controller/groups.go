package controller

import (
	"slices"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// A group id goes round: assigned to an app, freed when nothing uses it, and
// released, so that it may be given again, when no switch can know it any more.
//
//	          GroupAssigned                GroupFreed              GroupReleased
//	nobody's ---------------> the app's  -------------> quarantine -------------> nobody's
//	                              ^                         |
//	                              +-- the app comes back ---+  GroupAssigned

// AppType is the type of an app's group id. An identity of another type keeps
// its id for good.
const AppType = "app"

// quarantine is what State knows of a freed group id.
type quarantine struct {
	freed api.Revision
	at    time.Time
}

// assign gives an app its group id, or gives it back. An app keeps its first one.
func (s *State) assign(ev GroupAssigned) {
	app, group := ev.App, ev.Group
	if _, has := s.groups[app]; has {
		return
	}
	if ev.Type != "" && ev.Type != AppType {
		s.types[group] = ev.Type
	}
	s.groups[app], s.apps[group] = group, app
	delete(s.freed, group)
	delete(s.nameless, app)
	s.stale[group] = struct{}{}
	s.rename(app, group)
}

// free puts a group id into quarantine. Its app has none from here on: one that
// came back meanwhile is isolated until it has it again.
func (s *State) free(ev GroupFreed) {
	app, known := s.apps[ev.Group]
	if !known {
		return
	}
	s.freed[ev.Group] = quarantine{freed: ev.Revision, at: ev.At}
	if s.groups[app] != ev.Group {
		return
	}
	delete(s.groups, app)
	delete(s.judges, ev.Group)
	for id := range s.hosts[app] {
		s.nameless[app] = struct{}{}
		s.put(s.cells[id], flows.PolicyKey(ev.Group), nil)
	}
	s.rename(app, 0)
}

// release ends the quarantine of a group id: it is nobody's.
func (s *State) release(group flows.GroupID) {
	if _, is := s.freed[group]; is {
		delete(s.freed, group)
		delete(s.apps, group)
		delete(s.types, group)
	}
}

// rename gives the endpoints of an app another group id.
func (s *State) rename(app flows.AppID, group flows.GroupID) {
	for id := range s.hosts[app] {
		c := s.cells[id]
		for _, ep := range c.endpoints {
			if ep.App == app {
				ep.Group = group
				c.endpoints[ep.Container] = ep
				s.set(c, new(flows.EndpointFragment(ep.Endpoint)))
			}
		}
	}
}

// hosting says how many endpoints each cell has that a group's policies are for.
func (s *State) hostsOf(group flows.GroupID) map[flows.CellID]int {
	app, known := s.apps[group]
	if _, freed := s.freed[group]; !known || freed {
		return nil
	}
	return s.hosts[app]
}

// Unused lists the group ids that no policy names and no endpoint has, as far
// as this State knows: whether it knows the endpoints of every cell is for the
// caller to say. Those in quarantine are not among them.
func (s *State) Unused() []flows.GroupID {
	var unused []flows.GroupID
	for app, group := range s.groups {
		if len(s.naming[group]) == 0 && len(s.hosts[app]) == 0 && s.types[group] == "" {
			unused = append(unused, group)
		}
	}
	slices.Sort(unused)
	return unused
}

// Releasable lists at most most group ids whose quarantine may end at now:
// every switch has held a table of held or later, which does not know them, for
// long enough. A cell whose lease has ended may know them still, so every switch
// must have stopped accepting from it, too. Ids that are needed again are not
// among them.
func (s *State) Releasable(held api.Revision, now time.Time, most int) []Freed {
	var list []Freed
	for group, q := range s.freed {
		if len(list) == most {
			break
		}
		wanted := len(s.naming[group]) > 0 || len(s.hosts[s.apps[group]]) > 0
		if !wanted && held >= max(q.freed, s.left) && now.Sub(q.at) >= s.overlay.Quarantine {
			list = append(list, Freed{Group: group, Revision: q.freed})
		}
	}
	slices.SortFunc(list, func(a, b Freed) int { return int(a.Group) - int(b.Group) })
	return list
}
