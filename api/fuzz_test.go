package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// newLike returns a new zero value of the type that p points to.
func newLike(p any) any { return reflect.New(reflect.TypeOf(p).Elem()).Interface() }

// FuzzPoliciesBody: whatever a body holds, the result is either an Invalid
// that says why, or policies that a packet could match and that say the same
// when written as a body again.
func FuzzPoliciesBody(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"policies":[null]}`, strings.Repeat(`[`, 20000),
		`{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp","ports":{"start":1,"end":65535}}}]}`,
		`{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"udp","ports":{"start":1e3,"end":99999999999999999999}}}]}`,
		`{"POLICIES":[{"source":{"ID":"\u0000\ud800"},"destination":{"id":"b","protocol":"udp","ports":{"start":7,"end":7}}}]}`,
		`{"policies":[{"source":{"id":"a"},"destination":{"id":"b","protocol":"tcp","port":53}}]}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, old bool) {
		version := "v1"
		if old {
			version = "v0"
		}
		policies, err := decodePolicies(bytes.NewReader(body), version, "unreadable")
		if err != nil {
			if !errors.Is(err, ErrInvalid) || !strings.HasPrefix(err.Error(), "mapper: ") {
				t.Fatalf("error is %v", err)
			}
			return
		}
		if len(policies) == 0 {
			t.Fatal("accepted a body without policies")
		}
		var again PoliciesPayload
		for _, p := range policies {
			if p.Ports.First == 0 || p.Ports.First > p.Ports.Last || p.From == "" || p.To == "" {
				t.Fatalf("accepted %+v", p)
			}
			again.Policies = append(again.Policies, policyBody(p))
		}
		raw, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		same, err := parsePolicies(raw)
		if err != nil || !reflect.DeepEqual(same, policies) {
			t.Fatalf("%+v came back as %+v, %v", policies, same, err)
		}
	})
}
