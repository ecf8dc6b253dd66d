package cellagent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// observation is what the switch's database says of the cell's containers.
type observation struct {
	endpoints map[string]ovsdb.Port // by container id: those that can have flows
	rejected  map[string]reason     // by port name: why a port cannot be an endpoint
	stale     []string              // names of ports of an earlier boot
	displaced map[string]int        // by name of a port that sits on a reserved OpenFlow port and was not asked to move yet: the number for it
}

// source is what an observation is made of.
type source struct {
	ports  []ovsdb.Port // that carry our owner key, by name, of a list that nobody writes
	others []int        // OpenFlow ports that the bridge's other interfaces have
	lease  netip.Prefix
	boot   string // the kernel's boot id
	barred string // why new containers are, or ""
}

// same reports whether the observation of both is the same, without comparing
// each port: while nothing has changed, the list is the very same one.
func (s source) same(other source) bool {
	return len(s.ports) == len(other.ports) && (len(s.ports) == 0 || &s.ports[0] == &other.ports[0]) &&
		slices.Equal(s.others, other.others) && s.lease == other.lease && s.boot == other.boot && s.barred == other.barred
}

// observe sorts the ports. It is pure. While new containers are barred only those
// that have been ready are let in: what hurts one of them for a moment must not
// end it. Of two ports that claim one container, address or port of the host, the
// one that is already ready keeps it, so that nobody takes over an identity in use,
// and else the one that has been. In no list is a port that has and asks for no OpenFlow
// number, or for one that another has: ovs-vswitchd is about to say which it gets.
func observe(from source) observation {
	seen := observation{endpoints: map[string]ovsdb.Port{}, rejected: map[string]reason{}, displaced: map[string]int{}}
	from.ports = startedFirst(from.ports)
	holder := from.holders()
	spare := from.spares(holder)
	rules := egressTexts{}
	taken := claims{addresses: map[netip.Addr]string{}, hostPorts: map[hostPort]string{}}
	for _, p := range from.ports {
		if p.BootID != "" && p.BootID != from.boot {
			seen.stale = append(seen.stale, p.Name)
			continue
		}
		if 0 < p.OFPort && p.OFPort <= lastReserved {
			if _, held := holder[p.OFPortRequest]; held || p.OFPortRequest <= lastReserved { // else ovs-vswitchd is about to move it
				seen.displaced[p.Name] = spare()
			}
			continue
		}
		if why := unfit(p, from.lease, rules); why != (reason{}) {
			seen.rejected[p.Name] = why
			continue
		}
		if from.barred != "" && !p.Started {
			seen.rejected[p.Name] = passing("the cell takes no containers: " + from.barred)
			continue
		}
		if p.OFPort = numberOf(p); p.OFPort == 0 || holder[p.OFPort] != p.Name {
			continue
		}
		if other, there := seen.endpoints[p.Container]; there {
			seen.rejected[p.Name] = final(fmt.Sprintf("container %s is already attached by port %s", p.Container, other.Name))
			continue
		}
		if why := taken.claim(p); why != "" {
			seen.rejected[p.Name] = final(why)
			continue
		}
		seen.endpoints[p.Container] = p
	}
	return seen
}

// startedFirst has those that are ready before those that were, and both before
// the others. It keeps the order otherwise.
func startedFirst(ports []ovsdb.Port) []ovsdb.Port {
	sorted := make([]ovsdb.Port, 0, len(ports))
	for _, its := range []struct{ ready, started bool }{{true, true}, {false, true}, {false, false}} {
		for i := range ports {
			if p := &ports[i]; p.Ready == its.ready && (p.Ready || p.Started) == its.started {
				sorted = append(sorted, *p)
			}
		}
	}
	return sorted
}

// claims are what one container has to itself, with its id.
type claims struct {
	addresses map[netip.Addr]string
	hostPorts map[hostPort]string
}

type hostPort struct {
	number   uint16
	protocol string
}

// claim takes everything that p asks for, or nothing: then it says why.
func (c claims) claim(p ovsdb.Port) string {
	if other, taken := c.addresses[p.IP]; taken {
		return fmt.Sprintf("address %v is already used by container %s", p.IP, other)
	}
	for _, m := range p.Mappings {
		if other, taken := c.hostPorts[hostPort{m.HostPort, m.Protocol}]; taken {
			return fmt.Sprintf("host port %d/%s is already mapped to container %s", m.HostPort, m.Protocol, other)
		}
	}
	c.addresses[p.IP] = p.Container
	for _, m := range p.Mappings {
		c.hostPorts[hostPort{m.HostPort, m.Protocol}] = p.Container
	}
	return ""
}

