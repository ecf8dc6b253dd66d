package api_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weft-sdn/weft/api"
)

// anne may do what was granted last; nothing: her token is no longer good.
type anne struct{ scopes atomic.Value }

func (a *anne) Authenticate(*http.Request) (api.Caller, error) {
	scopes := a.scopes.Load().([]string)
	if scopes == nil {
		return api.Caller{}, api.Unauthorized("the token was revoked")
	}
	return api.Caller{Name: "anne", Subject: "anne-guid", Scopes: scopes}, nil
}

// busy has a change of policies every two seconds.
type busy struct{}

func (busy) PolicyChanges(ctx context.Context, after api.Revision) ([]api.AuditEntry, api.Revision, error) {
	select {
	case <-time.After(2 * time.Second):
		return []api.AuditEntry{{Revision: uint64(after + 1), Added: make([]api.PolicyDetail, 1)}}, after + 1, nil
	case <-ctx.Done():
		return nil, after, ctx.Err()
	}
}

// TestWatchEndsWithTheToken, or with what it is good for, also where there is
// always something to tell.
func TestWatchEndsWithTheToken(t *testing.T) {
	for name, left := range map[string][]string{"revoked": nil, "without scopes": {"openid"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, p, who := newExternal(), newPipes(), &anne{}
				who.scopes.Store([]string{api.ScopeAdmin})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- api.Server{Log: slog.New(slog.DiscardHandler), Handler: api.NewExternal(api.External{
						Policies: x, Fleet: x, Sets: x, Watch: busy{}, Auth: who, Started: time.Now(), Log: slog.New(slog.DiscardHandler),
					})}.Serve(ctx, p)
				}()
				conn := p.dial()
				if _, err := fmt.Fprintf(conn, "GET %s/watch HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n", api.Version); err != nil {
					t.Fatal(err)
				}
				begin, revoked, events := time.Now(), time.Time{}, 0
				for lines := bufio.NewScanner(conn); lines.Scan() && time.Since(begin) < 2*time.Minute; {
					if lines.Text() == "event: change" {
						events++
					}
					if revoked.IsZero() && time.Since(begin) > time.Minute {
						revoked = time.Now()
						who.scopes.Store(left)
					}
				}
				if revoked.IsZero() || events < 29 {
					t.Errorf("ended with a good token, after %v and %d events", time.Since(begin), events)
				} else if took := time.Since(revoked); took > 20*time.Second {
					t.Errorf("went on for %v", took)
				}
				_ = conn.Close()
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
