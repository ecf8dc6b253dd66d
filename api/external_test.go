package api_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/api/internal/memory"
	"github.com/weft-sdn/weft/flows"
)

const (
	token  = "s3cret-token"
	prefix = "/networking/v1/external"
)

// external serves the external API over a fresh memory; its log is kept.
type external struct {
	*memory.Controller
	handler http.Handler
	log     bytes.Buffer
}

func newExternal() *external {
	x := &external{Controller: memory.New()}
	x.handler = api.NewExternal(api.External{
		Policies: x, Fleet: x, Auth: api.TokenAuth(token), Started: time.Now(),
		Log:  slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		CORS: []string{"https://ui.example.com"},
	})
	return x
}

// call makes one request with the right token, unless header sets another.
func (x *external) call(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, r)
	return w
}

// want checks status and body, byte for byte.
func want(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("got  %d %q\nwant %d %q", w.Code, w.Body.String(), status, body)
	}
}

func policy(source, destination, protocol, ports string) string {
	return `{"policies":[{"source":{"id":"` + source + `"},"destination":{"id":"` + destination + `","protocol":"` + protocol + `","ports":` + ports + `}}]}`
}

const catsToDogs = `{"policies":[{"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}}}]}`

// TestPolicyFaults holds the contract's texts and their order (section 1.7).
func TestPolicyFaults(t *testing.T) {
	const validate = "mapper: validate policies: "
	for _, tt := range []struct{ name, body, text string }{
		{"empty body", ``, "mapper: unmarshal json: unexpected end of JSON input"},
		{"not JSON", `bad`, "mapper: unmarshal json: invalid character 'b' looking for beginning of value"},
		{"trailing", `{}x`, "mapper: unmarshal json: invalid character 'x' after top-level value"},
		{"array", `[]`, "mapper: unmarshal json: json: cannot unmarshal array into Go value of type api.PoliciesPayload"},
		{"port is text", policy("a", "b", "tcp", `{"start":"80"}`), "mapper: unmarshal json: json: cannot unmarshal string into Go struct field Ports.policies.destination.ports.start of type int"},
		{"port is a fraction", policy("a", "b", "tcp", `{"start":80.5}`), "mapper: unmarshal json: json: cannot unmarshal number 80.5 into Go struct field Ports.policies.destination.ports.start of type int"},
		{"policy is text", `{"policies":["x"]}`, "mapper: unmarshal json: json: cannot unmarshal string into Go struct field PoliciesPayload.policies of type api.Policy"},
		{"null", `null`, validate + "missing policies"},
		{"no policies", `{}`, validate + "missing policies"},
		{"policies null", `{"policies":null}`, validate + "missing policies"},
		{"policies empty", `{"policies":[]}`, validate + "missing policies"},
		{"all missing", `{"policies":[{}]}`, validate + "missing source id"},
		{"source", policy("", "", "", `{}`), validate + "missing source id"},
		{"destination", policy("a", "", "", `{}`), validate + "missing destination id"},
		{"protocol missing", policy("a", "b", "", `{}`), validate + "invalid destination protocol, specify either udp or tcp"},
		{"protocol icmp", policy("a", "b", "icmp", `{"start":5,"end":2}`), validate + "invalid destination protocol, specify either udp or tcp"},
		{"protocol case", policy("a", "b", "TCP", `{"start":5,"end":5}`), validate + "invalid destination protocol, specify either udp or tcp"},
		{"range backwards", policy("a", "b", "tcp", `{"start":5,"end":2}`), validate + "invalid port range 5-2, start must be less than or equal to end"},
		{"end missing", policy("a", "b", "tcp", `{"start":5}`), validate + "invalid port range 5-0, start must be less than or equal to end"},
		{"start negative", policy("a", "b", "tcp", `{"start":-1,"end":2}`), validate + "invalid start port -1, must be in range 1-65535"},
		{"start zero", policy("a", "b", "tcp", `{"start":0,"end":70000}`), validate + "missing start port"},
		{"ports missing", `{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp"}}]}`, validate + "missing start port"},
		{"end large", policy("a", "b", "tcp", `{"start":1,"end":65536}`), validate + "invalid end port 65536, must be in range 1-65535"},
		{"both large", policy("a", "b", "tcp", `{"start":70000,"end":70000}`), validate + "invalid end port 70000, must be in range 1-65535"},
		{"source tag", `{"policies":[{"source":{"id":"a","tag":"0001"},"destination":{"id":"b","protocol":"tcp","ports":{"start":1,"end":2}}}]}`, validate + "tags may not be specified"},
		{"destination tag", `{"policies":[{"source":{"id":"a"},"destination":{"id":"b","tag":"1","protocol":"tcp","ports":{"start":1,"end":2}}}]}`, validate + "tags may not be specified"},
		{"ports before tags", `{"policies":[{"source":{"id":"a","tag":"1"},"destination":{"id":"b","protocol":"tcp","ports":{"start":0,"end":2}}}]}`, validate + "missing start port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newExternal()
			for _, path := range []string{"/policies", "/policies/delete"} {
				w := x.call("POST", prefix+path, tt.body)
				want(t, w, 400, `{"error": "`+tt.text+`"}`)
			}
			if list, _ := x.Policies(t.Context()); len(list) != 0 {
				t.Errorf("a faulty request left %v", list)
			}
		})
	}
}

