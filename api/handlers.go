package api

import (
	"context"
	"errors"
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
	policies, err := s.selected(c)
	if err != nil {
		return err
	}
	if c.Param("version") == "v0" {
		return answer(c, listV0(policies))
	}
	list := PoliciesPayload{TotalPolicies: len(policies), Policies: make([]PolicyBody, len(policies))}
	for i, p := range policies {
		list.Policies[i] = policyBody(p)
	}
	return answer(c, list)
}

// listV0 leaves out what v0 cannot say: ranges.
func listV0(policies []Policy) policiesV0 {
	list := policiesV0{Policies: []policyV0{}}
	for _, p := range policies {
		if p.Ports.First != p.Ports.Last {
			continue
		}
		list.Policies = append(list.Policies, policyV0{
			Source:      Source{ID: string(p.From)},
			Destination: destinationV0{ID: string(p.To), Protocol: p.Protocol.String(), Port: int(p.Ports.First)},
		})
	}
	list.TotalPolicies = len(list.Policies)
	return list
}

// selected reads the policies that the query's filters select.
func (s *external) selected(c echo.Context) ([]Policy, error) {
	policies, err := s.Policies.Policies(c.Request().Context())
	if err != nil {
		return nil, failed("database read failed", err)
	}
	return parseFilter(c.QueryParams()).apply(policies), nil
}

// change is how the controller adds or removes policies.
type change func(ctx context.Context, policies []Policy, order Order) (Revision, error)

func (s *external) addPolicies(c echo.Context) error {
	return s.write(c, s.Policies.AddPolicies, writeTexts{"failed reading request body", "database create failed"})
}

func (s *external) removePolicies(c echo.Context) error {
	return s.write(c, s.Policies.RemovePolicies, writeTexts{"invalid request body", "database delete failed"})
}

// writeTexts are the contract's texts in which create and delete differ.
type writeTexts struct{ unreadable, failed string }

func (s *external) write(c echo.Context, apply change, texts writeTexts) error {
	wait, err := parseWait(c.QueryParams())
	if err != nil {
		return err
	}
	policies, err := decodePolicies(c.Request().Body, c.Param("version"), texts.unreadable)
	if err != nil {
		return err
	}
	revision, err := apply(c.Request().Context(), policies, Order{By: callerOf(c).Name})
	if err != nil {
		return failed(texts.failed, err)
	}
	c.Response().Header().Set(revisionHeader, strconv.FormatUint(uint64(revision), 10))
	if wait.For == WaitNone {
		return answer(c, struct{}{})
	}
	return s.wait(c, revision, wait)
}

// wait answers when the switches hold revision, or at the timeout: 202 then.
func (s *external) wait(c echo.Context, revision Revision, wait Wait) error {
	control := http.NewResponseController(c.Response())
	deadlines := errors.Join(
		control.SetReadDeadline(time.Time{}), // the body is read; the wait must not end as a slow request
		control.SetWriteDeadline(time.Now().Add(wait.Timeout+ioTimeout)),
	)
	if deadlines != nil && !errors.Is(deadlines, http.ErrNotSupported) {
		return fmt.Errorf("setting deadlines: %w", deadlines)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait.Timeout)
	defer cancel()
	pending := s.Policies.WaitApplied(ctx, revision, wait.For == WaitAppliedAll)
	if len(pending) == 0 {
		return answer(c, struct{}{})
	}
	late := Change{Revision: revision}
	for _, cell := range pending {
		late.Pending = append(late.Pending, string(cell))
	}
	return c.Blob(http.StatusAccepted, jsonType, []byte(encode(late)))
}

func (s *external) listTags(c echo.Context) error {
	groups, err := s.Policies.Groups(c.Request().Context())
	if err != nil {
		return failed("database read failed", err)
	}
	list := TagsPayload{Tags: []Tag{}}
	for _, g := range groups {
		if g.Policies > 0 { // an app that only runs has an id, but no tag as upstream sees it
			list.Tags = append(list.Tags, Tag{ID: g.App, Tag: g.Tag, Type: g.Type})
		}
	}
	return answer(c, list)
}

// failed gives a failure of the controller the status (500) and text that the
// contract fixes. What they do not say travels in headers, if the cause is of
// a kind. A fault of the caller stays what it is.
func failed(text string, err error) error {
	e := &Error{Kind: KindOf(err), Text: text, cause: err, status: http.StatusInternalServerError}
	switch e.Kind {
	case ErrExhausted, ErrUnavailable:
		e.Detail = err.Error()
	case ErrInternal:
	default:
		return err
	}
	return e
}
