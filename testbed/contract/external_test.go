package contract

import (
	"regexp"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/controller/server"
)

const (
	get    = "GET " + v1 + "/policies"
	post   = "POST " + v1 + "/policies"
	remove = "POST " + v1 + "/policies/delete"
	clean  = "POST " + v1 + "/policies/cleanup"
	tags   = "GET " + v1 + "/tags"
	whoami = "GET " + v1 + "/whoami"
)

// TestRoutes holds 1.1: which paths and methods there are, and for whom.
func TestRoutes(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.1", "", "GET /health", "", 200, ""},
			step{"1.1", "", "GET /networking/v2/external/policies", "", 406, wrong("api version 'v2' not supported")},
			step{"1.1", "admin", "GET /networking/v2/external/policies", "", 406, wrong("api version 'v2' not supported")},
			step{"1.1", "", "POST /networking/1/external/policies/cleanup", "", 406, wrong("api version '1' not supported")},
			step{"1.1", "admin", "GET /networking/v1/external/nothing", "", 404, "404 page not found\n"},
			step{"1.1", "admin", get + "/", "", 404, "404 page not found\n"},
			step{"1.1", "admin", "GET /networking/", "", 404, "404 page not found\n"},
			step{"1.1", "admin", "HEAD " + v1 + "/policies", "", 405, ""},
			step{"1.1", "admin", "PUT " + v1 + "/policies", "", 405, "Method Not Allowed\n"},
			step{"1.1", "admin", "DELETE " + v0 + "/policies", "", 405, "Method Not Allowed\n"},
			step{"1.1", "admin", "GET " + v1 + "/policies/delete", "", 405, "Method Not Allowed\n"},
			step{"1.1", "admin", "GET " + v1 + "/policies/cleanup", "", 405, "Method Not Allowed\n"},
			step{"1.1", "admin", "POST /health", "", 405, "Method Not Allowed\n"},
			step{"1.12", "admin", whoami, "", 200, `{"subject":"root"}`},
		)
		for _, path := range []string{"/", "/networking"} {
			got := b.call("", "GET "+path, "")
			if got.status != 200 || !regexp.MustCompile(`^Network policy server, up for [0-9.]+[a-zµ]+s?\n$`).MatchString(got.body) {
				t.Errorf("%s: %d %q", path, got.status, got.body)
			}
		}
		allow := b.call("admin", "PUT "+v1+"/policies", "").header.Get("Allow")
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			if !strings.Contains(allow, method) {
				t.Errorf("Allow is %q, without %s", allow, method)
			}
		}
	})
}

// TestHeaders holds 1.2.
func TestHeaders(t *testing.T) {
	cors := func(c *server.Config) { c.AllowedCORSDomains = []string{"https://ui.example.com"} }
	onEach(t, func(t *testing.T, b *bed) {
		uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
		for _, request := range []string{"GET /", "GET /nothing", get, "PUT " + v1 + "/tags", post, "GET /networking/v7/external/tags"} {
			h := b.call("admin", request, "").header
			for name, value := range map[string]string{
				"X-Xss-Protection": "1; mode=block", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "deny",
				"Content-Security-Policy": "frame-ancestors 'none'", "Strict-Transport-Security": "", "Access-Control-Allow-Origin": "",
			} {
				if h.Get(name) != value {
					t.Errorf("%s: %s is %q, not %q", request, name, h.Get(name), value)
				}
			}
			if !uuid.MatchString(h.Get("X-Vcap-Request-Id")) {
				t.Errorf("%s: request id %q", request, h.Get("X-Vcap-Request-Id"))
			}
		}
		id := b.call("admin", post, body("cats dogs 1"), "X-VCAP-Request-ID", "abc").header.Get("X-Vcap-Request-Id")
		if own, is := strings.CutPrefix(id, "abc::"); !is || !uuid.MatchString(own) || !strings.Contains(b.log.String(), id) {
			t.Errorf("request id %q, or it is not in the log", id)
		}
		for path, methods := range map[string]string{
			"/": "GET", "/networking": "GET", "/health": "GET", v1 + "/policies": "POST,GET", v0 + "/policies": "POST,GET",
			v1 + "/policies/delete": "POST", v1 + "/policies/cleanup": "POST", v1 + "/tags": "GET", v1 + "/whoami": "GET",
		} {
			for origin, allowed := range map[string]string{"https://ui.example.com": "https://ui.example.com", "https://evil.example.com": ""} {
				got := b.call("", "OPTIONS "+path, "", "Origin", origin)
				h := got.header
				if got.status != 200 || got.body != "" || h.Get("Access-Control-Allow-Methods") != methods+",OPTIONS" || h.Get("Access-Control-Allow-Headers") != "authorization" ||
					h.Get("Access-Control-Allow-Origin") != allowed || h.Get("X-Vcap-Request-Id") != "" || h.Get("X-Frame-Options") != "deny" {
					t.Errorf("OPTIONS %s from %s: %d %v", path, origin, got.status, h)
				}
			}
		}
		got := b.call("admin", get, "", "Origin", "https://ui.example.com")
		if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "https://ui.example.com" {
			t.Errorf("%d %v", got.status, got.header)
		}
	}, cors)
}

