package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// flowText is one flow as it travels.
const flowText = "cookie=0x1000000000000032, table=policy, priority=0 actions=drop"

// pinned is every message with every field set. testdata/NAME.json holds what
// it looks like on the wire: two releases talk during an upgrade, so a change
// there is a change of the protocol.
func pinned(t *testing.T) map[string]any {
	t.Helper()
	flow, err := flows.ParseFlow(flowText)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := Endpoint{Container: "c1", App: "cats", IP: "10.255.1.2", MAC: "02:00:00:00:00:0a", OFPort: 7, Egress: "tcp 10.0.0.1-10.0.0.9 443", Space: "zoo", Workload: "app"}
	listed := endpoint
	listed.Cell, listed.Group, listed.Log = "cell-1", 101, true
	cell := Cell{Cell: "cell-1", VTEP: "192.0.2.1", Subnet: "10.255.1.0/24", Connected: true, Applied: 12, Endpoints: 3, Error: "bundle refused", Behind: true, State: CellDraining, SingleIP: true}
	policy := PolicyBody{Source: Source{ID: "cats"}, Destination: Destination{ID: "dogs", Protocol: "tcp", Ports: Ports{Start: 8080, End: 8090}}}
	info := PolicyInfo{
		ID: 7, Source: policy.Source, Destination: policy.Destination,
		Cookie: "0x4000000000000007",
	}
	request := PolicyRequest{
		Source: "cats", Destination: "dogs", Protocol: "tcp", Ports: Ports{Start: 8080, End: 8090},
		Name: "meals", Description: "cats feed dogs", Labels: map[string]string{"team": "pets"},
	}
	created := time.Date(2026, 1, 1, 2, 3, 4, 0, time.UTC)
	detail := PolicyDetail{
		PolicyRequest: request, ID: 7, Set: "pets", Creator: "admin", Created: &created,
		Cookie: "0x4000000000000007", Cookies: []string{"0x4000000000000007"},
	}
	fragment := FragmentToWire(flows.NewFragment("base", []flows.Flow{flow}))
	patch := Patch{Key: "policy/101", Hash: fragment.Hash, Add: fragment.Flows, Remove: fragment.Flows}
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return map[string]any{
		"lease-request":    &LeaseRequest{VTEP: "192.0.2.1", Subnet: "10.255.1.0/24", Containers: 3, SingleIP: true},
		"lease":            &Lease{Cell: "cell-1", Subnet: "10.255.1.0/24", Network: []string{"10.255.0.0/16"}, VNI: 1, VXLANPort: 4789, ExpirySeconds: 604800},
		"hello":            &Hello{VTEP: "192.0.2.1", Endpoints: []Endpoint{endpoint}, Services: []Service{{Protocol: "udp", Address: "169.254.0.2", Port: 53}}, Patches: true, Holds: fragment.Hash},
		"snapshot":         &Message{Type: TypeSnapshot, Stream: "s1", Seq: 1, Revision: 12, Hash: fragment.Hash, Set: []Fragment{fragment}, Refused: &[]Refusal{}, Draining: new(true)},
		"delta":            &Message{Type: TypeDelta, Seq: 2, Revision: 13, Hash: fragment.Hash, Set: []Fragment{fragment}, Patch: []Patch{patch}, Remove: []string{"policy/102"}, Refused: &[]Refusal{{Container: "c2", Reason: "address is taken"}}, Draining: new(false)},
		"resumed":          &Message{Type: TypeSnapshot, Stream: "s2", Seq: 1, Revision: 12, Hash: fragment.Hash, Same: true},
		"ping":             &Message{Type: TypePing},
		"endpoints-report": &EndpointsReport{Stream: "s1", Up: []Endpoint{endpoint}, Down: []string{"c0"}},
		"applied":          &Applied{Stream: "s1", Seq: 2, Error: "bundle refused"},
		"cell-change":      &CellChange{Revision: 13},
		"cells":            &CellsList{Cells: []Cell{cell}},
		"endpoints":        &EndpointsList{Endpoints: []Endpoint{listed}},
		"groups":           &GroupsList{Groups: []Group{{Group: 101, Tag: "0065", App: "cats", Type: "app", Policies: 1}, {Group: 102, Tag: "0066", App: "mice", Type: "app", State: GroupQuarantined, Until: &until}}},
		"explanation":      &Explanation{Cookie: info.Cookie, Kind: "policy", Text: "policy 7 lets cats connect to dogs", File: "flows/policy.go", Policies: []PolicyInfo{info}, Endpoint: &listed, Cell: &cell, Rule: "tcp 10.0.0.1-10.0.0.9 443", Endpoints: []Endpoint{listed}},
		"policy-set":       &PolicySet{Policies: []PolicyRequest{request}},
		"policy-details":   &PolicyDetailsList{Policies: []PolicyDetail{detail}, Revision: 12, Next: "7"},
		"policy-patch":     &PolicyPatch{Name: &request.Name, Description: &request.Description, Labels: &request.Labels},
		"policies-change":  &PoliciesChange{Revision: 13, Policies: []PolicyDetail{detail}, Pending: []string{"cell-3"}},
		"set-change":       &PolicySetChange{Revision: 13, Added: []PolicyRequest{request}, Updated: []PolicyRequest{}, Removed: []PolicyRequest{}, Unchanged: 2, Pending: []string{"cell-3"}},
		"sets":             &SetsList{Sets: []SetInfo{{Name: "pets", Policies: 1}}, Revision: 12},
		"reachers":         &ReachersList{App: "dogs", Endpoints: []Endpoint{}, Reachers: []Reacher{{App: "cats", Policies: []PolicyDetail{detail}, Endpoints: []Endpoint{listed}}}},
		"audit":            &AuditList{Entries: []AuditEntry{{Revision: 13, At: created, By: "admin", Added: []PolicyDetail{detail}}}, Next: "13"},
		"problem":          &Problem{Type: "about:blank", Title: "Not Found", Status: 404, Detail: "id: there is no policy 7", Instance: "urn:weft:request:r1", Kind: string(ErrNotFound)},
		"checkup":          &Checkup{Cell: "cell-1", At: created, Findings: []Finding{{Check: "underlay-mtu", Level: LevelError, Text: "eth0 has an MTU of 1300 bytes", Remedy: "ip link set dev eth0 mtu 1500"}}},
		"logging":          &Logging{Accepted: true, Apps: []string{"cats"}},
		"policies":         &PoliciesPayload{TotalPolicies: 1, Policies: []PolicyBody{policy}},
		"policies-v0":      &policiesV0{TotalPolicies: 1, Policies: []policyV0{{Source: policy.Source, Destination: destinationV0{ID: "dogs", Protocol: "udp", Port: 53}}}},
		"tags":             &TagsPayload{Tags: []Tag{{ID: "cats", Tag: "0065", Type: "app"}}},
		"change":           &Change{Revision: 13, Pending: []string{"cell-3"}},
	}
}

