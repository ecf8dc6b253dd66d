package flows

import (
	"math/rand/v2"
	"net/netip"
	"slices"
)

// randomVerdictCell is a cell of randomCellFrom with several policies on a
// pair, egress rules, denied networks, services and logging.
func randomVerdictCell(r *rand.Rand) CellState {
	cell := randomCellFrom(r.Uint64())
	for _, rule := range slices.Clone(cell.Allow) {
		if r.IntN(2) == 0 { // one that overlaps
			rule.Policy += 1000
			rule.Ports.First += uint16(r.IntN(4))
			rule.Ports.Last += uint16(r.IntN(20)) + 4
			cell.Allow = append(cell.Allow, rule)
		}
	}
	sets := []EgressRules{"", randomEgressRules(r), randomEgressRules(r), randomEgressRules(r)}
	for i := range cell.Local {
		cell.Local[i].Egress = sets[r.IntN(len(sets))]
		cell.Local[i].Log = r.IntN(4) == 0
	}
	if r.IntN(2) == 0 {
		cell.VXLANPort = 8095
	}
	if r.IntN(2) == 0 {
		cell.Deny = []netip.Prefix{netip.PrefixFrom(nearly(r), 8+r.IntN(25)), netip.MustParsePrefix("169.254.0.0/16")}
	}
	cell.Services = []Service{{UDP, netip.MustParseAddr("169.254.0.2"), 53}, {TCP, nearly(r), randomPort(r)}}
	return cell
}

// sightings makes random packets to, from and in one cell.
type sightings struct {
	*rand.Rand
	cell CellState
}

// side is one end of a connection.
type side struct {
	ip    netip.Addr
	group GroupID
	local *Endpoint
	peer  *Peer
}

func (r sightings) here() side {
	ep := &r.cell.Local[r.IntN(len(r.cell.Local))]
	return side{ip: ep.IP, group: ep.Group, local: ep}
}

func (r sightings) there() side {
	peer := &r.cell.Remote[r.IntN(len(r.cell.Remote))]
	ip := peer.Lease.Addr().As4()
	ip[3] = byte(2 + r.IntN(20))
	return side{ip: netip.AddrFrom4(ip), group: GroupID(r.IntN(5)), peer: peer}
}

func (r sightings) outside() side {
	ip := nearly(r.Rand)
	if ip.As4()[0] >= 224 && r.IntN(4) > 0 {
		return side{ip: netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(12))})}
	}
	return side{ip: ip}
}

// next is mostly a packet of a connection that somebody judged, as the packets
// of a cell are, and now and then one that lies.
func (r sightings) next() sighting {
	var s sighting
	switch n := r.IntN(100); {
	case n < 26:
		s = r.connection("local", r.here(), r.here(), judgedPolicy)
	case n < 40:
		s = r.connection("from a cell", r.there(), r.here(), judgedPolicy)
	case n < 50:
		s = r.connection("to a cell", r.here(), r.there(), judgedNot)
	case n < 86:
		s = r.connection("egress", r.here(), r.outside(), judgedEgress)
	case n < 95:
		s = r.connection("host", r.outside(), r.here(), judgedHost)
	default:
		s = r.answer()
	}
	if r.IntN(8) == 0 {
		r.lie(&s)
	}
	return s
}

// connection is a packet of one that client opened, either way.
func (r sightings) connection(kind string, client, server side, judge uint32) sighting {
	s := sighting{kind: kind, flags: 2}
	first := r.first(&client, &server)
	s.state = connection{judge: judge, opener: client.group, serving: server.group, server: server.ip, tuple: first}
	s.state.backward = r.IntN(5) < 2
	from, to := client, server
	s.tuple = first
	if s.state.backward {
		s.kind += ", reply"
		from, to = server, client
		s.tuple.src, s.tuple.dst = first.dst, first.src
		if first.protocol == ICMP {
			s.tuple = transport{ICMP, 0, first.dst}
		}
	} else {
		s.state.fresh = r.IntN(3) > 0
		if s.state.fresh {
			s.state.judge, s.state.opener, s.state.serving = judgedNot, 0, 0
		}
	}
	if !s.state.fresh && r.IntN(5) == 0 {
		s.kind, s.state.related, s.tuple = kind+", error", true, transport{ICMP, 3, uint16(r.IntN(4))}
	}
	if s.state.backward && kind != "host" && r.IntN(5) == 0 { // another's memory
		s.state.judge, s.state.opener, s.state.serving = uint32(r.IntN(3)), GroupID(r.IntN(5)), GroupID(r.IntN(5))
		if kind == "egress" && s.state.judge == judgedPolicy {
			s.state.judge = judgedNot
		}
	}
	r.enter(&s, from, to)
	return s
}

