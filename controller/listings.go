package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Policies lists all policies in the order of their ids.
func (s *State) Policies() []api.Policy {
	list := make([]api.Policy, 0, len(s.policies))
	for _, p := range s.policies {
		list = append(list, p.policy())
	}
	slices.SortFunc(list, func(a, b api.Policy) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func (p PolicyAdded) policy() api.Policy {
	return api.Policy{ID: p.Rule.Policy, From: p.From, To: p.To, Protocol: p.Rule.Protocol, Ports: p.Rule.Ports}
}

// Groups lists the group ids in use or in quarantine, in ascending order.
func (s *State) Groups() []api.Group {
	named := map[flows.AppID]int{}
	for _, p := range s.policies {
		named[p.From]++
		if p.To != p.From {
			named[p.To]++
		}
	}
	list := make([]api.Group, 0, len(s.apps))
	for _, id := range slices.Sorted(maps.Keys(s.apps)) {
		app := s.apps[id]
		group := s.groupOnWire(id)
		group.Policies = named[app]
		list = append(list, group)
	}
	return list
}

// GroupNames lists those of the group ids that there are, in ascending order,
// without counting their policies.
func (s *State) GroupNames(ids []flows.GroupID) []api.Group {
	var list []api.Group
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if _, is := s.apps[id]; is {
			list = append(list, s.groupOnWire(id))
		}
	}
	return list
}

func (s *State) groupOnWire(id flows.GroupID) api.Group {
	group := api.Group{Group: uint16(id), Tag: fmt.Sprintf("%04X", uint16(id)), App: string(s.apps[id]), Type: "app"}
	if q, freed := s.freed[id]; freed {
		until := q.at.Add(s.overlay.Quarantine).UTC()
		group.State, group.Until = api.GroupQuarantined, &until
	}
	return group
}

// Endpoints lists every known endpoint, by cell and container id. Refused ones
// are not among them.
func (s *State) Endpoints() []api.Endpoint {
	var list []api.Endpoint
	for id, c := range s.cells {
		for _, ep := range c.endpoints {
			list = append(list, endpointOnWire(id, ep))
		}
	}
	slices.SortFunc(list, func(a, b api.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Container, b.Container))
	})
	return list
}

func endpointOnWire(cell flows.CellID, ep flows.Endpoint) api.Endpoint {
	return api.Endpoint{
		Container: ep.Container, App: string(ep.App), IP: ep.IP.String(), OFPort: uint16(ep.OFPort),
		Cell: string(cell), Group: uint16(ep.Group), Egress: string(ep.Egress), Log: ep.Log,
	}
}

// Cells lists the cells that have a lease, by id, without what only their
// streams know.
func (s *State) Cells() []api.Cell {
	list := make([]api.Cell, 0, len(s.cells))
	for _, c := range s.cells {
		list = append(list, c.onWire())
	}
	slices.SortFunc(list, func(a, b api.Cell) int { return cmp.Compare(a.Cell, b.Cell) })
	return list
}

func (c *cell) onWire() api.Cell {
	return api.Cell{
		Cell: string(c.peer.Cell), VTEP: c.peer.VTEP.String(), Subnet: c.peer.Lease.String(), Endpoints: len(c.endpoints),
	}
}

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
			found.Cell = new(c.onWire())
			found.Text = fmt.Sprintf("cell %s: its containers use %s, its tunnel end is %s", id, c.peer.Lease, vtep)
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

func (p PolicyAdded) onWire() api.PolicyInfo {
	return api.PolicyInfo{
		ID:     uint64(p.Rule.Policy),
		Source: api.Source{ID: string(p.From)},
		Destination: api.Destination{
			ID: string(p.To), Protocol: p.Rule.Protocol.String(),
			Ports: api.Ports{Start: int(p.Rule.Ports.First), End: int(p.Rule.Ports.Last)},
		},
		Cookie: flows.PolicyCookie(p.Rule.Policy).String(),
	}
}