// TestPolicyFaultsV0 holds v0's texts, where they differ.
func TestPolicyFaultsV0(t *testing.T) {
	for port, text := range map[string]string{
		`-1`:    "invalid port -1, must be in range 1-65535",
		`0`:     "missing port",
		`65536`: "invalid port 65536, must be in range 1-65535",
	} {
		w := newExternal().call("POST", "/networking/v0/external/policies",
			`{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp","port":`+port+`}}]}`)
		want(t, w, 400, `{"error": "mapper: validate policies: `+text+`"}`)
	}
	w := newExternal().call("POST", "/networking/v0/external/policies", `{`)
	want(t, w, 400, `{"error": "mapper: unmarshal json: unexpected end of JSON input"}`)
}

// TestFirstFaultyPolicyIsTold and nothing of the request is kept.
func TestFirstFaultyPolicyIsTold(t *testing.T) {
	x := newExternal()
	w := x.call("POST", prefix+"/policies", `{"policies":[
		{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp","ports":{"start":1,"end":2}}},
		{"source":{"id":"a"},"destination":{"id":""}},
		{"source":{"id":""}}]}`)
	want(t, w, 400, `{"error": "mapper: validate policies: missing destination id"}`)
	want(t, x.call("GET", prefix+"/policies", ""), 200, `{"total_policies":0,"policies":[]}`)
}

// TestWriteAndList is the life of a policy in both versions.
func TestWriteAndList(t *testing.T) {
	x := newExternal()
	w := x.call("POST", prefix+"/policies", catsToDogs)
	want(t, w, 200, `{}`)
	if got := w.Header().Get("Weft-Revision"); got != "1" {
		t.Errorf("revision is %q", got)
	}
	want(t, x.call("POST", prefix+"/policies", catsToDogs), 200, `{}`) // again: nothing changes
	want(t, x.call("POST", "/networking/v0/external/policies",
		`{"unknown":1,"policies":[{"source":{"id":"<&>"},"destination":{"id":"dogs","protocol":"udp","port":53}}]}`), 200, `{}`)

	w = x.call("GET", prefix+"/policies", "")
	want(t, w, 200, `{"total_policies":2,"policies":[`+
		`{"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}}},`+
		`{"source":{"id":"<&>"},"destination":{"id":"dogs","protocol":"udp","ports":{"start":53,"end":53}}}]}`)
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("content type is %q", got)
	}
	want(t, x.call("GET", "/networking/v0/external/policies", ""), 200, // ranges are left out
		`{"total_policies":1,"policies":[{"source":{"id":"<&>"},"destination":{"id":"dogs","protocol":"udp","port":53}}]}`)
	want(t, x.call("GET", prefix+"/tags", ""), 200,
		`{"tags":[{"id":"cats","tag":"0065","type":"app"},{"id":"dogs","tag":"0066","type":"app"},{"id":"<&>","tag":"0067","type":"app"}]}`)

	want(t, x.call("POST", prefix+"/policies/delete", catsToDogs), 200, `{}`)
	want(t, x.call("POST", prefix+"/policies/delete", catsToDogs), 200, `{}`) // not there: not an error
	want(t, x.call("GET", prefix+"/tags", ""), 200,                           // cats no longer
		`{"tags":[{"id":"dogs","tag":"0066","type":"app"},{"id":"<&>","tag":"0067","type":"app"}]}`)
	want(t, x.call("GET", prefix+"/whoami", ""), 200, `{"subject":"token"}`)
}