// TestTLS holds 1.2 for TLS.
func TestTLS(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(step{"1.1", "admin", get, "", 200, list()})
		for _, request := range []string{"GET /", get, "OPTIONS " + v1 + "/policies"} {
			if got := b.call("", request, "").header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
				t.Errorf("%s: Strict-Transport-Security %q", request, got)
			}
		}
	}, func(c *server.Config) { c.TLS = server.KeyPair{Cert: c.InternalTLS.Cert, Key: c.InternalTLS.Key} })
}

// TestAuthentication holds 1.4, whichever way a token is verified.
func TestAuthentication(t *testing.T) {
	onEach(t, authentication)
}

// TestAuthenticationByKeys is the same without asking UAA about each token.
func TestAuthenticationByKeys(t *testing.T) {
	onEach(t, authentication, func(c *server.Config) { c.Auth.UAA.Verify = server.VerifyJWT })
}

func authentication(t *testing.T, b *bed) {
	const scopes = "provided scopes [openid cloud_controller.read] do not include allowed scopes "
	b.tokens["forged"] = "forged"
	b.tokens["empty"] = ""
	for _, request := range []string{get, post, remove, clean, tags, whoami, "GET " + v0 + "/policies"} {
		b.play(
			step{"1.4", "", request, "bad", 401, wrong("missing authorization header")},
			step{"1.4", "forged", request, "bad", 401, wrong("failed to verify token with uaa")},
			step{"1.4", "empty", request, "bad", 401, wrong("failed to verify token with uaa")},
		)
		for as, header := range map[string]string{"": "Bearer", "forged": "Bearer", "guest": ""} {
			if got := b.call(as, request, "").header.Get("WWW-Authenticate"); got != header {
				t.Errorf("%s as %q: WWW-Authenticate %q", request, as, got)
			}
		}
	}
	for _, request := range []string{get, post, remove} {
		b.play(
			step{"1.4", "guest", request, "bad", 403, wrong(scopes + "[network.admin network.write]")},
			step{"1.4", "none", request, "bad", 403, wrong("provided scopes [] do not include allowed scopes [network.admin network.write]")},
		)
	}
	for _, request := range []string{clean, tags, whoami} {
		b.play(
			step{"1.4", "guest", request, "bad", 403, wrong(scopes + "[network.admin]")},
			step{"1.4", "ann", request, "bad", 403, wrong("provided scopes [network.write] do not include allowed scopes [network.admin]")},
		)
	}
	for _, header := range []string{"Bearer ", "bearer ", ""} { // a raw token, too
		if got := b.call("", get, "", "Authorization", header+b.tokens["admin"]); got.status != 200 {
			t.Errorf("%q: %d %s", header, got.status, got.body)
		}
	}
}

