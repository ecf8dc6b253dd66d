package cellagent

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/weft-sdn/weft/cellagent/conntrack"
	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/flows"
)

// mappedPort is a port of the host.
type mappedPort struct {
	protocol flows.Protocol
	number   uint16
}

// mappedPorts are those that lead to containers, by the host's rules. The
// kernel asks the rules for the first packet of a connection alone, so that its
// tracker must be told when they change. A mappedPorts is immutable.
type mappedPorts map[mappedPort]netip.AddrPort

func mappedPortsOf(mappings []hostnet.Mapping) mappedPorts {
	all := make(mappedPorts, len(mappings))
	for _, m := range mappings {
		all[mappedPort{m.Protocol, m.HostPort}] = m.Container
	}
	return all
}

// differing are the ports that lead elsewhere, or nowhere, in the other.
func (m mappedPorts) differing(other mappedPorts) map[mappedPort]bool {
	ports := map[mappedPort]bool{}
	for port, container := range m {
		if other[port] != container {
			ports[port] = true
		}
	}
	for port := range other {
		if _, both := m[port]; !both {
			ports[port] = true
		}
	}
	return ports
}

// stray reports whether a client outside still speaks to whom a port led
// before: to a container that does not have it any longer, or to the host
// itself. Connections that go out, those of the host, and those that somebody
// else's rules map, lead where they like.
func (m mappedPorts) stray(e conntrack.Entry, lease netip.Prefix, host map[netip.Addr]bool) bool {
	container, mapped := m[mappedPort{e.Protocol, e.Port}]
	switch {
	case lease.Contains(e.Source) || host[e.Source]:
		return false
	case e.Translated():
		return e.Mark&hostnet.MappedMark != 0 && lease.Contains(e.Answerer.Addr()) && e.Answerer != container
	}
	return mapped && host[e.Destination]
}

// remap tells the tracker what the host's rules map from now on. What is mapped as
// it was keeps its connections.
func (t *tracker) remap(mappings []hostnet.Mapping) { t.maps(mappings, chores{}) }

// reload does the same when the rules may have been others meanwhile, or nobody
// knows of the time before.
func (t *tracker) reload(mappings []hostnet.Mapping) { t.maps(mappings, chores{host: true}) }

// maps has done, beside c, what follows from the difference.
func (t *tracker) maps(mappings []hostnet.Mapping, c chores) {
	if t == nil {
		return
	}
	now := mappedPortsOf(mappings)
	if old := t.mapped.Swap(&now); old != nil {
		c.ports = old.differing(now)
	} else {
		c.host, c.ports = true, mappedPorts{}.differing(now)
	}
	t.add(c)
}

// hostJobs are the walks through the connections that the host routes. Before
// the host's rules were made there are none of ours.
func (t *tracker) hostJobs(c chores) (jobs []job, err error) {
	if t.mapped.Load() == nil || len(c.addresses) == 0 && len(c.ports) == 0 && !c.host {
		return nil, nil
	}
	host, err := hostAddresses()
	if err != nil {
		return nil, err
	}
	every := func(conntrack.Entry) bool { return true }
	stray := func(e conntrack.Entry) bool { return t.mapped.Load().stray(e, t.seen().lease, host) }
	from := conntrack.Selection{Zone: conntrack.HostZone}
	if len(c.addresses) > singly {
		jobs = append(jobs, job{from, c.concerns})
	} else {
		for addr := range c.addresses {
			jobs = append(jobs, job{conntrack.Selection{Zone: conntrack.HostZone, Source: addr}, every},
				job{conntrack.Selection{Zone: conntrack.HostZone, Answerer: addr}, every})
		}
	}
	switch {
	case c.host:
		jobs = append(jobs, job{from, func(e conntrack.Entry) bool { return stray(e) || t.seen().abandoned(e) }})
	case len(c.ports) > singly:
		jobs = append(jobs, job{from, stray})
	default:
		for p := range c.ports {
			jobs = append(jobs, job{conntrack.Selection{Zone: conntrack.HostZone, Protocol: p.protocol, Port: p.number}, stray})
		}
	}
	return jobs, nil
}

// hostAddresses are the host's own.
func hostAddresses() (map[netip.Addr]bool, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of the host: %w", err)
	}
	own := make(map[netip.Addr]bool, len(all))
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own[prefix.Addr()] = true
		}
	}
	return own, nil
}
