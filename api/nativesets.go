package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

func (s *external) listSets(c echo.Context) error {
	records, revision, err := s.records(c)
	if err != nil {
		return err
	}
	if s.notModified(c, revision) {
		return c.NoContent(http.StatusNotModified)
	}
	count := map[string]int{}
	for _, p := range records {
		if p.Set != "" {
			count[p.Set]++
		}
	}
	list := SetsList{Sets: []SetInfo{}, Revision: uint64(revision)}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		list.Sets = append(list.Sets, SetInfo{Name: name, Policies: count[name]})
	}
	return answer(c, list)
}

func (s *external) getSet(c echo.Context) error {
	name, err := setParam(c)
	if err != nil {
		return err
	}
	records, revision, err := s.records(c)
	if err != nil {
		return err
	}
	var own []PolicyRecord
	for _, p := range records {
		if p.Set == name {
			own = append(own, p)
		}
	}
	if len(own) == 0 {
		return NotFound("name: no policy is in a set %q", name)
	}
	if s.notModified(c, revision) {
		return c.NoContent(http.StatusNotModified)
	}
	return answer(c, PolicyDetailsList{Policies: detailsOf(own, records), Revision: uint64(revision)})
}

// setOrder is what a request wants of a policy set.
type setOrder struct {
	name     string
	policies []PolicySpec
	prune    bool
}

// difference compares a set with the policies that there are: what has to be
// written, and the same for people. A policy of no set joins this one; another
// set keeps its own, or two files would take it from each other for ever.
func (o setOrder) difference(records []PolicyRecord) (PolicyChanges, PolicySetChange, error) {
	known := byContents(records)
	changes := PolicyChanges{}
	tell := PolicySetChange{Added: []PolicyRequest{}, Updated: []PolicyRequest{}, Removed: []PolicyRequest{}}
	wanted := make(map[Policy]bool, len(o.policies))
	for i, spec := range o.policies {
		spec.Set = o.name
		wanted[spec.Policy] = true
		now, has := known[spec.Policy]
		switch {
		case !has:
			tell.Added = append(tell.Added, spec.request())
		case now.Set != "" && now.Set != o.name:
			return PolicyChanges{}, PolicySetChange{}, Conflict("policies[%d]: policy %d is in the set %q: take it out there first", i, now.ID, now.Set)
		case now.About.equal(spec.About):
			tell.Unchanged++
			continue
		default:
			tell.Updated = append(tell.Updated, spec.request())
		}
		changes.Add = append(changes.Add, spec)
	}
	for _, p := range records {
		key := p.Policy
		key.ID = 0
		if o.prune && p.Set == o.name && !wanted[key] {
			tell.Removed = append(tell.Removed, p.request())
			changes.Remove = append(changes.Remove, key)
		}
	}
	return changes, tell, nil
}

func parseSetOrder(c echo.Context) (setOrder, error) {
	name, err := setParam(c)
	if err != nil {
		return setOrder{}, err
	}
	prune, err := flagParam(c.QueryParams(), "prune")
	if err != nil {
		return setOrder{}, err
	}
	var body PolicySet
	if err := decodeNative(c, &body); err != nil {
		return setOrder{}, err
	}
	if body.Policies == nil {
		return setOrder{}, Invalid("policies: it is not given: an empty set is []")
	}
	policies, err := specs(body.Policies)
	return setOrder{name: name, policies: policies, prune: prune}, err
}

func (s *external) putSet(c echo.Context) error {
	dry, err := flagParam(c.QueryParams(), "dry_run")
	if err != nil {
		return err
	}
	wait, err := parseWait(c.QueryParams())
	if err != nil {
		return err
	}
	order, err := parseSetOrder(c)
	if err != nil {
		return err
	}
	if dry {
		return s.tryPut(c, order)
	}
	var tell PolicySetChange
	changes, revision, err := s.revise(c, func(records []PolicyRecord) (changes PolicyChanges, err error) {
		changes, tell, err = order.difference(records)
		return changes, err
	})
	if err != nil {
		return err
	}
	if tell.Pending, err = s.await(c, revision, wait); err != nil {
		return err
	}
	if len(changes.Add)+len(changes.Remove) > 0 {
		tell.Revision = uint64(revision)
	}
	c.Response().Header().Set("ETag", etag(revision))
	return answerChange(c, revision, tell, tell.Pending)
}

// tryPut answers what putSet would do, and its ETag is what an If-Match has to
// name so that it does just this.
func (s *external) tryPut(c echo.Context, order setOrder) error {
	seen, err := ifMatch(c.Request())
	if err != nil {
		return err
	}
	records, now, err := s.records(c)
	if err != nil {
		return err
	}
	if seen != nil && *seen != now {
		return outdated(*seen, now)
	}
	changes, tell, err := order.difference(records)
	if err != nil {
		return err
	}
	if err := s.mayWrite(c, changes.apps()); err != nil {
		return err
	}
	c.Response().Header().Set("ETag", etag(now))
	return answer(c, tell)
}
