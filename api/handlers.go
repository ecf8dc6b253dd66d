package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// Handlers of the external API: decode, validate, call, encode. Decisions
// belong to the controller.

func (s *external) uptime(c echo.Context) error {
	return c.String(http.StatusOK, fmt.Sprintf("Network policy server, up for %v\n", time.Since(s.Started)))
}

func (s *external) health(c echo.Context) error {
	if err := s.Fleet.Healthy(c.Request().Context()); err != nil {
		return failed("check database failed", err)
	}
	return c.NoContent(http.StatusOK)
}

func (s *external) whoami(c echo.Context) error {
	return answer(c, struct {
		Subject string `json:"subject"`
	}{callerOf(c).Name})
}

func (s *external) listPolicies(c echo.Context) error {
	policies, err := s.Policies.Policies(c.Request().Context(), parseFilter(c.QueryParams()))
	if err != nil {
		return failed("database read failed", err)
	}
	if policies, err = s.visiblePolicies(c, policies); err != nil {
		return broken("filter policies failed", err)
	}
	return writePolicies(c, c.Param("version"), policies)
}

func (s *external) addPolicies(c echo.Context) error {
	caller := callerOf(c)
	order, failure := Order{By: caller.Name}, "database create failed"
	if !caller.Has(ScopeAdmin) {
		order.MaxPerSource = s.MaxPerSource
	}
	return s.write(c, writing{
		unreadable: "failed reading request body", logged: "created-policies",
		apply: func(ctx context.Context, policies []Policy) (Revision, error) {
			revision, err := s.Policies.AddPolicies(ctx, policies, order)
			switch kind := KindOf(err); {
			case err == nil:
				return revision, nil
			case kind == ErrQuota:
				return 0, &Error{Kind: ErrQuota, Text: "policy quota exceeded", Detail: err.Error(), cause: err}
			case order.MaxPerSource > 0 && kind != ErrExhausted: // upstream counts first
				failure = "check quota failed"
			}
			return 0, failed(failure, err)
		},
	})
}

func (s *external) removePolicies(c echo.Context) error {
	return s.write(c, writing{
		unreadable: "invalid request body", logged: "deleted-policies",
		apply: func(ctx context.Context, policies []Policy) (Revision, error) {
			revision, err := s.Policies.RemovePolicies(ctx, policies, Order{By: callerOf(c).Name})
			if err != nil {
				return 0, failed("database delete failed", err)
			}
			return revision, nil
		},
	})
}

// writing is what create and delete differ in.
type writing struct {
	unreadable string // the contract's text for a body that cannot be read
	logged     string // what the audit trail calls it
	apply      func(context.Context, []Policy) (Revision, error)
}

func (s *external) write(c echo.Context, w writing) error {
	wait, err := parseWait(c.QueryParams())
	if err != nil {
		return err
	}
	policies, err := decodePolicies(c.Request().Body, c.Param("version"), w.unreadable)
	if err != nil {
		return err
	}
	if err := s.guard(c, policies); err != nil {
		return err
	}
	revision, err := w.apply(c.Request().Context(), policies)
	if err != nil {
		return err
	}
	s.Log.Info(w.logged, "userName", callerOf(c).Name, "policies", loggedPolicies(policies),
		"revision", revision, "request", c.Response().Header().Get(requestIDHeader))
	c.Response().Header().Set(revisionHeader, strconv.FormatUint(uint64(revision), 10))
	if wait.For == WaitNone {
		return answer(c, struct{}{})
	}
	return s.wait(c, revision, wait)
}

// cleanup removes the policies of apps that are gone, and lists them; in v1's
// shape, whatever the version, as upstream.
func (s *external) cleanup(c echo.Context) error {
	removed, err := s.Policies.CleanUp(c.Request().Context(), s.Access, callerOf(c).Name)
	if err != nil {
		return broken("policies cleanup failed", err)
	}
	return writePolicies(c, "v1", removed)
}

// wait answers when the switches hold revision, or at the timeout: 202 then.
func (s *external) wait(c echo.Context, revision Revision, wait Wait) error {
	pending, err := s.await(c, revision, wait)
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		return answer(c, struct{}{})
	}
	return c.Blob(http.StatusAccepted, jsonType, []byte(encode(Change{Revision: revision, Pending: pending})))
}

func (s *external) listTags(c echo.Context) error {
	groups, err := s.Policies.Groups(c.Request().Context())
	if err != nil {
		return failed("database read failed", err)
	}
	list := TagsPayload{Tags: []Tag{}}
	for _, g := range groups {
		if g.State == GroupQuarantined || g.Type == "app" && g.Policies == 0 {
			continue // an app that only runs has an id, but no tag as upstream sees it
		}
		list.Tags = append(list.Tags, Tag{ID: g.App, Tag: fmt.Sprintf("%0*X", s.TagDigits, g.Group), Type: g.Type})
	}
	return answer(c, list)
}

// failed gives a failure of the controller the status (500) and text that the
// contract fixes. A fault of the caller stays what it is.
func failed(text string, err error) error {
	switch KindOf(err) {
	case ErrExhausted, ErrUnavailable, ErrInternal:
		return broken(text, err)
	}
	return err
}

// broken gives any failure the status (500) and text that the contract fixes.
// What they do not say travels in headers, if it helps the caller.
func broken(text string, err error) error {
	e := &Error{Kind: ErrInternal, Text: text, cause: err, status: http.StatusInternalServerError}
	if kind := KindOf(err); kind == ErrExhausted || kind == ErrUnavailable {
		e.Kind, e.Detail = kind, err.Error()
	}
	return e
}
