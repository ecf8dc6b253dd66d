package api

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// What callers that are no administrators may do with an app, Access says.

// guard refuses a write that names an app with which the caller may do
// nothing. It does not tell which one, or whether it exists.
func (s *external) guard(c echo.Context, policies []Policy) error {
	caller := callerOf(c)
	if caller.Has(ScopeAdmin) {
		return nil
	}
	err := Forbidden("there is no platform to ask")
	if s.Access != nil {
		err = s.Access.MayWrite(c.Request().Context(), caller, namedApps(policies))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrForbidden):
		return Forbidden("one or more applications cannot be found or accessed")
	}
	return broken("check access failed", err)
}

// visiblePolicies returns those of the policies of which the caller may see both apps.
func (s *external) visiblePolicies(c echo.Context, policies []Policy) ([]Policy, error) {
	caller := callerOf(c)
	if caller.Has(ScopeAdmin) {
		return policies, nil
	}
	if s.Access == nil {
		return nil, nil
	}
	seen, err := s.Access.Visible(c.Request().Context(), caller, namedApps(policies))
	if err != nil {
		return nil, err
	}
	var some []Policy
	for _, p := range policies {
		if seen[p.From] && seen[p.To] {
			some = append(some, p)
		}
	}
	return some, nil
}

// namedApps returns the apps that the policies name, each once, in the order in
// which they are first named.
func namedApps(policies []Policy) []flows.AppID {
	var apps []flows.AppID
	known := map[flows.AppID]bool{}
	for _, p := range policies {
		for _, app := range []flows.AppID{p.From, p.To} {
			if !known[app] {
				known[app] = true
				apps = append(apps, app)
			}
		}
	}
	return apps
}
