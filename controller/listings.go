package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Policies lists all policies in the order of their ids. The list is shared
// with other callers until the next change: nobody may change it.
func (s *State) Policies() []api.Policy {
	if s.listed == nil {
		s.listed = make([]api.Policy, 0, len(s.policies))
		for _, p := range s.policies {
			s.listed = append(s.listed, p.Policy())
		}
		slices.SortFunc(s.listed, func(a, b api.Policy) int { return cmp.Compare(a.ID, b.ID) })
	}
	return s.listed
}

// Policy is what is allowed, without the group ids.
func (p PolicyAdded) Policy() api.Policy {
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
	group := api.Group{Group: uint16(id), Tag: fmt.Sprintf("%04X", uint16(id)), App: string(s.apps[id]), Type: cmp.Or(s.types[id], AppType)}
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
	sortEndpoints(list)
	return list
}

func sortEndpoints(list []api.Endpoint) {
	slices.SortFunc(list, func(a, b api.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Container, b.Container))
	})
}

// endpointOnWire renders an endpoint with the egress rules that hold, be they
// its own or those of its security groups.
func endpointOnWire(cell flows.CellID, ep endpoint) api.Endpoint {
	listed := ep.reported()
	listed.Cell, listed.Group, listed.Egress, listed.Log = string(cell), uint16(ep.Group), string(ep.Egress), ep.Log
	return listed
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
