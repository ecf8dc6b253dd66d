package api

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"pgregory.net/rapid"

	"github.com/weft-sdn/weft/flows"
)

// TestListsAreWhatTheTypesSay: the hand-written rendering is that of
// encoding/json for the types of the wire, whatever an app is called.
func TestListsAreWhatTheTypesSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var policies []Policy
		v1, v0 := PoliciesPayload{Policies: []PolicyBody{}}, policiesV0{Policies: []policyV0{}}
		for range rapid.IntRange(0, 3).Draw(rt, "policies") {
			first := rapid.Uint16().Draw(rt, "first")
			p := Policy{
				From: flows.AppID(rapid.String().Draw(rt, "from")), To: flows.AppID(rapid.String().Draw(rt, "to")),
				Protocol: rapid.SampledFrom([]flows.Protocol{flows.TCP, flows.UDP}).Draw(rt, "protocol"),
				Ports:    flows.PortRange{First: first, Last: rapid.Uint16Range(first, first+min(1, 65535-first)).Draw(rt, "last")},
			}
			policies = append(policies, p)
			v1.Policies = append(v1.Policies, policyBody(p))
			if p.Ports.First == p.Ports.Last {
				v0.Policies = append(v0.Policies, policyV0{Source: Source{ID: string(p.From)}, Destination: destinationV0{
					ID: string(p.To), Protocol: p.Protocol.String(), Port: int(p.Ports.First),
				}})
			}
		}
		v1.TotalPolicies, v0.TotalPolicies = len(v1.Policies), len(v0.Policies)
		for version, want := range map[string]any{"v1": v1, "v0": v0} {
			w := httptest.NewRecorder()
			if err := writePolicies(echo.New().NewContext(nil, w), version, policies); err != nil {
				rt.Fatal(err)
			}
			if got := w.Body.String(); got != encode(want) {
				rt.Fatalf("%s: got  %s\nwant %s", version, got, encode(want))
			}
		}
		logged, err := json.Marshal(loggedPolicies(policies))
		if err != nil {
			rt.Fatal(err)
		}
		var again []PolicyBody
		if err := json.Unmarshal(logged, &again); err != nil || len(again) != len(policies) {
			rt.Fatalf("logged %s: %v", logged, err)
		}
	})
}

// BenchmarkList is a list of 60,000 policies.
func BenchmarkList(b *testing.B) {
	policies := make([]Policy, 60_000)
	for i := range policies {
		policies[i] = Policy{
			From: "d7a1e6f2-6f0b-4b52-9b45-0c0f6e8f9a11", To: "0b0f9cb4-5a44-4a39-8f5a-5c8a3d2e1f00",
			Protocol: flows.TCP, Ports: flows.PortRange{First: 8080, Last: uint16(8080 + i%100)},
		}
	}
	for b.Loop() {
		if err := writePolicies(echo.New().NewContext(nil, httptest.NewRecorder()), "v1", policies); err != nil {
			b.Fatal(err)
		}
	}
}
