package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// audience says whom an operation of the native API is for.
type audience string

const (
	forAll     audience = ""         // no authentication
	forWriters audience = ScopeWrite // admins, and writers for policies between their own apps
	forAdmins  audience = ScopeAdmin
)

// admit lets through only callers that an operation is for. Writers can be
// told apart only where somebody knows whose the apps are; with self-service
// everybody is one.
func (s *external) admit(who audience) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			caller := callerOf(c)
			switch {
			case caller.Has(ScopeAdmin):
			case who == forAdmins:
				return Forbidden("this needs the scope %s, and the caller has [%s]", ScopeAdmin, strings.Join(caller.Scopes, " "))
			case !caller.Has(ScopeWrite) && !s.SelfService:
				return Forbidden("this needs the scope %s or %s, and the caller has [%s]", ScopeAdmin, ScopeWrite, strings.Join(caller.Scopes, " "))
			case s.Access == nil:
				return Forbidden("this needs the scope %s: no Cloud Controller is configured that knows whose the apps are", ScopeAdmin)
			}
			return next(c)
		}
	}
}

// mayWrite returns nil if the caller may write policies between all of the apps.
func (s *external) mayWrite(c echo.Context, apps map[flows.AppID]bool) error {
	caller := callerOf(c)
	if caller.Has(ScopeAdmin) || len(apps) == 0 {
		return nil
	}
	if err := s.Access.MayWrite(c.Request().Context(), caller, slices.Sorted(maps.Keys(apps))); err != nil {
		return fmt.Errorf("asking which apps the caller may write: %w", err)
	}
	return nil
}

// visible returns those of the apps that the caller may see.
func (s *external) visible(c echo.Context, apps map[flows.AppID]bool) (map[flows.AppID]bool, error) {
	caller := callerOf(c)
	if caller.Has(ScopeAdmin) || len(apps) == 0 {
		return apps, nil
	}
	seen, err := s.Access.Visible(c.Request().Context(), caller, slices.Sorted(maps.Keys(apps)))
	if err != nil {
		return nil, fmt.Errorf("asking which apps the caller may see: %w", err)
	}
	return seen, nil
}

// records reads the policies whose both apps the caller may see, and the
// revision that last changed any. Nobody may change the list.
func (s *external) records(c echo.Context) ([]PolicyRecord, Revision, error) {
	all, revision, err := s.Sets.Records(c.Request().Context())
	if err != nil || callerOf(c).Has(ScopeAdmin) {
		return all, revision, err
	}
	seen, err := s.visible(c, appsOf(all))
	if err != nil {
		return nil, 0, err
	}
	mine := make([]PolicyRecord, 0, len(all))
	for _, p := range all {
		if seen[p.From] && seen[p.To] {
			mine = append(mine, p)
		}
	}
	return mine, revision, nil
}

func appsOf(records []PolicyRecord) map[flows.AppID]bool {
	apps := map[flows.AppID]bool{}
	for _, p := range records {
		apps[p.From], apps[p.To] = true, true
	}
	return apps
}
