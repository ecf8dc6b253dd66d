package cellagent

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weft-sdn/weft/cellagent/conntrack"
	"github.com/weft-sdn/weft/cellagent/flowlog"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// allowance is what one flow of table policy lets through.
type allowance struct {
	from, to    flows.GroupID
	protocol    flows.Protocol
	value, mask uint16 // of the destination port
}

// covers reports whether such a connection is let through.
func (a allowance) covers(from, to flows.GroupID, p flows.Protocol, port uint16) bool {
	return a.from == from && a.to == to && a.protocol == p && port&a.mask == a.value
}

// allowanceOf reads a flow. The last one of table policy, and all flows of other
// tables, are none.
func allowanceOf(f flows.Flow) (a allowance, ok bool) {
	if f.Table != flows.TablePolicy {
		return allowance{}, false
	}
	read := 0
	number := func(text string) uint16 {
		n, err := strconv.ParseUint(text, 0, 16)
		if err == nil {
			read++
		}
		return uint16(n)
	}
	a.mask = 0xffff
	for term := range strings.SplitSeq(f.Match, ",") {
		name, value, _ := strings.Cut(term, "=")
		switch name {
		case "reg0":
			a.from = flows.GroupID(number(value))
		case "reg1":
			a.to = flows.GroupID(number(value))
		case "ct_nw_proto":
			a.protocol = flows.Protocol(number(value))
		case "ct_tp_dst":
			port, mask, masked := strings.Cut(value, "/")
			a.value = number(port)
			if masked {
				a.mask = number(mask)
				read--
			}
		}
	}
	return a, read == 4
}

// policyFlows are the allowances of one policy fragment, with their causes.
type policyFlows struct {
	hash   flows.Hash
	allows []allowance
	causes []flows.Cookie // of each
}

// view is what the agent's helpers see of its state. It is immutable.
type view struct {
	lease    netip.Prefix
	complete bool                           // policies are the whole table's
	policies map[flows.GroupID]*policyFlows // by destination
	local    map[netip.Addr]flowlog.Local   // endpoints
	present  map[netip.Addr]string          // addresses of all attached containers, and whose they are
}

// cause returns the cookie of the policy flow that lets such a connection
// through.
func (v *view) cause(from, to flows.GroupID, p flows.Protocol, port uint16) (flows.Cookie, bool) {
	if flows := v.policies[to]; flows != nil {
		for i, a := range flows.allows {
			if a.covers(from, to, p, port) {
				return flows.causes[i], true
			}
		}
	}
	return 0, false
}

// abandoned reports whether an entry of the tracker is of an address that no
// container has.
func (v *view) abandoned(e conntrack.Entry) bool {
	gone := func(a netip.Addr) bool { return v.lease.Contains(a) && !v.taken(a) }
	return gone(e.Source) || gone(e.Destination) || gone(e.Answerer.Addr())
}

func (v *view) taken(a netip.Addr) bool {
	_, taken := v.present[a]
	return taken
}

// revoked reports whether no policy allows any longer what one has allowed.
func (v *view) revoked(e conntrack.Entry) bool {
	_, allowed := v.cause(e.From, e.To, e.Protocol, e.Port)
	return v.complete && e.ByPolicy && !allowed
}

// judging returns the view with the policies of another table, which differs in
// the changed fragments alone, or if these are nil in any. What has not changed
// is shared.
func (v *view) judging(want desired, changed map[flows.FragmentKey]bool) *view {
	n := *v
	n.complete = want.complete
	if changed == nil {
		n.policies = make(map[flows.GroupID]*policyFlows, len(v.policies)+1)
		for key, f := range want.fragments {
			if to, is := key.Group(); is {
				n.policies[to] = v.policies[to].of(f)
			}
		}
		return &n
	}
	n.policies = maps.Clone(v.policies)
	for key := range changed {
		to, is := key.Group()
		if f, wanted := want.fragments[key]; is && wanted {
			n.policies[to] = v.policies[to].of(f)
		} else if is {
			delete(n.policies, to)
		}
	}
	return &n
}

// among returns the view with other containers.
func (v *view) among(lease netip.Prefix, ports []ovsdb.Port, endpoints map[string]ovsdb.Port, want desired) *view {
	n := *v
	n.lease, n.local, n.present = lease, map[netip.Addr]flowlog.Local{}, map[netip.Addr]string{}
	for _, p := range ports {
		n.present[p.IP] = p.Container
	}
	for container, p := range endpoints {
		n.present[p.IP] = container // not whoever else asks for it
		n.local[p.IP] = flowlog.Local{
			Container: container, App: flows.AppID(p.App), Group: groupOf(want.fragments[flows.EndpointKey(container)]),
		}
	}
	return &n
}

// of reads a fragment, unless it is the one that p was read from.
func (p *policyFlows) of(f flows.Fragment) *policyFlows {
	if p != nil && p.hash == f.Hash {
		return p
	}
	p = &policyFlows{hash: f.Hash}
	for _, flow := range f.Flows {
		if a, ok := allowanceOf(flow); ok {
			p.allows, p.causes = append(p.allows, a), append(p.causes, flow.Cookie)
		}
	}
	return p
}

// leaving returns the addresses that v has and next has not, or has for another
// container: it took the place before anybody looked.
func (v *view) leaving(next *view) []netip.Addr {
	return slices.DeleteFunc(slices.Collect(maps.Keys(v.present)), func(a netip.Addr) bool {
		container, taken := next.present[a]
		return taken && container == v.present[a]
	})
}

// identity is how table classify gives a container's packets its group.
var identity = regexp.MustCompile(`load:0x([0-9a-f]+)->NXM_NX_REG0\[0\.\.15\]`)

// groupOf returns the group of an endpoint's fragment, 0 if it has none.
func groupOf(endpoint flows.Fragment) flows.GroupID {
	for _, f := range endpoint.Flows {
		if m := identity.FindStringSubmatch(f.Actions); f.Table == flows.TableClassify && m != nil {
			n, err := strconv.ParseUint(m[1], 16, 16)
			if err == nil {
				return flows.GroupID(n)
			}
		}
	}
	return 0
}
