package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// serve answers every request with the handler, which can look at its query.
func serve(t *testing.T, handler http.HandlerFunc) *api.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return api.NewClient(server.URL, "token")
}

// TestWatchReadsEvents of all shapes that the format has, and says how a
// stream ended.
func TestWatchReadsEvents(t *testing.T) {
	stop := errors.New("seen enough")
	for name, c := range map[string]struct {
		stream string
		seen   int
		ends   error
	}{
		"closed":       {"id: 1\n: from here on\n\n", 0, api.ErrUnavailable},
		"one":          {"id: 2\nevent: change\ndata: {\"by\":\"alice\"}\n\n: ping\n\n", 1, api.ErrUnavailable},
		"lines":        {"event: change\ndata: {\"by\":\ndata: \"alice\"}\n\n", 1, api.ErrUnavailable},
		"crlf":         {"event: change\r\ndata: {\"by\":\"alice\"}\r\n\r\n", 1, api.ErrUnavailable},
		"half":         {"event: change\ndata: {\"by\":\"alice\"}\n", 0, api.ErrUnavailable},
		"others":       {"event: future\ndata: ?\n\nretry: 5\n\n", 0, api.ErrUnavailable},
		"cut":          {"event: cut\ndata: {\"detail\":\"too far behind\"}\n\nevent: change\ndata: {}\n\n", 0, api.ErrGone},
		"stopped":      {"event: change\ndata: {\"by\":\"alice\"}\n\nevent: change\ndata: {\"by\":\"stop\"}\n\n", 2, stop},
		"not an event": {"event: change\ndata: banana\n\n", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, c.stream) })
			seen := 0
			err := client.Watch(t.Context(), func(e api.AuditEntry) error {
				seen++
				if e.By == "stop" {
					return stop
				}
				if e.By != "alice" {
					t.Errorf("an event of %q", e.By)
				}
				return nil
			})
			if seen != c.seen || err == nil || c.ends != nil && !errors.Is(err, c.ends) {
				t.Errorf("%d events and %v, want %d and %v", seen, err, c.seen, c.ends)
			}
		})
	}
}

// TestWatchEndsWithItsContext, without an error of the connection.
func TestWatchEndsWithItsContext(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, ": from here on\n\n")
		_ = http.NewResponseController(w).Flush() // the reader sees what is missing
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := client.Watch(ctx, func(api.AuditEntry) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the watch ended with %v", err)
	}
}

// TestPoliciesComeInPages, and a server that names the same page for ever ends
// nobody's patience.
func TestPoliciesComeInPages(t *testing.T) {
	pages := map[string]string{
		"":  `{"policies":[{"id":1}],"revision":7,"next":"1"}`,
		"1": `{"policies":[{"id":2}],"revision":8,"next":"2"}`,
		"2": `{"policies":[{"id":3}],"revision":8,"next":"2"}`,
	}
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("set") != "shop" || q.Get("label") != "team=a&b" || q.Get("source_id") != "cats,dogs" {
			t.Errorf("asked for %s", r.URL.RawQuery)
		}
		_, _ = fmt.Fprint(w, pages[q.Get("after")])
	})
	list, revision, err := client.PolicyDetails(t.Context(), api.DetailFilter{
		Filter: api.Filter{Source: []string{"cats", "dogs"}}, Set: "shop", Labels: map[string]string{"team": "a&b"},
	})
	if err != nil || len(list) != 3 || list[2].ID != 3 || revision != 7 {
		t.Errorf("%v, revision %d, %v", list, revision, err)
	}
}

// TestProblemsAreErrors of the kind and with the words of the server.
func TestProblemsAreErrors(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("If-Match"); got != `"7"` {
			t.Errorf("If-Match is %s", got)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusPreconditionFailed)
		_, _ = fmt.Fprint(w, `{"type":"about:blank","title":"Precondition Failed","status":412,"detail":"the newest is 9","kind":"outdated"}`)
	})
	_, err := client.ApplySet(t.Context(), "a/b", api.PolicySet{}, api.SetOptions{IfRevision: 7})
	if !errors.Is(err, api.ErrOutdated) || err.Error() != `applying set "a/b": the newest is 9` {
		t.Errorf("%v", err)
	}
}
