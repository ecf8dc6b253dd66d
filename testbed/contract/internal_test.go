package contract

import (
	"crypto/tls"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/cfstub"
)

// The paths of the internal API.
const (
	inside      = "GET /networking/v1/internal"
	lastUpdated = inside + "/policies_last_updated"
	assign      = "PUT /networking/v1/internal/tags"
)

// TestInternalPolicies holds section 2: policies with their tags.
func TestInternalPolicies(t *testing.T) {
	const both = `{"total_policies":2,"policies":[` +
		`{"source":{"id":"cats","tag":"0001"},"destination":{"id":"dogs","tag":"0002","protocol":"tcp","ports":{"start":1,"end":65535}}},` +
		`{"source":{"id":"wolves","tag":"0003"},"destination":{"id":"cats","tag":"0001","protocol":"tcp","ports":{"start":7,"end":7}}}]}`
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"2", "", inside + "/policies?id=cats", "", 200, list()},
			step{"2", "admin", post, body("cats dogs 1-65535", "wolves cats 7", "wolves wolves 9"), 200, `{}`},
			step{"2", "", inside + "/policies?id=cats", "", 200, both},
			step{"2", "", inside + "/policies?id=cats,none&source_id=wolves", "", 200, both},
			step{"2", "", "GET /networking/any/internal/policies?id=cats", "", 200, both},
			step{"2", "", inside + "/policies?id=", "", 200, list()},
			step{"2", "", inside + "/nothing", "", 404, "404 page not found\n"},
			step{"2", "", "POST /networking/v1/internal/policies", "", 405, "Method Not Allowed\n"},
			step{"2", "", "OPTIONS /networking/v1/internal/policies", "", 405, "Method Not Allowed\n"},
			step{"2", "", "OPTIONS /networking/v1/internal/nothing", "", 404, "404 page not found\n"},
		)
		h := b.call("", inside+"/policies", "").header
		if h.Get("X-Vcap-Request-Id") == "" || h.Get("Strict-Transport-Security") != "max-age=31536000" || h.Get("X-Frame-Options") != "" {
			t.Errorf("headers %v", h)
		}
	})
}

// TestLastUpdated holds section 2: a bare number that grows with each change,
// and with nothing else.
func TestLastUpdated(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		last := b.number(lastUpdated) // before the first change: when the database was made
		if age := time.Since(time.Unix(0, last)); age < -time.Second || age > 10*time.Minute {
			t.Errorf("a new database's policies changed %s ago", age)
		}
		for _, change := range []step{
			{"2", "admin", post, body("cats dogs 1"), 200, `{}`},
			{"2", "admin", post, body("cats dogs 2"), 200, `{}`},
			{"2", "admin", remove, body("cats dogs 1"), 200, `{}`},
		} {
			before := time.Now()
			b.play(change)
			now := b.number(lastUpdated)
			if now <= last || now < before.Add(-time.Second).UnixNano() || now > time.Now().Add(time.Second).UnixNano() {
				t.Errorf("%s: %d after %d", change.request, now, last)
			}
			last = now
		}
		b.play(
			step{"2", "admin", post, body("cats dogs 2"), 200, `{}`}, // on purpose: changes nothing
			step{"2", "admin", remove, body("cats dogs 1"), 200, `{}`},
			step{"2", "admin", post, `{}`, 400, wrong("mapper: validate policies: missing policies")},
		)
		if now := b.number(lastUpdated); now != last {
			t.Errorf("%d after nothing has changed, was %d", now, last)
		}
	})
}

