package api

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/flows"
)

// FragmentToWire renders a fragment for the stream.
func FragmentToWire(f flows.Fragment) Fragment {
	w := Fragment{Key: string(f.Key), Hash: f.Hash.String(), Flows: make([]string, len(f.Flows))}
	for i, flow := range f.Flows {
		w.Flows[i] = flow.String()
	}
	return w
}

// FragmentFromWire parses a fragment and hashes what it parsed. It refuses one
// whose hash differs: what the agent installs must be what the controller compiled.
func FragmentFromWire(w Fragment) (flows.Fragment, error) {
	parsed := make([]flows.Flow, len(w.Flows))
	for i, text := range w.Flows {
		flow, err := flows.ParseFlow(text)
		if err != nil {
			return flows.Fragment{}, fmt.Errorf("fragment %q: flow %d: %w", w.Key, i, err)
		}
		parsed[i] = flow
	}
	f := flows.NewFragment(flows.FragmentKey(w.Key), parsed)
	if got := f.Hash.String(); got != w.Hash {
		return flows.Fragment{}, fmt.Errorf("fragment %q: hash is %s, not %s as the message says", w.Key, got, w.Hash)
	}
	return f, nil
}

// cookiesOf returns the cookies of each policy's flows, as ovs-ofctl prints
// them, in ascending order.
func cookiesOf(policies []Policy) map[flows.PolicyID][]string {
	// A shared cookie depends on which policies share it, not on the numbers of
	// the groups: any will do that tell the apps apart.
	numbers := make(map[flows.AppID]flows.GroupID)
	number := func(app flows.AppID) flows.GroupID {
		if _, known := numbers[app]; !known {
			numbers[app] = flows.GroupID(len(numbers) + 1)
		}
		return numbers[app]
	}
	rules := make([]flows.Rule, len(policies))
	for i, p := range policies {
		rules[i] = flows.Rule{Policy: p.ID, From: number(p.From), To: number(p.To), Protocol: p.Protocol, Ports: p.Ports}
	}
	byCookie := flows.PolicyCookies(rules)
	cookies := make(map[flows.PolicyID][]string, len(policies))
	for _, cookie := range slices.Sorted(maps.Keys(byCookie)) {
		for _, id := range byCookie[cookie] {
			cookies[id] = append(cookies[id], cookie.String())
		}
	}
	return cookies
}

// policyBody renders a policy in Cloud Foundry's shape.
func policyBody(p Policy) PolicyBody {
	return PolicyBody{
		Source: Source{ID: string(p.From)},
		Destination: Destination{
			ID:       string(p.To),
			Protocol: p.Protocol.String(),
			Ports:    Ports{Start: int(p.Ports.First), End: int(p.Ports.Last)},
		},
	}
}

// policyFromBody is the inverse, for a body that has passed validation.
func policyFromBody(b PolicyBody) (Policy, error) {
	protocol, err := flows.ParseProtocol(b.Destination.Protocol)
	if err != nil {
		return Policy{}, err
	}
	return Policy{
		From:     flows.AppID(b.Source.ID),
		To:       flows.AppID(b.Destination.ID),
		Protocol: protocol,
		Ports:    flows.PortRange{First: uint16(b.Destination.Ports.Start), Last: uint16(b.Destination.Ports.End)},
	}, nil
}
