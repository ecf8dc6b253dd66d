package controller

import (
	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// logs reports whether an app's accepted connections are to be logged.
func (s *State) logs(app flows.AppID) bool {
	if s.logging.Accepted {
		return true
	}
	_, listed := s.logged[app]
	return listed && app != ""
}

// setLogging makes the endpoints log that are to, and no others.
func (s *State) setLogging(logging api.Logging) {
	s.logging = logging
	s.logged = make(map[flows.AppID]struct{}, len(logging.Apps))
	for _, app := range logging.Apps {
		s.logged[flows.AppID(app)] = struct{}{}
	}
	for _, c := range s.cells {
		for id, ep := range c.endpoints {
			if log := s.logs(ep.App); log != ep.Log {
				ep.Log = log
				c.endpoints[id] = ep
				s.set(c, new(flows.EndpointFragment(ep)))
			}
		}
	}
}

// Logging returns whose accepted connections are logged.
func (s *State) Logging() api.Logging { return s.logging }
