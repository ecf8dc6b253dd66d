package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// A write is planned from the policies as they are, and refused if they have
// changed meanwhile. Unless the caller insists on a revision it is planned anew.
const (
	maxPlans  = 100
	planPause = 5 * time.Millisecond
)

// planner says what to change of the policies that the caller may see.
type planner func(records []PolicyRecord) (PolicyChanges, error)

// revise plans and writes, and returns what it wrote with the revision that
// last changed any policy after it.
func (s *external) revise(c echo.Context, plan planner) (PolicyChanges, Revision, error) {
	ctx := c.Request().Context()
	seen, err := ifMatch(c.Request())
	if err != nil {
		return PolicyChanges{}, 0, err
	}
	for range maxPlans {
		records, now, err := s.records(c)
		if err != nil {
			return PolicyChanges{}, 0, err
		}
		if seen != nil && *seen != now {
			return PolicyChanges{}, 0, outdated(*seen, now)
		}
		changes, revision, err := s.attempt(c, records, now, plan)
		if seen != nil || !errors.Is(err, ErrOutdated) {
			return changes, revision, err
		}
		select {
		case <-ctx.Done():
			return PolicyChanges{}, 0, ctx.Err()
		case <-time.After(planPause):
		}
	}
	return PolicyChanges{}, 0, Unavailable("others change policies all the time: try again")
}

func outdated(seen, now Revision) error {
	return Outdated("If-Match: the policies are not at revision %d, the newest is %d", seen, now)
}

// attempt tries once, with the policies as they were at a revision.
func (s *external) attempt(c echo.Context, records []PolicyRecord, now Revision, plan planner) (PolicyChanges, Revision, error) {
	changes, err := plan(records)
	if err != nil {
		return PolicyChanges{}, 0, err
	}
	if len(changes.Add) == 0 && len(changes.Remove) == 0 {
		return changes, now, nil
	}
	if err := s.mayWrite(c, changes.apps()); err != nil {
		return PolicyChanges{}, 0, err
	}
	order := Order{By: callerOf(c).Name, IfRevision: &now}
	if !callerOf(c).Has(ScopeAdmin) {
		order.MaxPerSource = s.MaxPerSource
	}
	revision, err := s.Sets.ChangePolicies(c.Request().Context(), changes, order)
	return changes, revision, err
}

// apps are those that the policies name.
func (p PolicyChanges) apps() map[flows.AppID]bool {
	apps := map[flows.AppID]bool{}
	for _, spec := range p.Add {
		apps[spec.From], apps[spec.To] = true, true
	}
	for _, policy := range p.Remove {
		apps[policy.From], apps[policy.To] = true, true
	}
	return apps
}

// await waits as the caller asked for the switches to hold a revision, and
// returns the cells that did not in time.
func (s *external) await(c echo.Context, revision Revision, wait Wait) ([]string, error) {
	if wait.For == WaitNone {
		return nil, nil
	}
	control := http.NewResponseController(c.Response())
	deadlines := errors.Join(
		control.SetReadDeadline(time.Time{}), // the body is read; the wait must not end as a slow request
		control.SetWriteDeadline(time.Now().Add(wait.Timeout+ioTimeout)),
	)
	if deadlines != nil && !errors.Is(deadlines, http.ErrNotSupported) {
		return nil, fmt.Errorf("setting deadlines: %w", deadlines)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait.Timeout)
	defer cancel()
	var pending []string
	for _, cell := range s.Policies.WaitApplied(ctx, revision, wait.For == WaitAppliedAll) {
		pending = append(pending, string(cell))
	}
	return pending, nil
}

// answerChange answers a write: 202 if cells are still to confirm it.
func answerChange(c echo.Context, revision Revision, value any, pending []string) error {
	c.Response().Header().Set(revisionHeader, strconv.FormatUint(uint64(revision), 10))
	status := http.StatusOK
	if len(pending) > 0 {
		status = http.StatusAccepted
	}
	return c.Blob(status, jsonType, []byte(encode(value)))
}
