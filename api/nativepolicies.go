package api

import (
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// maxPage bounds a page of a listing, and is its size if none is asked for.
const maxPage = 1000

// selection is what a listing of policies asks for.
type selection struct {
	ids    Filter
	set    string
	labels map[string]string
	after  flows.PolicyID
	limit  int
}

func parseSelection(c echo.Context) (selection, error) {
	q := c.QueryParams()
	labels, err := labelFilter(q)
	if err != nil {
		return selection{}, err
	}
	limit, err := number(q, "limit", maxPage, maxPage)
	if err != nil {
		return selection{}, err
	}
	after, err := number(q, "after", 0, 1<<63-1)
	if err != nil {
		return selection{}, err
	}
	return selection{
		ids: parseFilter(q), set: q.Get("set"), labels: labels, after: flows.PolicyID(after), limit: int(limit),
	}, nil
}

// page returns the policies of one page, and whether there are more. Ids grow
// and none is given twice: whatever is written between two pages, no policy is
// on both, and none that stays is on neither.
func (s selection) page(records []PolicyRecord) (page []PolicyRecord, more bool) {
	start := sort.Search(len(records), func(i int) bool { return records[i].ID > s.after })
	selects := s.ids.selector()
	for _, p := range records[start:] {
		if !selects(p.Policy) || s.set != "" && p.Set != s.set || !p.labelled(s.labels) {
			continue
		}
		if len(page) == s.limit {
			return page, true
		}
		page = append(page, p)
	}
	return page, false
}

// labelled reports whether the policy has all these labels.
func (a About) labelled(want map[string]string) bool {
	for key, value := range want {
		if has, is := a.Labels[key]; !is || has != value {
			return false
		}
	}
	return true
}

func (s *external) listDetails(c echo.Context) error {
	wanted, err := parseSelection(c)
	if err != nil {
		return err
	}
	records, revision, err := s.records(c)
	if err != nil {
		return err
	}
	if s.notModified(c, revision) {
		return c.NoContent(http.StatusNotModified)
	}
	page, more := wanted.page(records)
	list := PolicyDetailsList{Policies: detailsOf(page, records), Revision: uint64(revision)}
	if more {
		list.Next = strconv.FormatUint(uint64(page[len(page)-1].ID), 10)
	}
	return answer(c, list)
}

// notModified sets the ETag, and reports whether the caller has the answer
// already. What a writer sees changes without a revision too.
func (s *external) notModified(c echo.Context, revision Revision) bool {
	c.Response().Header().Set("ETag", etag(revision))
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	return callerOf(c).Has(ScopeAdmin) && unchanged(c.Request(), revision)
}

func (s *external) getPolicy(c echo.Context) error {
	id, err := idParam(c)
	if err != nil {
		return err
	}
	records, revision, err := s.records(c)
	if err != nil {
		return err
	}
	p, err := findPolicy(records, id)
	if err != nil {
		return err
	}
	if s.notModified(c, revision) {
		return c.NoContent(http.StatusNotModified)
	}
	return answer(c, detailsOf([]PolicyRecord{p}, records)[0])
}

func findPolicy(records []PolicyRecord, id flows.PolicyID) (PolicyRecord, error) {
	at := sort.Search(len(records), func(i int) bool { return records[i].ID >= id })
	if at == len(records) || records[at].ID != id {
		return PolicyRecord{}, NotFound("id: there is no policy %d", id)
	}
	return records[at], nil
}

// Detail renders a policy without the cookies that depend on other policies.
func (p PolicyRecord) Detail() PolicyDetail {
	detail := PolicyDetail{
		PolicyRequest: p.request(), ID: uint64(p.ID), Set: p.Set, Creator: p.Creator,
		Cookie: flows.PolicyCookie(p.ID).String(),
	}
	if !p.Created.IsZero() {
		detail.Created = new(p.Created.UTC())
	}
	return detail
}

func (p PolicyRecord) request() PolicyRequest {
	return PolicySpec{Policy: p.Policy, About: p.About}.request()
}

func (p PolicySpec) request() PolicyRequest {
	return PolicyRequest{
		Source: string(p.From), Destination: string(p.To), Protocol: p.Protocol.String(),
		Ports: Ports{Start: int(p.Ports.First), End: int(p.Ports.Last)},
		Name:  p.Name, Description: p.Description, Labels: p.Labels,
	}
}

// detailsOf renders some of all policies: the cookies of a policy's flows
// depend on the other policies of the same two apps.
func detailsOf(some, all []PolicyRecord) []PolicyDetail {
	type pair struct{ from, to flows.AppID }
	pairs := make(map[pair]bool, len(some))
	for _, p := range some {
		pairs[pair{p.From, p.To}] = true
	}
	var related []Policy
	for _, p := range all {
		if pairs[pair{p.From, p.To}] {
			related = append(related, p.Policy)
		}
	}
	cookies := cookiesOf(related)
	details := make([]PolicyDetail, len(some))
	for i, p := range some {
		details[i] = p.Detail()
		details[i].Cookies = cookies[p.ID]
	}
	return details
}

func (s *external) createPolicies(c echo.Context) error {
	var body PoliciesRequest
	if err := decodeNative(c, &body); err != nil {
		return err
	}
	if len(body.Policies) == 0 {
		return Invalid("policies: none is given")
	}
	wanted, err := specs(body.Policies)
	if err != nil {
		return err
	}
	return s.changePolicies(c, func(records []PolicyRecord) (PolicyChanges, error) {
		known := byContents(records)
		add := slices.Clone(wanted)
		for i := range add {
			add[i].Set = known[add[i].Policy].Set // it stays in the set that it is in
		}
		return PolicyChanges{Add: changed(add, known)}, nil
	}, func(records []PolicyRecord) []PolicyRecord {
		known := byContents(records)
		var made []PolicyRecord
		for _, spec := range wanted {
			if p, has := known[spec.Policy]; has { // else somebody has already removed it
				made = append(made, p)
			}
		}
		return made
	})
}

// byContents finds policies by what they allow.
func byContents(records []PolicyRecord) map[Policy]PolicyRecord {
	known := make(map[Policy]PolicyRecord, len(records))
	for _, p := range records {
		key := p.Policy
		key.ID = 0
		known[key] = p
	}
	return known
}

// changed returns those policies that are not there, or not with this description.
func changed(wanted []PolicySpec, known map[Policy]PolicyRecord) []PolicySpec {
	return slices.DeleteFunc(slices.Clone(wanted), func(p PolicySpec) bool {
		now, has := known[p.Policy]
		return has && now.About.equal(p.About)
	})
}

func (a About) equal(b About) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Set == b.Set && maps.Equal(a.Labels, b.Labels)
}

