package api_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
)

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
			if list, _ := x.Policies(t.Context(), api.Filter{}); len(list) != 0 {
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
