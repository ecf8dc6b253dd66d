package controller

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// refusal is an endpoint that an agent reported and that gets no flows, so
// that its container can neither send nor receive.
type refusal struct {
	endpoint api.Endpoint
	reason   string
	final    bool // no other endpoint's end can change it: it is not looked at again
}

// replaceEndpoints makes reported the cell's endpoints.
func (s *State) replaceEndpoints(c *cell, reported []api.Endpoint) {
	named := make(map[string]bool, len(reported))
	for _, ep := range reported {
		named[ep.Container] = true
	}
	var down []string
	for id := range c.endpoints {
		if !named[id] {
			down = append(down, id)
		}
	}
	for id := range c.refused {
		if !named[id] {
			down = append(down, id)
		}
	}
	s.changeEndpoints(c, reported, down)
}

// changeEndpoints applies down, then up. One endpoint that cannot be is
// refused alone; when what it collided with goes away, it is looked at again,
// since its agent does not report it twice.
func (s *State) changeEndpoints(c *cell, up []api.Endpoint, down []string) {
	before := maps.Clone(c.refused)
	for _, id := range down {
		delete(c.refused, id)
		s.endpointDown(c, id)
	}
	maps.Copy(c.refused, candidates(up))
	waiting := slices.Sorted(maps.Keys(c.refused))
	for _, id := range waiting { // first make room, so that addresses may be swapped
		if had, is := c.endpoints[id]; is && !same(had, c.refused[id]) {
			s.endpointDown(c, id)
		}
	}
	for _, id := range waiting {
		w := c.refused[id]
		if !w.final {
			w.reason, w.final = s.endpointUp(c, w.endpoint)
		}
		if w.reason == "" {
			delete(c.refused, id)
		} else {
			c.refused[id] = w
		}
	}
	if !maps.Equal(before, c.refused) {
		s.mark(c.peer.Cell).Refused = true
	}
}

// candidates are the endpoints of one report, by container id.
func candidates(up []api.Endpoint) map[string]refusal {
	found := make(map[string]refusal, len(up))
	for _, ep := range up {
		ep.Cell, ep.Group, ep.Log = "", 0, false // fields of listings
		if twin, twice := found[ep.Container]; twice && twin.endpoint != ep {
			found[ep.Container] = refusal{ep, "container is reported twice with different contents: it can have one interface", true}
			continue
		}
		found[ep.Container] = refusal{endpoint: ep}
	}
	return found
}

// same reports whether the agent reported what we have.
func same(have endpoint, w refusal) bool {
	return !w.final && string(have.App) == w.endpoint.App && have.IP.String() == w.endpoint.IP &&
		uint16(have.OFPort) == w.endpoint.OFPort && sameMAC(have, w.endpoint.MAC) && sameRules(have.own, w.endpoint.Egress) &&
		have.space == w.endpoint.Space && have.workload == w.endpoint.Workload
}

// sameMAC reports whether a text names the MAC that the endpoint has.
func sameMAC(have endpoint, text string) bool {
	mac, err := ownMAC(have.IP, text)
	return err == nil && mac == have.MAC
}

// ownMAC reads a MAC, zero for the one that follows from the address.
func ownMAC(ip netip.Addr, text string) (flows.MAC, error) {
	if text == "" {
		return flows.MAC{}, nil
	}
	mac, err := flows.ParseMAC(text)
	switch {
	case err != nil || !mac.Station():
		return flows.MAC{}, fmt.Errorf("mac %.40q: not the MAC of one station", text)
	case mac == flows.MACOf(ip):
		return flows.MAC{}, nil
	}
	return mac, nil
}

// sameRules reports whether a text, canonical or not, is of the rules we have.
func sameRules(have flows.EgressRules, text string) bool {
	if string(have) == text {
		return true
	}
	rules, err := flows.ParseEgressRules(text)
	return err == nil && rules == have
}

// endpointUp adds an endpoint, or returns why it cannot be, and whether that
// is for good.
func (s *State) endpointUp(c *cell, reported api.Endpoint) (reason string, final bool) {
	if _, is := c.endpoints[reported.Container]; is {
		return "", false // an equal one: changeEndpoints removed any other
	}
	ep, err := s.admit(c.peer.Lease, reported)
	if err != nil {
		return err.Error(), true
	}
	if other, taken := c.addresses[ep.IP]; taken {
		return fmt.Sprintf("ip %s: container %s has it", ep.IP, other), false
	}
	if other, taken := c.ports[ep.OFPort]; taken {
		return fmt.Sprintf("ofport %d: container %s has it", ep.OFPort, other), false
	}
	ep.Egress = s.join(c, ep)
	if reason := c.mayEgress(ep.Egress); reason != "" {
		s.leave(c, ep)
		return reason, false
	}
	if ep.App != "" { // the platform may give an identity the empty name, and no container has that
		ep.Group = s.groups[ep.App]
	}
	ep.Log = s.logs(ep.App)
	c.endpoints[ep.Container] = ep
	c.addresses[ep.IP], c.ports[ep.OFPort] = ep.Container, ep.Container
	s.set(c, new(flows.EndpointFragment(ep.Endpoint)))
	s.useEgress(c, ep.Egress)
	if ep.App != "" {
		s.host(c, ep)
	}
	return "", false
}

