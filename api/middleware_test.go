package api_test

import (
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
)

// TestAuthentication holds section 1.4 for tokens, and that nobody passes unseen.
func TestAuthentication(t *testing.T) {
	const missing, wrong = `{"error": "missing authorization header"}`, `{"error": "failed to verify token: it is not this controller's token"}`
	x := newExternal()
	for _, path := range []string{
		prefix + "/policies", prefix + "/tags", prefix + "/whoami", "/networking/v0/external/policies",
		"/weft/v1/cells", "/weft/v1/endpoints", "/weft/v1/groups", "/weft/v1/policies", "/weft/v1/cookies/0x1",
	} {
		for header, body := range map[string]string{
			"": missing, "Bearer ": wrong, "Bearer": wrong, "Bearer nope": wrong, "Basic " + token: wrong,
			"Bearer " + token + "x": wrong, "BEARER " + token: wrong,
		} {
			w := x.call("GET", path, "", "Authorization", header)
			if strings.HasPrefix(path, "/weft") {
				wantProblem(t, w, 401, strings.Split(body, `"`)[3])
			} else {
				want(t, w, 401, body)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		}
	}
	for _, path := range []string{"/policies", "/policies/delete"} {
		want(t, x.call("POST", prefix+path, `bad`, "Authorization", ""), 401, missing)
	}
	for _, header := range []string{"Bearer " + token, "bearer " + token, token} {
		want(t, x.call("GET", prefix+"/policies", "", "Authorization", header), 200, `{"total_policies":0,"policies":[]}`)
	}
	if strings.Contains(x.log.String(), token) {
		t.Error("the log holds the token")
	}
}

// TestEmptyTokenLetsNobodyIn: a controller without a token is closed, not open.
func TestEmptyTokenLetsNobodyIn(t *testing.T) {
	for _, header := range []string{"", "Bearer ", "bearer ", "x"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		if _, err := api.TokenAuth("").Authenticate(r); !errors.Is(err, api.ErrUnauthorized) {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// TestVersionComesBeforeAuthentication, as upstream.
func TestVersionComesBeforeAuthentication(t *testing.T) {
	x := newExternal()
	for _, header := range []string{"", "Bearer " + token} {
		w := x.call("GET", "/networking/v2/external/policies", "", "Authorization", header)
		want(t, w, 406, `{"error": "api version 'v2' not supported"}`)
		w = x.call("POST", "/networking/%22/external/policies", "", "Authorization", header)
		want(t, w, 406, `{"error": "api version '\"' not supported"}`)
	}
}

// TestWrongPathsAndMethods are answered in text, not in JSON.
func TestWrongPathsAndMethods(t *testing.T) {
	x := newExternal()
	for _, path := range []string{"/nope", prefix, prefix + "/", prefix + "/policies/", prefix + "/policies/x", "/networking/", "/networking/v1/internal/policies", "/weft/v1", "/networking/v2/external/nope"} {
		want(t, x.call("GET", path, ""), 404, "404 page not found\n")
	}
	wantProblem(t, x.call("GET", "/weft/v1/stream", ""), 404, "GET /weft/v1/stream is not part of the API: see /openapi.json")
	wantProblem(t, x.call("POST", "/weft/v1/cells", ""), 405, "POST /weft/v1/cells is not part of the API: see /openapi.json")
	for _, at := range [][2]string{
		{"DELETE", prefix + "/policies"}, {"GET", prefix + "/policies/delete"}, {"POST", prefix + "/tags"}, {"HEAD", prefix + "/policies"}, {"POST", "/health"},
	} {
		w := x.call(at[0], at[1], "")
		want(t, w, 405, "Method Not Allowed\n")
		if w.Header().Get("Allow") == "" {
			t.Errorf("%v: no Allow header", at)
		}
	}
}

// TestHeaders holds section 1.2.
func TestHeaders(t *testing.T) {
	x := newExternal()
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, path := range []string{"/", "/health", prefix + "/policies", "/nope", "/networking/v9/external/tags", "/weft/v1/cells"} {
		h := x.call("GET", path, "").Header()
		for name, value := range map[string]string{
			"X-XSS-Protection": "1; mode=block", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "deny", "Content-Security-Policy": "frame-ancestors 'none'",
			"Strict-Transport-Security": "", "Access-Control-Allow-Origin": "",
		} {
			if got := h.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if id := h.Get("X-Vcap-Request-Id"); !uuid.MatchString(id) {
			t.Errorf("%s: request id is %q", path, id)
		}
	}
	id := x.call("GET", "/", "", "X-VCAP-Request-ID", "abc").Header().Get("X-Vcap-Request-Id")
	if rest, ok := strings.CutPrefix(id, "abc::"); !ok || !uuid.MatchString(rest) {
		t.Errorf("request id is %q", id)
	}
	if !strings.Contains(x.log.String(), "request="+id) {
		t.Error("the log does not hold the request id")
	}
	long := x.call("GET", "/", "", "X-VCAP-Request-ID", strings.Repeat("x", 5000)).Header().Get("X-Vcap-Request-Id")
	if len(long) > 300 {
		t.Errorf("a request id of %d bytes was taken over", len(long))
	}
}

// TestCORS: browsers learn what they may do, and need no token to ask.
func TestCORS(t *testing.T) {
	x := newExternal()
	for path, methods := range map[string]string{
		"/policies": "POST,GET,OPTIONS", "/policies/delete": "POST,OPTIONS", "/tags": "GET,OPTIONS", "/whoami": "GET,OPTIONS",
	} {
		for origin, allowed := range map[string]string{"https://ui.example.com": "https://ui.example.com", "https://evil.example.com": ""} {
			w := x.call("OPTIONS", prefix+path, "", "Authorization", "", "Origin", origin)
			want(t, w, 200, "")
			h := w.Header()
			if h.Get("Access-Control-Allow-Methods") != methods || h.Get("Access-Control-Allow-Headers") != "authorization" || h.Get("Access-Control-Allow-Origin") != allowed {
				t.Errorf("%s from %s: %v", path, origin, h)
			}
			if h.Get("X-Vcap-Request-Id") != "" {
				t.Errorf("%s: OPTIONS has a request id", path)
			}
		}
	}
	w := x.call("GET", prefix+"/tags", "", "Origin", "https://evil.example.com")
	want(t, w, 200, `{"tags":[]}`) // served, but no page of theirs may read it
}