// TestSelfService holds what enable_space_developer_self_service drops: the
// scope, and nothing else.
func TestSelfService(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.cf.AddDeveloper("guest-guid", "zoo")
		b.play(
			step{"1.1", "guest", post, body("cats dogs 80"), 200, `{}`},
			step{"1.1", "guest", post, body("cats wolves 80"), 403, wrong("one or more applications cannot be found or accessed")},
			step{"1.1", "none", post, body("cats dogs 80"), 403, wrong("one or more applications cannot be found or accessed")},
			step{"1.1", "guest", get, "", 200, list("cats dogs 80")},
			step{"1.1", "none", get, "", 200, list()},
			step{"1.1", "guest", remove, body("cats dogs 80"), 200, `{}`},
			step{"1.1", "guest", tags, "", 403, wrong("provided scopes [openid cloud_controller.read] do not include allowed scopes [network.admin]")},
			step{"1.1", "", get, "", 401, wrong("missing authorization header")},
		)
	}, func(c *server.Config) { c.EnableSpaceDeveloperSelfService = true })
}

// TestBodies holds 1.5 to 1.8.
func TestBodies(t *testing.T) {
	const single = `{"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"udp","port":53}}`
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.5", "admin", get, "", 200, `{"total_policies":0,"policies":[]}`},
			step{"1.5", "admin", post, `{"x":1,"policies":[` + some("cats dogs 8080-8090") + `]}`, 200, `{}`},
			step{"1.8", "admin", post, body("cats dogs 8080-8090"), 200, `{}`},
			step{"1.5", "admin", post, body("cats cats 9"), 200, `{}`},
			step{"1.6", "admin", "POST " + v0 + "/policies", `{"policies":[` + single + `]}`, 200, `{}`},
			step{"1.5", "admin", get, "", 200, `{"total_policies":3,"policies":[` + some("cats dogs 8080-8090", "cats cats 9") +
				`,{"source":{"id":"cats"},"destination":{"id":"dogs","protocol":"udp","ports":{"start":53,"end":53}}}]}`},
			step{"1.6", "admin", "GET " + v0 + "/policies", "", 200,
				`{"total_policies":2,"policies":[{"source":{"id":"cats"},"destination":{"id":"cats","protocol":"tcp","port":9}},` + single + `]}`},
			step{"1.6", "admin", "POST " + v0 + "/policies/delete", `{"policies":[` + single + `]}`, 200, `{}`},
			step{"1.8", "admin", remove, body("cats dogs 8080-8090", "cats cats 9", "no such 1"), 200, `{}`},
			step{"1.5", "admin", get, "", 200, `{"total_policies":0,"policies":[]}`},
		)
		for _, fault := range faults {
			for _, request := range []string{"/policies", "/policies/delete"} {
				b.play(step{"1.7", "admin", "POST " + fault.version + request, fault.body, 400, wrong("mapper: " + fault.text)})
			}
		}
		b.play(
			step{"1.7", "ann", post, body("cats wolves 0"), 400, wrong("mapper: validate policies: missing start port")}, // before the guard
			step{"1.7", "admin", get, "", 200, `{"total_policies":0,"policies":[]}`},
		)
		large := strings.Repeat(" ", 10<<20) + body("cats dogs 80")
		b.play(
			step{"1.7", "admin", post, large, 400, wrong("failed reading request body")},
			step{"1.7", "admin", remove, large, 400, wrong("invalid request body")},
			step{"1.7", "admin", post, large[len(large)-10<<20:], 200, `{}`},
		)
	})
}