// host counts one more endpoint of an app on a cell.
func (s *State) host(c *cell, ep endpoint) {
	cells := s.hosts[ep.App]
	if cells == nil {
		cells = map[flows.CellID]int{}
		s.hosts[ep.App] = cells
	}
	cells[c.peer.Cell]++
	switch judge := s.judges[ep.Group]; {
	case ep.Group == 0:
		s.nameless[ep.App] = struct{}{}
	case cells[c.peer.Cell] > 1:
	case judge != nil:
		s.set(c, judge)
	case len(s.toward[ep.Group]) > 0:
		s.stale[ep.Group] = struct{}{}
	}
}

// endpointDown removes an endpoint. An absent one changes nothing.
func (s *State) endpointDown(c *cell, container string) {
	ep, is := c.endpoints[container]
	if !is {
		return
	}
	delete(c.endpoints, container)
	delete(c.addresses, ep.IP)
	delete(c.ports, ep.OFPort)
	s.put(c, flows.EndpointKey(container), nil)
	s.leaveEgress(c, ep.Egress)
	s.leave(c, ep)
	cells := s.hosts[ep.App]
	if ep.App == "" {
		return
	}
	if cells[c.peer.Cell]--; cells[c.peer.Cell] > 0 {
		return
	}
	delete(cells, c.peer.Cell)
	if ep.Group != 0 {
		s.put(c, flows.PolicyKey(ep.Group), nil)
	}
	if len(cells) == 0 {
		delete(s.hosts, ep.App)
		delete(s.nameless, ep.App)
		delete(s.judges, ep.Group)
	}
}

// containerID is what CNI 1.1 allows: it becomes a part of fragment keys.
var containerID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,254}$`)

// maxAppLength is what the database's column holds, in bytes.
const maxAppLength = 255

// The OpenFlow ports that a container can have: 0 is reserved, and the tunnel has
// flows.TunnelOFPort, the denied packets flows.DenyOFPort.
const (
	minOFPort = uint16(flows.DenyOFPort) + 1
	maxOFPort = uint16(flows.MaxOFPort)
)

// admit checks what an agent reports of one endpoint. An agent speaks for its
// own cell only: an address outside the cell's lease would take another's.
func (s *State) admit(lease netip.Prefix, ep api.Endpoint) (endpoint, error) {
	ip, err := netip.ParseAddr(ep.IP)
	switch {
	case !containerID.MatchString(ep.Container):
		return endpoint{}, fmt.Errorf("container id %.40q: want 1 to 255 letters, digits, '_', '.', '-', the first a letter or digit", ep.Container)
	case len(ep.App) > maxAppLength:
		return endpoint{}, fmt.Errorf("app %.40q...: %d bytes, at most %d", ep.App, len(ep.App), maxAppLength)
	case len(ep.Space) > maxAppLength || len(ep.Workload) > maxAppLength:
		return endpoint{}, fmt.Errorf("space %.40q, workload %.40q: at most %d bytes each", ep.Space, ep.Workload, maxAppLength)
	case err != nil || !ip.Is4():
		return endpoint{}, fmt.Errorf("ip %.60q: not an IPv4 address", ep.IP)
	case !lease.Contains(ip):
		return endpoint{}, fmt.Errorf("ip %s: outside the cell's lease %s", ip, lease)
	case ep.OFPort < minOFPort || ep.OFPort > maxOFPort:
		return endpoint{}, fmt.Errorf("ofport %d: want %d to %d", ep.OFPort, minOFPort, maxOFPort)
	}
	mac, err := ownMAC(ip, ep.MAC)
	if err != nil {
		return endpoint{}, err
	}
	rules := flows.EgressRules(ep.Egress)
	if _, known := s.profiles[rules]; !known { // a text that is in use is canonical
		if rules, err = flows.ParseEgressRules(ep.Egress); err != nil {
			return endpoint{}, fmt.Errorf("%.300s", err) // the rest of a long text says no more
		}
	}
	return endpoint{
		Endpoint: flows.Endpoint{Container: ep.Container, App: flows.AppID(ep.App), IP: ip, MAC: mac, OFPort: flows.OFPort(ep.OFPort)},
		own:      rules, space: ep.Space, workload: ep.Workload,
	}, nil
}

// Refused lists the cell's refused endpoints and why, by container id.
func (s *State) Refused(id flows.CellID) []api.Refusal {
	c := s.cells[id]
	if c == nil {
		return nil
	}
	list := make([]api.Refusal, 0, len(c.refused))
	for container, r := range c.refused {
		list = append(list, api.Refusal{Container: container, Reason: r.reason})
	}
	slices.SortFunc(list, func(a, b api.Refusal) int { return cmp.Compare(a.Container, b.Container) })
	return list
}
