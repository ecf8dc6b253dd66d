package api_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

func (x *external) serve(t *testing.T, token string) *api.Client {
	t.Helper()
	server := httptest.NewServer(x.handler)
	t.Cleanup(server.Close)
	return api.NewClient(strings.TrimPrefix(server.URL, "http://")+"/", token)
}

var dogs = api.PolicyBody{
	Source:      api.Source{ID: "cats"},
	Destination: api.Destination{ID: "dogs", Protocol: "tcp", Ports: api.Ports{Start: 80, End: 81}},
}

// TestClient makes every call once.
func TestClient(t *testing.T) {
	x := newExternal()
	x.Cellular = []api.Cell{{Cell: "cell-1"}}
	x.Attached = []api.Endpoint{{Container: "c1"}}
	c := x.serve(t, token)
	ctx := t.Context()

	change, err := c.AddPolicies(ctx, []api.PolicyBody{dogs}, api.Wait{})
	if err != nil || change.Revision != 1 || change.Pending != nil {
		t.Errorf("AddPolicies: %+v, %v", change, err)
	}
	if list, err := c.Policies(ctx, api.Filter{}); err != nil || list.TotalPolicies != 1 || list.Policies[0] != dogs {
		t.Errorf("Policies: %+v, %v", list, err)
	}
	if list, err := c.Policies(ctx, api.Filter{ID: []string{}}); err != nil || list.TotalPolicies != 0 {
		t.Errorf("Policies of nobody: %+v, %v", list, err)
	}
	if list, _, err := c.PolicyDetails(ctx, api.DetailFilter{Filter: api.Filter{Source: []string{"a,b", "cats"}, Dest: []string{"dogs"}}}); err != nil || len(list) != 1 || list[0].ID != 1 {
		t.Errorf("PolicyDetails: %+v, %v", list, err)
	}
	if tags, err := c.Tags(ctx); err != nil || len(tags) != 2 || tags[0] != (api.Tag{ID: "cats", Tag: "0065", Type: "app"}) {
		t.Errorf("Tags: %+v, %v", tags, err)
	}
	if groups, err := c.Groups(ctx); err != nil || len(groups) != 2 || groups[1].Group != 102 {
		t.Errorf("Groups: %+v, %v", groups, err)
	}
	if cells, err := c.Cells(ctx); err != nil || !slices.Equal(cells, x.Cellular) {
		t.Errorf("Cells: %+v, %v", cells, err)
	}
	if endpoints, err := c.Endpoints(ctx); err != nil || !slices.Equal(endpoints, x.Attached) {
		t.Errorf("Endpoints: %+v, %v", endpoints, err)
	}
	if e, err := c.Explain(ctx, "0x4000000000000001"); err != nil || e.Policies[0].ID != 1 {
		t.Errorf("Explain: %+v, %v", e, err)
	}
	x.Late = []flows.CellID{"cell-2"}
	change, err = c.RemovePolicies(ctx, []api.PolicyBody{dogs}, api.Wait{For: api.WaitApplied, Timeout: 10 * time.Millisecond})
	if err != nil || change.Revision != 2 || !slices.Equal(change.Pending, []string{"cell-2"}) {
		t.Errorf("RemovePolicies: %+v, %v", change, err)
	}
	x.Late = nil
	change, err = c.RemovePolicies(ctx, []api.PolicyBody{dogs}, api.Wait{For: api.WaitAppliedAll})
	if err != nil || change.Revision != 3 || change.Pending != nil {
		t.Errorf("RemovePolicies again: %+v, %v", change, err)
	}
}

