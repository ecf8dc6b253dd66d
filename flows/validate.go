package flows

import (
	"errors"
	"fmt"
	"net/netip"
)

// Validate reports every value that Compile cannot compile, or that would make
// two objects share a flow. Compile panics on addresses that are not IPv4;
// whoever takes a state from outside asks first.
func (c CellState) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.VNI == 0 || c.VNI >= 1<<24 {
		fault("vni %d: must be 1 to %d", c.VNI, 1<<24-1)
	}
	if !isSubnet(c.Lease) || c.Lease.Contains(GatewayIP) {
		fault("lease %v: must be an IPv4 subnet without the gateway %v", c.Lease, GatewayIP)
	}
	for _, network := range c.Overlay {
		if !isSubnet(network) {
			fault("overlay %v: must be an IPv4 network", network)
		}
	}
	for _, network := range c.Deny {
		if !isSubnet(network) {
			fault("deny network %v: must be an IPv4 network", network)
		}
	}
	for _, s := range c.Services {
		if s.Protocol != TCP && s.Protocol != UDP || !s.Addr.Is4() || s.Port == 0 {
			fault("service %v %v:%d: must be tcp or udp, an IPv4 address and a port from 1", s.Protocol, s.Addr, s.Port)
		}
	}
	c.validateLocal(fault)
	c.validateRemote(fault)
	for _, r := range c.Allow {
		if r.Protocol != TCP && r.Protocol != UDP {
			fault("policy %d: %v: must be tcp or udp", r.Policy, r.Protocol)
		}
		if r.Ports.First == 0 || r.Ports.First > r.Ports.Last {
			fault("policy %d: ports %d to %d: must be 1 to 65535, in ascending order", r.Policy, r.Ports.First, r.Ports.Last)
		}
		if r.Policy == 0 || uint64(r.Policy) >= 1<<cookieIDBits {
			fault("policy %d: its number must fit a cookie: 1 to 2^%d-1", r.Policy, cookieIDBits)
		}
	}
	return errors.Join(faults...)
}

// isSubnet refuses the whole of IPv4 too: OVS drops a match on /0, so what it
// prints would differ from what was compiled.
func isSubnet(p netip.Prefix) bool { return p.IsValid() && p.Addr().Is4() && p.Bits() > 0 }

func (c CellState) validateLocal(fault func(string, ...any)) {
	containers, ips, ports := map[string]bool{}, map[netip.Addr]bool{}, map[OFPort]bool{TunnelOFPort: true, DenyOFPort: true}
	profiles := map[EgressProfile]EgressRules{}
	for _, ep := range c.Local {
		switch {
		case ep.Container == "" || containers[ep.Container]:
			fault("endpoint %q: container ids must be there and differ", ep.Container)
		case !ep.IP.Is4() || !c.Lease.Contains(ep.IP) || ips[ep.IP]:
			fault("endpoint %s: ip %v: must be in the lease %v and no other endpoint's", ep.Container, ep.IP, c.Lease)
		case ep.OFPort == 0 || ep.OFPort > MaxOFPort || ports[ep.OFPort]:
			fault("endpoint %s: ofport %d: must be 3 to %d and no other endpoint's", ep.Container, ep.OFPort, MaxOFPort)
		}
		if canonical, err := ParseEgressRules(string(ep.Egress)); err != nil || canonical != ep.Egress {
			fault("endpoint %s: egress rules %q: must be as NewEgressRules writes them: %v", ep.Container, ep.Egress, err)
		}
		if twin, taken := profiles[ep.Egress.Profile()]; taken && twin != ep.Egress {
			fault("endpoint %s: egress rules %q have the profile %v of others on this cell: change a rule", ep.Container, ep.Egress, ep.Egress.Profile())
		}
		containers[ep.Container], ips[ep.IP], ports[ep.OFPort] = true, true, true
		profiles[ep.Egress.Profile()] = ep.Egress
	}
}

func (c CellState) validateRemote(fault func(string, ...any)) {
	cells, vteps := map[CellID]bool{c.Cell: true}, map[netip.Addr]bool{}
	leases := []netip.Prefix{c.Lease}
	for _, p := range c.Remote {
		switch {
		case p.Cell == "" || cells[p.Cell]:
			fault("cell %q: cell ids must be there and differ", p.Cell)
		case !p.VTEP.Is4() || p.VTEP.IsUnspecified() || p.VTEP.IsMulticast() || vteps[p.VTEP]:
			fault("cell %s: vtep %v: must be one IPv4 host's and no other cell's", p.Cell, p.VTEP)
		case !isSubnet(p.Lease):
			fault("cell %s: lease %v: must be an IPv4 subnet", p.Cell, p.Lease)
		}
		for _, other := range leases {
			if p.Lease.IsValid() && p.Lease.Overlaps(other) {
				fault("cell %s: lease %v overlaps %v", p.Cell, p.Lease, other)
			}
		}
		cells[p.Cell], vteps[p.VTEP] = true, true
		leases = append(leases, p.Lease)
	}
}