// faults are bodies that 1.7 refuses, each with the text after "mapper: ".
var faults = []struct{ version, body, text string }{
	{v1, ``, "unmarshal json: unexpected end of JSON input"},
	{v1, `bad`, "unmarshal json: invalid character 'b' looking for beginning of value"},
	{v1, `{}x`, "unmarshal json: invalid character 'x' after top-level value"},
	{v1, `[]`, "unmarshal json: json: cannot unmarshal array into Go value of type api.PoliciesPayload"},
	{v1, strings.Replace(body("a b 80"), "80", `"80"`, 1), "unmarshal json: json: cannot unmarshal string into Go struct field Ports.policies.destination.ports.start of type int"},
	{v1, strings.Replace(body("a b 80"), "80", "80.5", 1), "unmarshal json: json: cannot unmarshal number 80.5 into Go struct field Ports.policies.destination.ports.start of type int"},
	{v1, `{"policies":["x"]}`, "unmarshal json: json: cannot unmarshal string into Go struct field PoliciesPayload.policies of type api.Policy"},
	{v1, `{"policies":[{"source":"x"}]}`, "unmarshal json: json: cannot unmarshal string into Go struct field Policy.policies.source of type api.Source"},
	{v1, `{}`, "validate policies: missing policies"},
	{v1, `{"policies":null}`, "validate policies: missing policies"},
	{v1, `{"policies":[]}`, "validate policies: missing policies"},
	{v1, `{"policies":[{}]}`, "validate policies: missing source id"},
	{v1, `{"policies":[{"source":{"id":"a"}}]}`, "validate policies: missing destination id"},
	{v1, strings.Replace(body("a b 80"), "tcp", "TCP", 1), "validate policies: invalid destination protocol, specify either udp or tcp"},
	{v1, body("a b 5-2"), "validate policies: invalid port range 5-2, start must be less than or equal to end"},
	{v1, body("a b 0-70000"), "validate policies: missing start port"},
	{v1, strings.Replace(body("a b 80"), "80", "-1", 1), "validate policies: invalid start port -1, must be in range 1-65535"},
	{v1, body("a b 1-65536"), "validate policies: invalid end port 65536, must be in range 1-65535"},
	{v1, strings.Replace(body("a b 80"), `"id":"a"`, `"id":"a","tag":"1"`, 1), "validate policies: tags may not be specified"},
	{v1, strings.Replace(body("a b 80"), `"id":"b"`, `"id":"b","tag":"1"`, 1), "validate policies: tags may not be specified"},
	{v1, body("a b 80", "a b 0"), "validate policies: missing start port"},
	{v0, `[]`, "unmarshal json: json: cannot unmarshal array into Go value of type api_v0.Policies"},
	{v0, `{"policies":[{"destination":{"port":"x"}}]}`, "unmarshal json: json: cannot unmarshal string into Go struct field Destination.policies.destination.port of type int"},
	{v0, `{"policies":[]}`, "validate policies: missing policies"},
	{v0, v0Body("0"), "validate policies: missing port"},
	{v0, v0Body("-1"), "validate policies: invalid port -1, must be in range 1-65535"},
	{v0, v0Body("65536"), "validate policies: invalid port 65536, must be in range 1-65535"}, // on purpose: upstream takes it
}

func v0Body(port string) string {
	return `{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp","port":` + port + `}}]}`
}

// TestFilters holds 1.11.
func TestFilters(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.11", "admin", post, body("a b 1", "b c 1", "c a 1", "c c 1"), 200, `{}`},
			step{"1.11", "admin", get + "?id=a", "", 200, list("a b 1", "c a 1")},
			step{"1.11", "admin", get + "?id=a,b", "", 200, list("a b 1", "b c 1", "c a 1")},
			step{"1.11", "admin", get + "?id=a&id=b", "", 200, list("a b 1", "c a 1")},
			step{"1.11", "admin", get + "?id=", "", 200, list()},
			step{"1.11", "admin", get + "?id=&source_id=a", "", 200, list()},
			step{"1.11", "admin", get + "?id=none", "", 200, list()},
			step{"1.11", "admin", get + "?id=c&source_id=a", "", 200, list("b c 1", "c a 1", "c c 1")},
			step{"1.11", "admin", get + "?source_id=c", "", 200, list("c a 1", "c c 1")},
			step{"1.11", "admin", get + "?dest_id=c", "", 200, list("b c 1", "c c 1")},
			step{"1.11", "admin", get + "?source_id=b,c&dest_id=c", "", 200, list("b c 1", "c c 1")},
			step{"1.11", "admin", get + "?source_id=&dest_id=c", "", 200, list()},
		)
	})
}
