package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/api/internal/memory"
)

// everybody is who makes each request, whatever it carries.
type everybody api.Caller

// Authenticate returns it.
func (e everybody) Authenticate(*http.Request) (api.Caller, error) { return api.Caller(e), nil }

// TestNoPlatform: where nobody knows whose the apps are, only administrators
// write and see policies, and no app is gone.
func TestNoPlatform(t *testing.T) {
	x := memory.New()
	as := func(scope, method, path, body string) *httptest.ResponseRecorder {
		handler := api.NewExternal(api.External{
			Policies: x, Fleet: x, Auth: everybody{Name: "ann", Subject: "ann-guid", Scopes: []string{scope}}, Log: slog.New(slog.DiscardHandler),
		})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, prefix+path, strings.NewReader(body)))
		return w
	}
	all := `{"total_policies":1,` + catsToDogs[1:]
	want(t, as(api.ScopeAdmin, "POST", "/policies", catsToDogs), 200, `{}`)
	want(t, as(api.ScopeAdmin, "POST", "/policies/cleanup", ""), 200, `{"total_policies":0,"policies":[]}`)
	want(t, as(api.ScopeAdmin, "GET", "/policies", ""), 200, all)
	want(t, as(api.ScopeWrite, "GET", "/policies", ""), 200, `{"total_policies":0,"policies":[]}`)
	for _, path := range []string{"/policies", "/policies/delete"} {
		want(t, as(api.ScopeWrite, "POST", path, catsToDogs), 403, `{"error": "one or more applications cannot be found or accessed"}`)
	}
	want(t, as("other", "GET", "/policies", ""), 403, `{"error": "provided scopes [other] do not include allowed scopes [network.admin network.write]"}`)
}