func (s *external) patchPolicy(c echo.Context) error {
	id, err := idParam(c)
	if err != nil {
		return err
	}
	var patch PolicyPatch
	if err := decodeNative(c, &patch); err != nil {
		return err
	}
	return s.changePolicies(c, func(records []PolicyRecord) (PolicyChanges, error) {
		p, err := findPolicy(records, id)
		if err != nil {
			return PolicyChanges{}, err
		}
		now := patch.apply(p.About)
		if err := now.check("body"); err != nil || now.equal(p.About) {
			return PolicyChanges{}, err
		}
		p.ID = 0
		return PolicyChanges{Add: []PolicySpec{{Policy: p.Policy, About: now}}}, nil
	}, func(records []PolicyRecord) []PolicyRecord {
		p, err := findPolicy(records, id)
		if err != nil {
			return nil
		}
		return []PolicyRecord{p}
	})
}

func (patch PolicyPatch) apply(about About) About {
	if patch.Name != nil {
		about.Name = *patch.Name
	}
	if patch.Description != nil {
		about.Description = *patch.Description
	}
	if patch.Labels != nil {
		about.Labels = *patch.Labels
	}
	return about
}

func (s *external) deletePolicy(c echo.Context) error {
	id, err := idParam(c)
	if err != nil {
		return err
	}
	var was PolicyRecord
	return s.changePolicies(c, func(records []PolicyRecord) (PolicyChanges, error) {
		if was, err = findPolicy(records, id); err != nil {
			return PolicyChanges{}, err
		}
		gone := was.Policy
		gone.ID = 0
		return PolicyChanges{Remove: []Policy{gone}}, nil
	}, func([]PolicyRecord) []PolicyRecord { return []PolicyRecord{was} })
}

// changePolicies writes what plan says, and answers with what tell says of the
// policies after it.
func (s *external) changePolicies(c echo.Context, plan planner, tell func([]PolicyRecord) []PolicyRecord) error {
	wait, err := parseWait(c.QueryParams())
	if err != nil {
		return err
	}
	_, revision, err := s.revise(c, plan)
	if err != nil {
		return err
	}
	records, _, err := s.records(c)
	if err != nil {
		return err
	}
	change := PoliciesChange{Revision: uint64(revision), Policies: detailsOf(tell(records), records)}
	if change.Pending, err = s.await(c, revision, wait); err != nil {
		return err
	}
	c.Response().Header().Set("ETag", etag(revision))
	return answerChange(c, revision, change, change.Pending)
}