// TestMessagesArePinned: run with WEFT_GOLDEN=1 to write the files anew.
func TestMessagesArePinned(t *testing.T) {
	messages := pinned(t)
	for name, message := range messages {
		file := filepath.Join("testdata", name+".json")
		text := encode(message) + "\n"
		if os.Getenv("WEFT_GOLDEN") != "" {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(golden) != text {
			t.Errorf("%s:\ngot  %swant %s", file, text, golden)
		}
		again := newLike(message)
		if err := json.Unmarshal(golden, again); err != nil {
			t.Errorf("%s: %v", file, err)
		} else if back := encode(again) + "\n"; back != text {
			t.Errorf("%s: decodes to %s", file, back)
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(messages) {
		t.Errorf("testdata holds %d messages, not %d (%v)", len(files), len(messages), err)
	}
}

// TestOlderAgentsAreUnderstood: what an agent of the release before says, and
// what this release says to it, has none of the newer fields.
func TestOlderAgentsAreUnderstood(t *testing.T) {
	const older = `{"vtep":"192.0.2.1","endpoints":[{"container":"c1","app":"cats","ip":"10.255.1.2","ofport":7,"group":0}]}`
	var hello Hello
	if err := json.Unmarshal([]byte(older), &hello); err != nil {
		t.Fatal(err)
	}
	if ep := hello.Endpoints[0]; ep.Egress+ep.Space+ep.Workload != "" || hello.Services != nil || hello.Patches || hello.Holds != "" {
		t.Errorf("an older hello decodes to %+v", hello)
	}
	if got := encode(hello); got != older {
		t.Errorf("what an older controller would not know is said all the same: %s", got)
	}
	var want LeaseRequest
	if err := json.Unmarshal([]byte(`{"vtep":"192.0.2.1"}`), &want); err != nil || want != (LeaseRequest{VTEP: "192.0.2.1"}) {
		t.Errorf("an older request for a lease decodes to %+v, %v", want, err)
	}
	if got := encode(Lease{Cell: "cell-1", Subnet: "10.255.1.0/24", Network: []string{"10.255.0.0/16"}, VNI: 1, VXLANPort: 4789}); got !=
		`{"cell":"cell-1","subnet":"10.255.1.0/24","network":["10.255.0.0/16"],"vni":1,"vxlan_port":4789}` {
		t.Errorf("a lease that does not expire is %s", got)
	}
	if got := encode(Message{Type: TypeDelta, Seq: 2, Revision: 3}); got != `{"type":"delta","seq":2,"revision":3}` {
		t.Errorf("a delta about nothing newer is %s", got)
	}
}

// TestFragmentsSurviveTheWire, and only unchanged ones do.
func TestFragmentsSurviveTheWire(t *testing.T) {
	wire := pinned(t)["snapshot"].(*Message).Set[0]
	f, err := FragmentFromWire(wire)
	if err != nil || len(f.Flows) != 1 || f.Flows[0].String() != flowText {
		t.Fatalf("%+v, %v", f, err)
	}
	for name, change := range map[string]func(*Fragment){
		"hash is":  func(w *Fragment) { w.Hash = strings.Repeat("0", len(w.Hash)) },
		"hash":     func(w *Fragment) { w.Hash = "x" },
		`"cell/b"`: func(w *Fragment) { w.Key = "cell/b" },
		"not":      func(w *Fragment) { w.Flows = nil },
		"hash is ": func(w *Fragment) {
			w.Flows = append(w.Flows, flows.Flow{Table: flows.TablePolicy, Actions: "output:1"})
		},
	} {
		changed := wire
		change(&changed)
		if _, err := FragmentFromWire(changed); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