// TestFilters holds section 1.11.
func TestFilters(t *testing.T) {
	x := newExternal()
	for _, pair := range []string{"a b", "b c", "c a", "c c"} {
		from, to, _ := strings.Cut(pair, " ")
		want(t, x.call("POST", prefix+"/policies", policy(from, to, "tcp", `{"start":1,"end":1}`)), 200, `{}`)
	}
	pair := regexp.MustCompile(`"source":\{"id":"(.)"\},"destination":\{"id":"(.)"`)
	for query, pairs := range map[string]string{
		"":                         "ab bc ca cc",
		"?id=a":                    "ab ca",
		"?id=a,b":                  "ab bc ca",
		"?id=a&id=b":               "ab ca", // only the first counts
		"?id=":                     "",
		"?id=&source_id=a":         "", // id wins
		"?id=zzz":                  "",
		"?id=c&source_id=a":        "bc ca cc",
		"?source_id=c":             "ca cc",
		"?source_id=a,b":           "ab bc",
		"?dest_id=c":               "bc cc",
		"?source_id=c&dest_id=c":   "cc",
		"?source_id=&dest_id=c":    "",
		"?source_id=a&source_id=c": "ab",
		"?other=1":                 "ab bc ca cc",
	} {
		var got []string
		for _, m := range pair.FindAllStringSubmatch(x.call("GET", prefix+"/policies"+query, "").Body.String(), -1) {
			got = append(got, m[1]+m[2])
		}
		if strings.Join(got, " ") != pairs {
			t.Errorf("%q: got %v, want %v", query, got, pairs)
		}
	}
}

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
			want(t, w, 401, body)
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
	for _, path := range []string{"/nope", prefix, prefix + "/", prefix + "/policies/", prefix + "/policies/x", "/networking/", "/networking/v1/internal/policies", "/weft/v1", "/weft/v1/stream", "/networking/v2/external/nope"} {
		want(t, x.call("GET", path, ""), 404, "404 page not found\n")
	}
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

// TestControllerDown holds section 1.13, and that nothing leaks from inside.
func TestControllerDown(t *testing.T) {
	x := newExternal()
	for _, failure := range []struct {
		err          error
		kind, detail string
	}{
		{errors.New(`near "SELECT": password=hunter2`), "internal", ""},
		{api.Unavailable("database is locked"), "unavailable", "database is locked"},
		{api.Exhausted("all 65535 group ids are in use"), "exhausted", "all 65535 group ids are in use"},
	} {
		x.Failure = failure.err
		for _, tt := range []struct{ method, path, text string }{
			{"GET", "/health", "check database failed"},
			{"GET", prefix + "/policies", "database read failed"},
			{"GET", prefix + "/tags", "database read failed"},
			{"POST", prefix + "/policies", "database create failed"},
			{"POST", prefix + "/policies/delete", "database delete failed"},
		} {
			w := x.call(tt.method, tt.path, catsToDogs)
			want(t, w, 500, `{"error": "`+tt.text+`"}`)
			if k, d := w.Header().Get("Weft-Error-Kind"), w.Header().Get("Weft-Error-Detail"); k != failure.kind || d != failure.detail {
				t.Errorf("%s: told %q %q", tt.path, k, d)
			}
		}
		want(t, x.call("GET", prefix+"/whoami", ""), 200, `{"subject":"token"}`)
		if w := x.call("GET", "/", ""); w.Code != 200 || !regexp.MustCompile(`^Network policy server, up for [0-9.]+[a-zµ]+s?\n$`).MatchString(w.Body.String()) {
			t.Errorf("uptime: %d %q", w.Code, w.Body)
		}
	}
	if !strings.Contains(x.log.String(), "hunter2") { // an operator must find the cause
		t.Error("the log does not say why")
	}
	x.Failure = errors.New("boom")
	want(t, x.call("GET", "/weft/v1/cells", ""), 500, `{"error": "internal error: see the controller's log"}`)
	x.Failure = api.Conflict("that one is \"taken\"")
	want(t, x.call("POST", prefix+"/policies", catsToDogs), 409, `{"error": "that one is \"taken\""}`)
}

// TestBodyLimit: 10 MiB, with the contract's two texts.
func TestBodyLimit(t *testing.T) {
	x := newExternal()
	pad := func(n int) string { return strings.Repeat(" ", n-len(catsToDogs)) + catsToDogs }
	want(t, x.call("POST", prefix+"/policies", pad(10<<20)), 200, `{}`)
	want(t, x.call("POST", prefix+"/policies", pad(10<<20+1)), 400, `{"error": "failed reading request body"}`)
	want(t, x.call("POST", prefix+"/policies/delete", pad(10<<20+1)), 400, `{"error": "invalid request body"}`)
}

// TestBrokenBody: a body that breaks off is the caller's fault.
func TestBrokenBody(t *testing.T) {
	x := newExternal()
	r := httptest.NewRequest("POST", prefix+"/policies", io.MultiReader(strings.NewReader(`{"poli`), brokenReader{}))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, r)
	want(t, w, 400, `{"error": "failed reading request body"}`)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestWaitParameters: a bad value is told before anything is changed.
