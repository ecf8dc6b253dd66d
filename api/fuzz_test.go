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

// FuzzHello: whatever an agent sends, the result is an Invalid or a Hello with
// an IPv4 VTEP.
func FuzzHello(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"vtep":"192.0.2.1"}`, `{"vtep":"::1","endpoints":null}`,
		`{"vtep":"192.0.2.1","endpoints":[{"container":"c1","app":"cats","ip":"10.255.1.2","ofport":7}]}`,
		`{"vtep":"192.0.2.1","endpoints":[{"ofport":65536}]}`, `{"vtep":"192.0.2.1%eth0"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		hello, err := decodeHello(bytes.NewReader(body))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("error is %v", err)
			}
			return
		}
		if checkIPv4("vtep", hello.VTEP) != nil {
			t.Fatalf("accepted VTEP %q", hello.VTEP)
		}
	})
}
