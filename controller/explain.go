package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Explain resolves the cookie of a dumped flow to what caused it.
func (s *State) Explain(cookie flows.Cookie) (api.Explanation, error) {
	kind, file, err := flows.Explain(cookie)
	if err != nil {
		return api.Explanation{}, api.NotFound("%w", err)
	}
	found := api.Explanation{Cookie: cookie.String(), Kind: kind.String(), File: file}
	switch kind {
	case flows.KindBase:
		table := flows.TableID(cookie.ID())
		found.Text = fmt.Sprintf("part of table %d (%s) on every cell, whatever runs there", cookie.ID(), table)
	case flows.KindEndpoint:
		err = s.explainEndpoint(cookie, &found)
	case flows.KindCell:
		err = s.explainCell(cookie, &found)
	case flows.KindEgress:
		err = s.explainEgress(cookie, &found)
	default:
		err = s.explainPolicies(cookie, &found)
	}
	return found, err
}

func (s *State) explainEndpoint(cookie flows.Cookie, found *api.Explanation) error {
	ip := cookie.IP()
	for id, c := range s.cells {
		if container, has := c.addresses[ip]; has {
			ep := endpointOnWire(id, c.endpoints[container])
			found.Endpoint = &ep
			found.Text = fmt.Sprintf("container %s of app %q on cell %s, %s at ofport %d", ep.Container, ep.App, id, ip, ep.OFPort)
			return nil
		}
	}
	return api.NotFound("cookie %s: it belongs to the container with address %s, and no cell reports one", found.Cookie, ip)
}

func (s *State) explainCell(cookie flows.Cookie, found *api.Explanation) error {
	vtep := cookie.IP()
	for id, c := range s.cells {
		if c.peer.VTEP == vtep {
			found.Cell = new(s.cellOnWire(c))
			found.Text = fmt.Sprintf("cell %s: its containers use %s, its tunnel end is %s", id, c.peer.Lease, vtep)
			return nil
		}
	}
	for id, peer := range s.expired {
		if peer.VTEP == vtep {
			found.Cell = new(expiredOnWire(peer))
			found.Text = fmt.Sprintf("cell %s, whose lease of %s has expired; a flow that still has it waits for its cell to apply that", id, peer.Lease)
			return nil
		}
	}
	return api.NotFound("cookie %s: it belongs to the cell with tunnel end %s, and no cell has it", found.Cookie, vtep)
}

func (s *State) explainPolicies(cookie flows.Cookie, found *api.Explanation) error {
	ids := []flows.PolicyID{flows.PolicyID(cookie.ID())}
	if cookie.Kind() == flows.KindPolicies {
		ids = s.shared(cookie)
	}
	for _, id := range ids {
		if p, has := s.policies[id]; has {
			found.Policies = append(found.Policies, p.onWire())
		}
	}
	switch len(found.Policies) {
	case 0:
		return api.NotFound("cookie %s: no policy causes it now; a flow that still has it waits for its cell to apply the change", found.Cookie)
	case 1:
		p := s.policies[ids[0]]
		found.Text = fmt.Sprintf("policy %d: app %q may connect to app %q on %s", ids[0], p.From, p.To, portText(p.Rule))
	default:
		p := s.policies[ids[0]]
		found.Text = fmt.Sprintf("%d policies from app %q to app %q that cause this flow together", len(ids), p.From, p.To)
	}
	return nil
}

// shared finds the policies behind a cookie that several of them share.
func (s *State) shared(cookie flows.Cookie) []flows.PolicyID {
	for _, rules := range s.toward {
		if ids, has := flows.PolicyCookies(slices.Collect(maps.Values(rules)))[cookie]; has {
			return ids
		}
	}
	return nil
}

func portText(r flows.Rule) string {
	if r.Ports.First == r.Ports.Last {
		return fmt.Sprintf("%s/%d", r.Protocol, r.Ports.First)
	}
	return fmt.Sprintf("%s/%d-%d", r.Protocol, r.Ports.First, r.Ports.Last)
}

// explainEgress finds the rule of a set by its place there, and who has the
// set. Two sets can have one number, but not on one cell.
func (s *State) explainEgress(cookie flows.Cookie, found *api.Explanation) error {
	number, place := cookie.Egress()
	var texts []string
	for rules := range s.profiles {
		if rules.Profile() != number {
			continue
		}
		list := rules.Rules()
		switch {
		case place == 0:
			texts = append(texts, fmt.Sprintf("ICMP errors about connections that the %d rules of egress profile %s allow", len(list), number))
		case place <= len(list):
			found.Rule = list[place-1].String()
			texts = append(texts, fmt.Sprintf("rule %d of %d of egress profile %s: %q", place, len(list), number, found.Rule))
		default:
			continue
		}
		found.Endpoints = append(found.Endpoints, s.having(rules)...)
	}
	if len(texts) == 0 {
		return api.NotFound("cookie %s: it belongs to rule %d of egress profile %s, and no container has that; a flow that still has it waits for its cell to apply the change", found.Cookie, place, number)
	}
	slices.Sort(texts)
	sortEndpoints(found.Endpoints)
	found.Text = fmt.Sprintf("%s, which %d containers have", strings.Join(texts, "; or on another cell "), len(found.Endpoints))
	if len(found.Endpoints) == 1 {
		ep := found.Endpoints[0]
		found.Text = fmt.Sprintf("%s, which container %s of app %q on cell %s has", texts[0], ep.Container, ep.App, ep.Cell)
	}
	return nil
}

// having lists the endpoints with a set of egress rules.
func (s *State) having(rules flows.EgressRules) (list []api.Endpoint) {
	for id, c := range s.cells {
		if c.egress[rules.Profile()].rules != rules {
			continue
		}
		for _, ep := range c.endpoints {
			if ep.Egress == rules {
				list = append(list, endpointOnWire(id, ep))
			}
		}
	}
	return list
}