func (b *bed) number(request string) int64 {
	b.t.Helper()
	got := b.call("", request, "")
	if got.status != 200 || !regexp.MustCompile(`^[0-9]+$`).MatchString(got.body) {
		b.t.Fatalf("%s: %d %q", request, got.status, got.body)
	}
	n, err := strconv.ParseInt(got.body, 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// TestAssignTags holds section 2 and 5: tags of what is no app are for good.
func TestAssignTags(t *testing.T) {
	const router = `{"id":"INGRESS_ROUTER","tag":"0001","type":"router"}`
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"2", "", assign, `{"ID":"INGRESS_ROUTER","Type":"router"}`, 200, router},
			step{"2", "", assign, `{"id":"INGRESS_ROUTER","type":"router"}`, 200, router},
			step{"2", "", assign, `{"id":"INGRESS_ROUTER","type":"app"}`, 500, wrong("database create failed")},
			step{"2", "", assign, `bad`, 400, wrong("failed parsing request body")},
			step{"2", "", "PUT /networking/v0/internal/tags", `{"id":"x","type":"router"}`, 404, "404 page not found\n"},
			step{"2", "admin", post, body("INGRESS_ROUTER cats 80"), 200, `{}`},
			step{"1.12", "admin", tags, "", 200, `{"tags":[` + router + `,{"id":"cats","tag":"0002","type":"app"}]}`},
			step{"2", "admin", remove, body("INGRESS_ROUTER cats 80"), 200, `{}`},
			step{"1.12", "admin", tags, "", 200, `{"tags":[` + router + `]}`},
			step{"2", "", assign, `{}`, 200, `{"id":"","tag":"0003","type":""}`},
			step{"2", "", assign, `{"id":"x"}`, 200, `{"id":"x","tag":"0004","type":""}`},
			step{"2", "", assign, `{"id":"x","type":""}`, 200, `{"id":"x","tag":"0004","type":""}`},
			step{"2", "", assign, `{"id":"x","type":"router"}`, 500, wrong("database create failed")},
		)
	})
}

// TestSecurityGroups holds section 2: what Cloud Controller has, by pages.
func TestSecurityGroups(t *testing.T) {
	group := func(guid, spaces string) string {
		everywhere := strconv.FormatBool(spaces == "")
		rules := `[{\"destination\":\"192.0.2.1\",\"protocol\":\"tcp\"}]`
		return `{"guid":"` + guid + `","name":"` + guid + `","rules":"` + rules + `","staging_default":false,"running_default":` + everywhere +
			`,"staging_space_guids":[],"running_space_guids":[` + spaces + `]}`
	}
	groups := inside + "/security_groups"
	onEach(t, func(t *testing.T, b *bed) {
		rules := []map[string]any{{"destination": "192.0.2.1", "protocol": "tcp"}}
		b.cf.SetSecurityGroups(
			cfstub.SecurityGroup{GUID: "all", Name: "all", Rules: rules, RunningDefault: true},
			cfstub.SecurityGroup{GUID: "one", Name: "one", Rules: rules, RunningSpaces: []string{"zoo"}},
			cfstub.SecurityGroup{GUID: "two", Name: "two", Rules: rules, RunningSpaces: []string{"woods"}},
		)
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(b.call("", groups, "").body, "all"); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the security groups do not come")
			}
		}
		b.play(
			step{"2", "", groups, "", 200, `{"next":0,"security_groups":[` + group("all", "") + `]}`},
			step{"2", "", groups + "?space_guids=zoo,woods", "", 200,
				`{"next":0,"security_groups":[` + group("all", "") + `,` + group("one", `"zoo"`) + `,` + group("two", `"woods"`) + `]}`},
			step{"2", "", groups + "?space_guids=woods&limit=1", "", 200, `{"next":3,"security_groups":[` + group("all", "") + `]}`},
			step{"2", "", groups + "?space_guids=woods&limit=1&from=3", "", 200, `{"next":0,"security_groups":[` + group("two", `"woods"`) + `]}`},
			step{"2", "", groups + "?from=x", "", 500, wrong("invalid value for 'from' parameter")},
			step{"2", "", groups + "?limit=x", "", 500, wrong("invalid value for 'limit' parameter")},
			step{"13", "", inside + "/healthcheck", "", 200, `{"healthcheck":true}`},
		)
		b.number(inside + "/security_groups_last_updated")
	})
}

// TestStrangers holds section 2: nobody without a certificate.
func TestStrangers(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		blind := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		if res, err := blind.Get(b.inside + "/networking/v1/internal/policies"); err == nil || !strings.Contains(err.Error(), "certificate required") {
			t.Errorf("without a certificate: %v, %v", res, err)
		}
		res, err := http.Get(strings.Replace(b.inside, "https", "http", 1) + "/networking/v1/internal/policies")
		if err != nil || res.StatusCode != 400 {
			t.Errorf("plain HTTP: %v, %v", res, err)
		}
	})
}
