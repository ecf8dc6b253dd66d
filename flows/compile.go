package flows

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Base is what a cell's own part of the table depends on.
type Base struct {
	VNI       VNI
	Lease     netip.Prefix   // this cell's overlay subnet
	Overlay   []netip.Prefix // the whole overlay network
	VXLANPort uint16         // 0: DefaultVXLANPort
	Deny      []netip.Prefix // networks that no egress rule opens
	Services  []Service      // of the host, open to its containers
}

// Compile returns the complete flow table of a cell. It is a pure function:
// equal states give equal tables, whatever order their slices were in.
func Compile(cell CellState) Table { return Union(Fragments(cell)) }

// Fragments returns the cell's table in the parts that its objects cause, in
// the order of their keys. Destination groups without a rule have no part.
func Fragments(cell CellState) []Fragment {
	fragments := make([]Fragment, 0, 1+2*len(cell.Local)+len(cell.Remote))
	fragments = append(fragments, BaseFragment(cell.Base()))
	for _, ep := range cell.Local {
		fragments = append(fragments, EndpointFragment(ep))
	}
	for _, peer := range cell.Remote {
		fragments = append(fragments, PeerFragment(cell.VNI, peer))
	}
	compiled := make(map[EgressRules]bool)
	for _, ep := range cell.Local {
		if ep.Egress != "" && !compiled[ep.Egress] {
			compiled[ep.Egress] = true
			fragments = append(fragments, EgressFragment(ep.Egress))
		}
	}
	byGroup := make(map[GroupID][]Rule)
	for _, r := range cell.Allow {
		byGroup[r.To] = append(byGroup[r.To], r)
	}
	for to, rules := range byGroup {
		if f := PolicyFragment(to, rules); len(f.Flows) > 0 {
			fragments = append(fragments, f)
		}
	}
	slices.SortFunc(fragments, compareFragments)
	return fragments
}

// Base returns the part of the state that BaseFragment depends on.
func (c CellState) Base() Base {
	return Base{VNI: c.VNI, Lease: c.Lease, Overlay: c.Overlay, VXLANPort: c.VXLANPort, Deny: c.Deny, Services: c.Services}
}

func (b Base) vxlanPort() uint16 {
	if b.VXLANPort == 0 {
		return DefaultVXLANPort
	}
	return b.VXLANPort
}

// services returns each service once, in order.
func (b Base) services() []Service {
	sorted := slices.Clone(b.Services)
	slices.SortFunc(sorted, func(a, b Service) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	return slices.Compact(sorted)
}

// BaseFragment compiles the pipeline itself, which denies everything.
func BaseFragment(base Base) Fragment {
	var b builder
	b.classifyHost(base.Overlay)
	b.classifyRest()
	b.arp()
	b.conntrack()
	b.state()
	b.destinationRest(base.Lease, base.Overlay)
	b.judge()
	b.egress(base)
	b.errors()
	b.output(base.VNI)
	b.deny()
	b.misses()
	return b.fragment(BaseKey())
}

// EndpointFragment compiles one local container: who it is, what it may send
// from, how it is reached.
func EndpointFragment(ep Endpoint) Fragment {
	var b builder
	b.classifyEndpoint(ep)
	b.portsec(ep)
	b.destinationEndpoint(ep)
	return b.fragment(EndpointKey(ep.Container))
}

// PeerFragment compiles another cell of the overlay vni: what is accepted from
// it and what is sent to it. Two flows, however many containers it has.
func PeerFragment(vni VNI, peer Peer) Fragment {
	var b builder
	b.classifyPeer(vni, peer)
	b.destinationPeer(peer)
	return b.fragment(PeerKey(peer.Cell))
}

// missPriority is below every other flow of a table.
const missPriority = 0

// misses ends every table in a flow of its own that drops or denies: OVS would
// drop a packet that matches nothing as well, but nobody could count it.
func (b *builder) misses() {
	for i := range contracts {
		c := &contracts[i]
		actions := []ovs.Action{drop}
		if c.Reason != 0 {
			actions = deny(c.Reason)
		}
		b.add(stage{c.ID, missPriority, BaseCookie(c.ID)}, nil, actions...)
	}
}