// enter addresses the packet and says by which port it comes.
func (r sightings) enter(s *sighting, from, to side) {
	s.src, s.dst = from.ip, to.ip
	s.ether = [2]MAC{MACOf(from.ip), GatewayMAC}
	if from.local != nil {
		s.ether[0] = from.local.mac()
	}
	if r.IntN(10) == 0 {
		s.ether[1] = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	switch {
	case from.local != nil:
		s.container = from.local.OFPort
	case from.peer != nil:
		s.tunnel = &outer{vtep: from.peer.VTEP, vni: r.cell.VNI, group: from.group, applied: s.state.backward && r.IntN(5) > 0 || r.IntN(20) == 0}
	default:
		s.host, s.marked, s.answers = true, true, r.IntN(4) == 0
	}
}

// first is the first packet of a connection, mostly one that some rule allows;
// for that it may choose other ends, of the same kind.
func (r sightings) first(client, server *side) transport {
	t := transport{[]Protocol{TCP, UDP, TCP, UDP, ICMP, 47}[r.IntN(6)], uint16(20000 + r.IntN(1000)), randomPort(r.Rand)}
	if t.protocol == ICMP {
		t.src, t.dst = uint16(r.IntN(4)), uint16(r.IntN(4))
	}
	aim := r.IntN(5) > 0
	switch {
	case server.local != nil && client.local == nil && client.peer == nil: // the host
	case server.local == nil && server.peer == nil: // outside
		if aim {
			r.aimOutside(&t, client, server)
		}
	case aim:
		r.aimAtPolicy(&t, client, server)
	}
	return t
}

func (r sightings) aimAtPolicy(t *transport, client, server *side) {
	for _, i := range r.Perm(len(r.cell.Allow)) {
		rule := r.cell.Allow[i]
		if !r.belongs(client, rule.From) || !r.belongs(server, rule.To) || client.ip == server.ip {
			continue
		}
		*t = transport{rule.Protocol, t.src, []uint16{rule.Ports.First, rule.Ports.Last, rule.Ports.First - 1, rule.Ports.Last + 1,
			rule.Ports.First + uint16(r.IntN(int(rule.Ports.Last-rule.Ports.First)+1))}[r.IntN(5)]}
		return
	}
}

// belongs makes it a side of that group, if there is one.
func (r sightings) belongs(s *side, group GroupID) bool {
	if s.local == nil {
		s.group = group
		return true
	}
	for _, i := range r.Perm(len(r.cell.Local)) {
		if ep := &r.cell.Local[i]; ep.Group == group {
			*s = side{ip: ep.IP, group: group, local: ep}
			return true
		}
	}
	return false
}

func (r sightings) aimOutside(t *transport, client, server *side) {
	if r.IntN(10) == 0 {
		service := r.cell.Services[r.IntN(2)]
		server.ip, t.protocol, t.dst = service.Addr, service.Protocol, service.Port
		return
	}
	if r.IntN(10) == 0 {
		t.protocol, t.dst = UDP, []uint16{DefaultVXLANPort, 8095}[r.IntN(2)]
		return
	}
	rules := client.local.Egress.Rules()
	p := randomAsk(r.Rand, rules)
	for range 3 {
		if ruleFor(rules, p) == 0 || p.to.As4()[0] >= 224 {
			p = randomAsk(r.Rand, rules)
		}
	}
	server.ip, t.protocol, t.dst = p.to, p.protocol, p.port
	if t.protocol == ICMP {
		t.src, t.dst = uint16(p.icmp[0]), uint16(p.icmp[1])
	}
}

// answer comes by the deny port, to a container anywhere.
func (r sightings) answer() sighting {
	s := sighting{kind: "answer", answer: true, src: r.outside().ip, dst: r.here().ip, flags: 4, tuple: transport{TCP, 8080, 20000}}
	s.state.invalid = true // what was denied was never remembered
	s.ether = [2]MAC{{0xee, 0xee, 0, 0, 0, byte(r.IntN(5))}, {0xee, 0xee, 1, 0, 0, 2}}
	if r.IntN(2) == 0 {
		s.dst = r.there().ip
	}
	if r.IntN(2) == 0 {
		s.tuple = transport{ICMP, 3, 3}
	}
	if r.IntN(8) == 0 { // nothing that answers
		s.flags, s.tuple.src = 2, 8
	}
	return s
}

// lie makes it a packet that a cell should not see.
func (r sightings) lie(s *sighting) {
	s.kind = "lie"
	anywhere := netip.AddrFrom4([4]byte{10, 255, byte(r.IntN(5)), byte(r.IntN(12))})
	switch n := r.IntN(10); {
	case n == 0:
		s.src = anywhere
	case n == 1:
		s.ether[0][5] ^= 1
	case n == 2:
		s.tagged = true
	case n == 3:
		s.state.invalid = true
	case n == 4 && s.state.fresh:
		s.dst, s.state.server = anywhere, anywhere
	case s.host && n < 7:
		s.marked = false
	case s.tunnel != nil && n == 5:
		s.tunnel.vni++
	case s.tunnel != nil && n == 6:
		s.tunnel.vtep = netip.AddrFrom4([4]byte{172, 31, 0, 99})
	case s.tunnel != nil && n == 7:
		s.tunnel.group = []GroupID{0, 4711}[r.IntN(2)]
	case s.tunnel != nil:
		s.tunnel.applied = !s.tunnel.applied
	case s.container != 0 && n == 9:
		s.container = 99
	}
}
