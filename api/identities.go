package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// The internal API as Cloud Foundry's own agent, and others that were written
// for its policy server, speak it. Only the certificate says who asks, and all
// that have one may ask everything.

// Paths of the internal API. Any version is spoken, except by tags.
const (
	internalPath = "/networking/:version/internal"
	internalV1   = "/networking/v1/internal"
)

// securityGroupsPayload is the answer of GET security_groups.
type securityGroupsPayload struct {
	Next           uint64              `json:"next"` // what to give as from; 0: this was the end
	SecurityGroups []securityGroupBody `json:"security_groups"`
}

type securityGroupBody struct {
	GUID           string   `json:"guid"`
	Name           string   `json:"name"`
	Rules          string   `json:"rules"` // a JSON document in a string
	StagingDefault bool     `json:"staging_default"`
	RunningDefault bool     `json:"running_default"`
	StagingSpaces  []string `json:"staging_space_guids"`
	RunningSpaces  []string `json:"running_space_guids"`
}

// identityRoutes adds what clients that are no cells may ask.
func (s *internal) identityRoutes(e *echo.Echo) {
	e.GET(internalPath+"/policies", s.policiesWithTags, identified)
	e.GET(internalPath+"/policies_last_updated", s.policiesLastUpdated, identified)
	e.PUT(internalV1+"/tags", s.assignTag, identified)
	e.GET(internalPath+"/security_groups", s.securityGroups, identified)
	e.GET(internalPath+"/security_groups_last_updated", s.securityGroupsLastUpdated, identified)
	e.GET(internalPath+"/healthcheck", healthcheck, identified)
}

// strictTransport is the one header beside the request's id that internal answers have.
func strictTransport(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().TLS != nil {
			c.Response().Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// noOptions makes OPTIONS a method that no path has: browsers do not ask here.
func noOptions(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		allow, known := c.Get(echo.ContextKeyHeaderAllow).(string)
		if !known {
			return next(c)
		}
		c.Set(echo.ContextKeyHeaderAllow, strings.TrimPrefix(allow, "OPTIONS, "))
		return echo.MethodNotAllowedHandler(c)
	}
}

// policiesWithTags lists policies with the tags of their apps. Of the filters
// only ?id= counts.
func (s *internal) policiesWithTags(c echo.Context) error {
	ctx := c.Request().Context()
	policies, err := s.Policies.Policies(ctx, Filter{ID: parseFilter(c.QueryParams()).ID})
	if err != nil {
		return broken("database read failed", err)
	}
	apps := make([]flows.AppID, 0, 2*len(policies))
	for _, p := range policies {
		apps = append(apps, p.From, p.To)
	}
	groups, err := s.Identities.GroupsOf(ctx, apps)
	if err != nil {
		return broken("database read failed", err)
	}
	list := PoliciesPayload{Policies: []PolicyBody{}}
	for _, p := range policies {
		from, to := groups[p.From], groups[p.To]
		if from == 0 || to == 0 {
			continue // it was removed a moment ago
		}
		body := policyBody(p)
		body.Source.Tag, body.Destination.Tag = s.tag(from), s.tag(to)
		list.Policies = append(list.Policies, body)
	}
	list.TotalPolicies = len(list.Policies)
	return answer(c, list)
}

func (s *internal) tag(group flows.GroupID) string {
	return fmt.Sprintf("%0*X", s.TagDigits, uint16(group))
}

func (s *internal) policiesLastUpdated(c echo.Context) error {
	at, err := s.Identities.PoliciesChanged(c.Request().Context())
	if err != nil {
		return broken("database read failed", err)
	}
	return answer(c, at)
}

func (s *internal) securityGroupsLastUpdated(c echo.Context) error {
	_, at, err := s.Identities.SecurityGroups(c.Request().Context())
	if err != nil {
		return broken("database read failed", err)
	}
	return answer(c, at)
}

// assignTag gives an identity a tag. An empty id is one like any other, and an
// empty type is an app's, but is answered as it was asked: so clients of
// upstream get what they expect.
func (s *internal) assignTag(c echo.Context) error {
	raw, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return &Error{Kind: ErrInvalid, Text: "failed reading request body", Detail: err.Error(), cause: err}
	}
	var wanted struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &wanted); err != nil {
		return &Error{Kind: ErrInvalid, Text: "failed parsing request body", Detail: err.Error(), cause: err}
	}
	group, err := s.Identities.AssignTag(c.Request().Context(), flows.AppID(wanted.ID), wanted.Type, clientOf(c))
	if err != nil {
		return broken("database create failed", err)
	}
	return answer(c, Tag{ID: group.App, Tag: s.tag(flows.GroupID(group.Group)), Type: wanted.Type})
}

// securityGroups lists the groups of some spaces and those of everybody, page by page.
func (s *internal) securityGroups(c echo.Context) error {
	query := c.QueryParams()
	from, err := parseNumber(query, "from")
	if err != nil {
		return err
	}
	limit, err := parseNumber(query, "limit")
	if err != nil {
		return err
	}
	groups, _, err := s.Identities.SecurityGroups(c.Request().Context())
	if err != nil {
		return broken("database read failed", err)
	}
	spaces := map[string]bool{}
	for space := range strings.SplitSeq(query.Get("space_guids"), ",") {
		spaces[space] = true
	}
	concerned := func(guid string) bool { return spaces[guid] }
	page := securityGroupsPayload{SecurityGroups: []securityGroupBody{}}
	for _, g := range groups {
		bound := slices.ContainsFunc(g.StagingSpaces, concerned) || slices.ContainsFunc(g.RunningSpaces, concerned)
		if from > 0 && g.ID < uint64(from) || !bound && !g.StagingDefault && !g.RunningDefault {
			continue
		}
		if limit > 0 && len(page.SecurityGroups) == limit {
			page.Next = g.ID
			break
		}
		page.SecurityGroups = append(page.SecurityGroups, securityGroupBody{
			GUID: g.GUID, Name: g.Name, Rules: g.Rules, StagingDefault: g.StagingDefault, RunningDefault: g.RunningDefault,
			StagingSpaces: notNil(g.StagingSpaces), RunningSpaces: notNil(g.RunningSpaces),
		})
	}
	return answer(c, page)
}

// parseNumber reads a number of the query; an absent one is 0. Upstream answers
// a wrong one as its own failure, and so do we.
func parseNumber(query url.Values, name string) (int, error) {
	if !query.Has(name) {
		return 0, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil {
		return 0, &Error{
			Kind: ErrInvalid, Text: fmt.Sprintf("invalid value for '%s' parameter", name), Detail: err.Error(), cause: err,
			status: http.StatusInternalServerError,
		}
	}
	return n, nil
}

func healthcheck(c echo.Context) error {
	return answer(c, struct {
		Healthcheck bool `json:"healthcheck"`
	}{true})
}
