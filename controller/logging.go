package controller

import (
	"context"
	"slices"

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

// rulesToward are the policies toward a group. What a listed app opens is
// logged where it is judged, which is where the other end runs: so the rule says
// it. That everybody is logged the endpoint there says already.
func (s *State) rulesToward(group flows.GroupID) []flows.Rule {
	rules := make([]flows.Rule, 0, len(s.toward[group]))
	for id, rule := range s.toward[group] {
		if len(s.logged) > 0 { // else no policy is looked up, of a hundred thousand
			_, rule.Log = s.logged[s.policies[id].From]
		}
		rules = append(rules, rule)
	}
	return rules
}

// setLogging makes the endpoints and policies log that are to, and no others.
func (s *State) setLogging(logging api.Logging) {
	before := s.logged
	s.logging = logging
	s.logged = make(map[flows.AppID]struct{}, len(logging.Apps))
	for _, app := range logging.Apps {
		s.logged[flows.AppID(app)] = struct{}{}
	}
	for _, p := range s.policies {
		_, was := before[p.From]
		if _, is := s.logged[p.From]; is != was {
			s.stale[p.Rule.To] = struct{}{}
		}
	}
	for _, c := range s.cells {
		for id, ep := range c.endpoints {
			if log := s.logs(ep.App); log != ep.Log {
				ep.Log = log
				c.endpoints[id] = ep
				s.set(c, new(flows.EndpointFragment(ep.Endpoint)))
			}
		}
	}
}

// Logging returns whose accepted connections are logged.
func (s *State) Logging() api.Logging { return s.logging }

// maxLoggedApps bounds a setting that every start reads.
const maxLoggedApps = 10000

// Logging returns whose accepted connections are logged.
func (c *Controller) Logging(ctx context.Context) (logging api.Logging, err error) {
	err = c.ask(ctx, func(s *State) { logging = s.Logging() })
	return logging, err
}

// SetLogging says anew whose accepted connections are logged, and returns when
// it is durable. It takes effect on the cells as fast as a policy does.
func (c *Controller) SetLogging(ctx context.Context, logging api.Logging, by string) (api.Revision, error) {
	logging.Apps = slices.Compact(slices.Sorted(slices.Values(logging.Apps)))
	if len(logging.Apps) > maxLoggedApps {
		return 0, api.Invalid("apps: %d of them, at most %d: switch accepted on to log everybody", len(logging.Apps), maxLoggedApps)
	}
	for _, app := range logging.Apps {
		if app == "" || len(app) > maxAppLength {
			return 0, api.Invalid("apps: %.40q: must be 1 to %d bytes", app, maxAppLength)
		}
	}
	return c.write(ctx, SetLogging{Logging: logging, By: by})
}
