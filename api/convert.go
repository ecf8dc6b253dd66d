package api

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/flows"
)

// FragmentToWire is a fragment as it travels. They share their flows.
func FragmentToWire(f flows.Fragment) Fragment {
	return Fragment{Key: string(f.Key), Hash: f.Hash.String(), Flows: f.Flows}
}

// FragmentFromWire hashes what arrived, and refuses it if the hash differs: what
// the agent installs must be what the controller compiled. It keeps the flows.
func FragmentFromWire(w Fragment) (flows.Fragment, error) { return hashedAs(w.Key, w.Hash, w.Flows) }

// PatchToWire is what makes one fragment of another with the same key.
func PatchToWire(from, to flows.Fragment) Patch {
	add, remove := flows.Diff(from.Flows, to.Flows)
	return Patch{Key: string(to.Key), Hash: to.Hash.String(), Add: add, Remove: remove}
}

// PatchFromWire returns what a patch makes of a fragment. It refuses one that is
// not for this fragment, or whose outcome has another hash.
func PatchFromWire(from flows.Fragment, w Patch) (flows.Fragment, error) {
	patched, err := flows.Patch(from.Flows, w.Add, w.Remove)
	if err != nil {
		return flows.Fragment{}, fmt.Errorf("patch of fragment %q: %w", w.Key, err)
	}
	return hashedAs(w.Key, w.Hash, patched)
}

// hashedAs makes a fragment that must have the hash that the message says.
func hashedAs(key, hash string, list flows.Table) (flows.Fragment, error) {
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