// unfit says why a port cannot be an endpoint as it is. A lease that has changed
// since the container got its address has another for it.
func unfit(p ovsdb.Port, lease netip.Prefix, rules egressTexts) reason {
	switch {
	case p.Container == "":
		return final("the port names no container")
	case p.IfaceError != "":
		return final("the switch cannot use the interface: " + p.IfaceError)
	case p.IP.Is4() && !lease.Contains(p.IP):
		return passing(fmt.Sprintf("address %v is outside the cell's lease %v", p.IP, lease))
	case !p.IP.Is4():
		return final(fmt.Sprintf("address %v is outside the cell's lease %v", p.IP, lease))
	case !ownMAC(p).Station():
		return final(fmt.Sprintf("MAC %q must be that of one station, such as %v, which follows from the address", p.MAC, flows.MACOf(p.IP)))
	case p.OFPort < 0 || p.OFPort > maxOFPort:
		return final(fmt.Sprintf("OpenFlow port %d is not usable (%d to %d)", p.OFPort, lastReserved+1, maxOFPort))
	case p.Unread != "":
		return final(p.Unread)
	}
	return final(rules.unfit(p.Egress))
}

// egressTexts are why texts of egress rules are unfit, "" of those that are fit.
// Most containers of a cell have the same few, and they are long.
type egressTexts map[string]string

func (e egressTexts) unfit(text string) string {
	reason, known := e[text]
	if known {
		return reason
	}
	if rules, err := flows.ParseEgressRules(text); err != nil {
		reason = fmt.Sprintf("external_ids:%s: %v", ovsdb.KeyEgress, err)
	} else if text != string(rules) {
		reason = fmt.Sprintf("external_ids:%s %q: must be in its canonical text %q", ovsdb.KeyEgress, text, rules)
	}
	e[text] = reason
	return reason
}

// wireEndpoint is a port as the controller is told of it.
func wireEndpoint(p ovsdb.Port) api.Endpoint {
	wire := api.Endpoint{
		Container: p.Container, App: p.App, IP: p.IP.String(), OFPort: uint16(p.OFPort),
		Egress: p.Egress, Space: p.Space, Workload: p.Workload,
	}
	if mac := ownMAC(p); mac != flows.MACOf(p.IP) {
		wire.MAC = mac.String()
	}
	return wire
}

// ownMAC is the MAC of the container's end, zero if the text is none.
func ownMAC(p ovsdb.Port) flows.MAC {
	mac, err := flows.ParseMAC(p.MAC)
	if err != nil {
		return flows.MAC{}
	}
	return mac
}

// wireEndpoints is everything that a Hello says, in the order of containers.
func (o observation) wireEndpoints() []api.Endpoint {
	all := make([]api.Endpoint, 0, len(o.endpoints))
	for _, p := range o.endpoints {
		all = append(all, wireEndpoint(p))
	}
	slices.SortFunc(all, func(a, b api.Endpoint) int { return cmp.Compare(a.Container, b.Container) })
	return all
}

// changesSince is what a controller that was told reported must be told now.
func (o observation) changesSince(reported map[string]api.Endpoint) (up []api.Endpoint, down []string) {
	for _, e := range o.wireEndpoints() {
		if old, known := reported[e.Container]; !known || old != e {
			up = append(up, e)
		}
	}
	for container := range reported {
		if _, there := o.endpoints[container]; !there {
			down = append(down, container)
		}
	}
	slices.Sort(down)
	return up, down
}

// admits reports whether a fragment may be in the switch now. An endpoint's
// flows give its identity to whatever sends from an OpenFlow port, so they are
// installed only while the database shows that container, with that address,
// on that port: neither a table from before a restart nor one that a
// controller computed a moment ago can hand the identity to the next user of
// the port.
func (o observation) admits(f flows.Fragment) bool {
	container, isEndpoint := f.Key.Container()
	if !isEndpoint {
		return true
	}
	p, there := o.endpoints[container]
	if !there {
		return false
	}
	entrance := "in_port=" + strconv.Itoa(p.OFPort)
	return slices.ContainsFunc(f.Flows, func(flow flows.Flow) bool {
		return flow.Table == flows.TableClassify && flow.Match == entrance && flow.Cookie.IP() == p.IP
	})
}