func TestWaitParameters(t *testing.T) {
	x := newExternal()
	for query, text := range map[string]string{
		"?wait=soon":                    `wait: \"soon\" is not known: give applied or applied-all`,
		"?wait=applied&timeout=x":       `timeout: \"x\" is not a duration: give one such as 500ms or 30s`,
		"?wait=applied&timeout=":        `timeout: \"\" is not a duration: give one such as 500ms or 30s`,
		"?wait=applied&timeout=30":      `timeout: \"30\" is not a duration: give one such as 500ms or 30s`,
		"?wait=applied&timeout=-1s":     `timeout: \"-1s\" must be more than 0 and at most 10m0s`,
		"?wait=applied-all&timeout=11m": `timeout: \"11m\" must be more than 0 and at most 10m0s`,
		"?timeout=5s":                   `timeout: \"5s\" is given without wait: add wait=applied`,
	} {
		want(t, x.call("POST", prefix+"/policies"+query, catsToDogs), 400, `{"error": "`+text+`"}`)
	}
	want(t, x.call("GET", prefix+"/policies", ""), 200, `{"total_policies":0,"policies":[]}`)
}

// TestWait: 200 when all have it, 202 with the laggards at the timeout.
func TestWait(t *testing.T) {
	x := newExternal()
	want(t, x.call("POST", prefix+"/policies?wait=applied", catsToDogs), 200, `{}`)
	x.Away = []flows.CellID{"cell-3"}
	want(t, x.call("POST", prefix+"/policies?wait=applied&timeout=1m", catsToDogs), 200, `{}`)
	want(t, x.call("POST", prefix+"/policies?wait=applied-all&timeout=10ms", catsToDogs), 202, `{"revision":3,"pending":["cell-3"]}`)
	x.Late = []flows.CellID{"cell-2"}
	w := x.call("POST", prefix+"/policies/delete?wait=applied&timeout=10ms", catsToDogs)
	want(t, w, 202, `{"revision":4,"pending":["cell-2"]}`)
	if w.Header().Get("Weft-Revision") != "4" {
		t.Errorf("revision header is %q", w.Header().Get("Weft-Revision"))
	}
}

// TestNativeListings are never null, and say what ovs-ofctl says.
func TestNativeListings(t *testing.T) {
	x := newExternal()
	for path, body := range map[string]string{
		"cells": `{"cells":[]}`, "endpoints": `{"endpoints":[]}`, "groups": `{"groups":[]}`, "policies": `{"policies":[]}`,
	} {
		want(t, x.call("GET", "/weft/v1/"+path, ""), 200, body)
	}
	x.call("POST", prefix+"/policies", catsToDogs)
	want(t, x.call("GET", "/weft/v1/policies", ""), 200, `{"policies":[{"id":1,"source":{"id":"cats"},`+
		`"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}},"cookie":"0x4000000000000001","cookies":["0x4000000000000001"]}]}`)
	want(t, x.call("GET", "/weft/v1/policies?source_id=dogs", ""), 200, `{"policies":[]}`)
	want(t, x.call("GET", "/weft/v1/cookies/banana", ""), 400, `{"error": "cookie: \"banana\" is not one: give it as ovs-ofctl prints it, such as 0x4000000000000007"}`)
	want(t, x.call("GET", "/weft/v1/cookies/0x4000000000000009", ""), 404, `{"error": "explaining cookie 0x4000000000000009: no policy has the cookie 0x4000000000000009"}`)
	want(t, x.call("GET", "/weft/v1/cookies/0x4000000000000001", ""), 200, `{"cookie":"0x4000000000000001","kind":"policy","text":"policy 1 lets cats connect to dogs","file":"flows/policy.go",`+
		`"policies":[{"id":1,"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"tcp","ports":{"start":8080,"end":8090}},"cookie":"0x4000000000000001"}]}`)
}

// TestOverlappingPoliciesShareCookies, and the listing shows them.
func TestOverlappingPoliciesShareCookies(t *testing.T) {
	x := newExternal()
	x.call("POST", prefix+"/policies", policy("a", "b", "tcp", `{"start":1,"end":10}`)) // 1-4 alone, 5-10 shared
	x.call("POST", prefix+"/policies", policy("a", "b", "tcp", `{"start":5,"end":10}`)) // all shared
	x.call("POST", prefix+"/policies", policy("b", "a", "tcp", `{"start":5,"end":10}`)) // the other way: its own
	body := x.call("GET", "/weft/v1/policies", "").Body.String()
	lists := regexp.MustCompile(`"cookies":\[([^]]*)\]`).FindAllStringSubmatch(body, -1)
	if len(lists) != 3 {
		t.Fatalf("listing: %s", body)
	}
	one, two, three := lists[0][1], lists[1][1], lists[2][1]
	if own := `"0x4000000000000001",`; one != own+two || !strings.HasPrefix(two, `"0x5`) || three != `"0x4000000000000003"` {
		t.Errorf("cookies: %s; %s; %s", one, two, three)
	}
}
