package api_test

import (
	"bytes"
	"errors"
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
		Policies: x, Fleet: x, Sets: x, Cells: x, Auth: api.TokenAuth(token), Started: time.Now(),
		Log:  slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		CORS: []string{"https://ui.example.com"}, TagDigits: 4,
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
	wantProblem(t, x.call("GET", "/weft/v1/cells", ""), 500, "internal error: see the controller's log")
	x.Failure = api.Conflict("that one is \"taken\"")
	want(t, x.call("POST", prefix+"/policies", catsToDogs), 409, `{"error": "that one is \"taken\""}`)
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
