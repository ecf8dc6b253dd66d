package api

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// maxAudit bounds a page of the audit log; defaultAudit is its size.
const (
	maxAudit     = 1000
	defaultAudit = 100
)

// reachers answers who may connect to an app. Who owns the app may know that,
// but not where the containers of other people's apps are.
func (s *external) reachers(c echo.Context) error {
	app := flows.AppID(pathParam(c, "app"))
	if err := s.mayWrite(c, map[flows.AppID]bool{app: true}); err != nil {
		return err
	}
	ctx := c.Request().Context()
	all, _, err := s.Sets.Records(ctx)
	if err != nil {
		return err
	}
	toward := map[flows.AppID][]PolicyRecord{}
	shown := map[flows.AppID]bool{app: true}
	for _, p := range all {
		if p.To == app {
			toward[p.From] = append(toward[p.From], p)
			shown[p.From] = true
		}
	}
	if shown, err = s.visible(c, shown); err != nil {
		return err
	}
	endpoints, err := s.Fleet.EndpointsOf(ctx, slices.Collect(maps.Keys(shown)))
	if err != nil {
		return err
	}
	list := ReachersList{App: string(app), Endpoints: notNil(endpoints[app]), Reachers: []Reacher{}}
	for _, from := range slices.Sorted(maps.Keys(toward)) {
		reacher := Reacher{App: string(from), Policies: detailsOf(toward[from], toward[from]), Endpoints: []Endpoint{}}
		if shown[from] {
			reacher.Endpoints = notNil(endpoints[from])
		}
		list.Reachers = append(list.Reachers, reacher)
	}
	return answer(c, list)
}

func (s *external) audit(c echo.Context) error {
	q := c.QueryParams()
	limit, err := number(q, "limit", defaultAudit, maxAudit)
	if err != nil {
		return err
	}
	before, err := number(q, "before", 0, 1<<63-1)
	if err != nil {
		return err
	}
	entries, err := s.Audits.Audit(c.Request().Context(), AuditQuery{
		App: q.Get("app"), By: q.Get("by"), Before: Revision(before), Limit: int(limit),
	})
	if err != nil {
		return err
	}
	list := AuditList{Entries: notNil(entries)}
	if len(entries) == int(limit) {
		list.Next = strconv.FormatUint(cmp.Or(entries[len(entries)-1].Revision, 1), 10)
	}
	return answer(c, list)
}
