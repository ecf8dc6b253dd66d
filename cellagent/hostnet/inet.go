package hostnet

import (
	"fmt"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// inetTable is between the containers and everything outside the overlay.
func (s State) inetTable() string {
	t := newTable(familyInet)
	t.counters("answered", "muted_container", "muted_cell", "closed", "forged_tunnel", "limited")
	for _, o := range s.mappingObjects() {
		fmt.Fprintf(&t.text, "\t%s %s {\n\t\ttype %s\n\t}\n", o.kind, o.name, o.elementType)
	}
	t.limits("answers", "ipv4_addr", senders, "1m")
	t.limits("outbound", "ipv4_addr . ipv4_addr . inet_service", destinations, s.Outbound.forget())
	t.limits("logs", "ipv4_addr", senders, "1m")
	s.translation(t)
	s.fromContainers(t)
	s.toContainers(t)
	s.answer(t)
	return t.String()
}

// destinations is how many the connection limit has room for, of all containers
// together, within the time after which one is forgotten. Who goes through more
// of them in that time makes room for nobody's limit: they are not counted.
const destinations = 1 << 20

// forget is when a destination has its whole burst again, so that nothing is
// lost with it. It is short: the fewer are remembered, the less room they take.
func (c ConnectionLimit) forget() string {
	if c.RatePerSec == 0 {
		return "2s"
	}
	return fmt.Sprintf("%ds", max(2, (c.Burst+c.RatePerSec-1)/c.RatePerSec+1))
}

// translation is what changes packets, or keeps them from being tracked.
func (s State) translation(t *table) {
	// These two see every packet of the overlay, a chain costs each of them
	// more than a rule, and so there is no other that does.
	t.chain("incoming", "The overlay's own packets are not tracked: the tracker knows those inside them. The host is closed to containers.",
		base("filter", "prerouting", "raw"),
		fmt.Sprintf("udp dport %d iifname != %q notrack accept", s.VXLANPort, s.Bridge),
		fmt.Sprintf("iifname %q fib daddr type != unicast goto to_host", s.Bridge))
	t.chain("outgoing", "The same on their way out. The bridge takes from the host only what is marked.",
		base("filter", "output", "raw"),
		fmt.Sprintf("udp dport %d oifname != %q notrack accept", s.VXLANPort, s.Bridge),
		fmt.Sprintf("oifname %q goto marked", s.Bridge))
	t.chain("marked", "With the mark that the bridge wants to see, beside those of others.",
		fmt.Sprintf("meta mark set meta mark | 0x%08x accept", uint32(flows.HostMark)))
	dnat := func(p flows.Protocol) string {
		return fmt.Sprintf(`meta nfproto ipv4 iifname != { "lo", %q } fib daddr type local %v dport @%s ct mark set ct mark | 0x%08x dnat ip to %v dport map @%s`,
			s.Bridge, p, mappedSet(p), uint32(MappedMark), p, portMap(p))
	}
	t.chain("port_mappings", "Port mappings, from outside only. The client keeps its address.",
		base("nat", "prerouting", "dstnat"), dnat(flows.TCP), dnat(flows.UDP))
	except := ""
	if networks := disjoint(s.NoMasquerade); len(networks) > 0 {
		words := make([]string, len(networks))
		for i, n := range networks {
			words[i] = n.String()
		}
		except = fmt.Sprintf("ip daddr != { %s } ", strings.Join(words, ", "))
	}
	leaves := fmt.Sprintf("ip saddr %v oifname != %q %s", s.Lease, s.Bridge, except)
	// From the tunnels' own port, an answer would be taken for a tunnel's packet
	// of the cell that answers, with whatever the container had it say inside.
	t.chain("leaving", "Containers leave with the cell's address, and by no port that tunnels use.",
		base("nat", "postrouting", "srcnat"),
		leaves+"meta l4proto udp masquerade to :"+portsBeside(s.VXLANPort),
		leaves+"masquerade")
}

// portsBeside is the larger range of ports without this one.
func portsBeside(port uint16) string {
	if port < 1<<15 {
		return fmt.Sprintf("%d-65535", port+1)
	}
	return fmt.Sprintf("1024-%d", port-1)
}

// fromContainers decides what may leave br-weft: to the host itself only
// replies, which the bridge marks, and services; to others what the bridge let
// out.
func (s State) fromContainers(t *table) {
	toTunnel := fmt.Sprintf("udp dport %d %s drop", s.VXLANPort, count("forged_tunnel"))
	rules := []string{
		"meta nfproto != ipv4 " + count("closed") + " drop",
		toTunnel,
		fmt.Sprintf("meta mark & 0x%08x != 0 accept", uint32(flows.ReplyMark)),
	}
	for _, service := range s.Services {
		rules = append(rules, fmt.Sprintf("ip daddr %v %v dport %d accept", service.Addr, service.Protocol, service.Port))
	}
	t.chain("to_host", "A host is closed to its containers but for its services.", append(rules, "goto answer")...)
	s.ledToHost(t)
	t.chain("forward", "What neither comes from nor goes to br-weft is not ours to judge.",
		base("filter", "forward", "filter"),
		fmt.Sprintf("iifname %q goto outward", s.Bridge),
		fmt.Sprintf("oifname %q goto inward", s.Bridge))
	rules = []string{
		fmt.Sprintf("oifname %q %s drop", s.Bridge, count("closed")),
		"meta nfproto != ipv4 " + count("closed") + " drop",
		toTunnel,
	}
	if s.Outbound.RatePerSec > 0 {
		rules = append(rules, "tcp flags & (fin | syn | rst | ack) == syn ct state new "+
			overEach("outbound", "ip saddr . ip daddr . tcp dport", s.Outbound.RatePerSec, s.Outbound.Burst)+" goto limited")
	}
	t.chain("outward", "Never back into the overlay, nor into its tunnels.", rules...)
	t.chain("limited", "Too many new connections to one destination.", s.limitedRules()...)
}

// ledToHost closes the host where somebody else's rules lead a container to it
// that had asked for another address: a service's, or anybody's (a transparent
// proxy). A nat chain sees a connection's first packet alone, and of the
// tunnels, which are not tracked, none; and that packet was closed out in
// incoming, if it was for the host from the beginning.
func (s State) ledToHost(t *table) {
	rules := []string{fmt.Sprintf("iifname != %q accept", s.Bridge)}
	for _, service := range s.Services { // whoever answers for it here
		rules = append(rules, fmt.Sprintf("ct original ip daddr %v meta l4proto %v ct original proto-dst %d accept", service.Addr, service.Protocol, service.Port))
	}
	t.chain("led_to_host", "The same for who asked for another address, and was led to the host by rules of others.",
		append([]string{base("nat", "input", "-100")}, append(rules, "goto to_host")...)...)
}

func (s State) limitedRules() []string {
	prefix, verdict := PrefixLimit, "goto answer"
	if s.Outbound.DryRun {
		prefix, verdict = PrefixLimitDry, "accept"
	}
	rules := []string{count("limited")}
	if s.Log.On && s.Log.DeniedPerSec > 0 {
		n := s.Log.DeniedPerSec
		rules = append(rules, withinEach("logs", "ip saddr", n, n)+" "+logging(prefix))
	}
	return append(rules, verdict)
}

// toContainers decides what may be forwarded into br-weft, and marks it.
func (s State) toContainers(t *table) {
	// The tracker remembers connections of mappings that are gone, and of
	// containers that are gone: neither opens anything by itself. What others map
	// (a DNAT rule, which only the host's administrator can make) is theirs to end;
	// a container's own packets never come here, but to outward.
	t.chain("inward", "Only mapped ports are open from outside, and answers pass.",
		fmt.Sprintf("ct direction reply ct state established,related meta mark set meta mark | 0x%08x goto marked", uint32(flows.AnswerMark)),
		"ct state related goto marked",
		fmt.Sprintf("ct status dnat ip daddr . tcp dport @%s goto marked", openSet(flows.TCP)),
		fmt.Sprintf("ct status dnat ip daddr . udp dport @%s goto marked", openSet(flows.UDP)),
		fmt.Sprintf("ct direction original ct status dnat ct mark & 0x%08x == 0 ip daddr %v goto marked", uint32(MappedMark), s.Lease),
		count("closed")+" drop")
}
