package api

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/flows"
)

// FragmentToWire renders a fragment for the stream.
func FragmentToWire(f flows.Fragment) Fragment {
	return Fragment{Key: string(f.Key), Hash: f.Hash.String(), Flows: flowTexts(f.Flows)}
}

// FragmentFromWire parses a fragment and hashes what it parsed. It refuses one
// whose hash differs: what the agent installs must be what the controller compiled.
func FragmentFromWire(w Fragment) (flows.Fragment, error) {
	parsed, err := parseFlows(w.Flows)
	if err != nil {
		return flows.Fragment{}, fmt.Errorf("fragment %q: %w", w.Key, err)
	}
	return hashedAs(w.Key, w.Hash, parsed)
}

// PatchToWire renders what makes one fragment of another with the same key.
func PatchToWire(from, to flows.Fragment) Patch {
	add, remove := flows.Diff(from.Flows, to.Flows)
	return Patch{Key: string(to.Key), Hash: to.Hash.String(), Add: flowTexts(add), Remove: flowTexts(remove)}
}

// PatchFromWire returns what a patch makes of a fragment. It refuses one that is
// not for this fragment, or whose outcome has another hash.
func PatchFromWire(from flows.Fragment, w Patch) (flows.Fragment, error) {
	add, err := parseFlows(w.Add)
	if err != nil {
		return flows.Fragment{}, fmt.Errorf("patch of fragment %q: add: %w", w.Key, err)
	}
	remove, err := parseFlows(w.Remove)
	if err != nil {
		return flows.Fragment{}, fmt.Errorf("patch of fragment %q: remove: %w", w.Key, err)
	}
	patched, err := flows.Patch(from.Flows, add, remove)
	if err != nil {
		return flows.Fragment{}, fmt.Errorf("patch of fragment %q: %w", w.Key, err)
	}
	return hashedAs(w.Key, w.Hash, patched)
}

func flowTexts(list []flows.Flow) []string {
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = f.String()
	}
	return texts
}

func parseFlows(texts []string) ([]flows.Flow, error) {
	parsed := make([]flows.Flow, len(texts))
	for i, text := range texts {
		flow, err := flows.ParseFlow(text)
		if err != nil {
			return nil, fmt.Errorf("flow %d: %w", i, err)
		}
		parsed[i] = flow
	}
	return parsed, nil
}

// hashedAs makes a fragment that must have the hash that the message says.
func hashedAs(key, hash string, list []flows.Flow) (flows.Fragment, error) {
	f := flows.NewFragment(flows.FragmentKey(key), list)
	if got := f.Hash.String(); got != hash {
		return flows.Fragment{}, fmt.Errorf("fragment %q: hash is %s, not %s as the message says", key, got, hash)
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