// TestClientFailures: each arrives as its kind, with all that the server tells.
func TestClientFailures(t *testing.T) {
	x := newExternal()
	c := x.serve(t, token)
	for kind, failure := range map[api.Kind]error{
		api.ErrExhausted: api.Exhausted("all ids in use"), api.ErrUnavailable: api.Unavailable("locked"),
		api.ErrConflict: api.Conflict("taken"), api.ErrInternal: errors.New("secret"),
	} {
		x.Failure = failure
		_, err := c.AddPolicies(t.Context(), []api.PolicyBody{dogs}, api.Wait{})
		if !errors.Is(err, kind) || strings.Contains(err.Error(), failure.Error()) != (kind != api.ErrInternal) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	x.Failure = nil
	if _, err := c.AddPolicies(t.Context(), nil, api.Wait{}); !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), "missing policies") {
		t.Errorf("no policies: %v", err)
	}
	if _, err := x.serve(t, "wrong").Cells(t.Context()); !errors.Is(err, api.ErrUnauthorized) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong token: %v", err)
	}
	if _, err := c.Explain(t.Context(), "a/../b?c"); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("odd cookie: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Cells(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestClientMeetsStrangers: what answers may not be a controller at all.
func TestClientMeetsStrangers(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := api.NewClient(closed.Addr().String(), "").Cells(t.Context()); !errors.Is(err, api.ErrUnavailable) || !strings.Contains(err.Error(), "no answer from http://"+closed.Addr().String()) {
		t.Errorf("nobody: %v", err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	agent := api.NewAgentClient(strings.Replace(plain.URL, "http:", "https:", 1), &tls.Config{MinVersion: tls.VersionTLS12})
	if _, err := agent.Lease(t.Context(), api.LeaseRequest{}); err == nil || !strings.Contains(err.Error(), "cells need the controller's internal listener") {
		t.Errorf("the external listener: %v", err)
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler()) // its certificate names 127.0.0.1 and example.com
	defer secure.Close()
	trust := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "weft.example"}
	if _, err := api.NewAgentClient(secure.URL, trust).Lease(t.Context(), api.LeaseRequest{}); err == nil || !strings.Contains(err.Error(), "not weft.example; reach the controller by a name that its certificate has") {
		t.Errorf("another name: %v", err)
	}
	if _, err := api.NewClient("http://[bad", "").Cells(t.Context()); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("bad address: %v", err)
	}
	for body, kind := range map[string]api.Kind{"4\x1b[2J": api.ErrNotFound, "<html>": api.ErrInternal, "404": api.ErrNotFound, "503": api.ErrUnavailable, "410": api.ErrGone} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			status := map[string]int{"4\x1b[2J": 404, "404": 404, "503": 503, "410": 410}[body]
			if status != 0 {
				w.WriteHeader(status)
			}
			_, _ = w.Write([]byte(body))
		}))
		if _, err := api.NewClient(server.URL, "").Cells(t.Context()); api.KindOf(err) != kind || err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", body, err)
		}
		server.Close()
	}
}

// TestKinds: constructors wrap, and the outermost kind counts.
func TestKinds(t *testing.T) {
	inner := errors.New("inner")
	err := api.Unavailable("database: %w", inner)
	if !errors.Is(err, inner) || !errors.Is(err, api.ErrUnavailable) || err.Error() != "database: inner" {
		t.Errorf("%v", err)
	}
	outer := api.Conflict("lease: %w", err)
	if api.KindOf(outer) != api.ErrConflict || !errors.Is(outer, api.ErrUnavailable) || errors.Is(outer, api.ErrGone) {
		t.Errorf("%v is of kind %s", outer, api.KindOf(outer))
	}
	if api.KindOf(inner) != api.ErrInternal {
		t.Errorf("an error without kind is %s", api.KindOf(inner))
	}
}

// TestClientFollowsNoRedirect: the token goes nowhere else, and a write that
// arrived as a read is no success.
func TestClientFollowsNoRedirect(t *testing.T) {
	x, seen := newExternal(), 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen++
		x.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		}))
		_, err := api.NewClient(server.URL, token).AddPolicies(t.Context(), []api.PolicyBody{dogs}, api.Wait{})
		if !errors.Is(err, api.ErrInvalid) || !strings.Contains(err.Error(), "it redirects to "+elsewhere.URL+":") || seen > 0 {
			t.Errorf("%d: %v, and %d requests elsewhere", status, err, seen)
		}
		server.Close()
	}
}
