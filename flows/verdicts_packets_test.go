package flows

import (
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// conversation sends UDP packets back and forth through a real switch with its
// own connection tracker, and keeps the model's idea of what that one knows.
type conversation struct {
	sightings
	rig   *rig
	known map[way5]connection
	ways  []way5 // of all that were ever known, in order
}

// way5 is a direction of a connection.
type way5 struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
}

func (w way5) back() way5 { return way5{w.dst, w.src, w.dstPort, w.srcPort} }

// TestConversations: what the trace test is told about connections is what the
// tracker says: packets of few ports and addresses, so that most are answers,
// repetitions or both sides at once, meet what earlier ones left behind, and
// policies and egress rules that have changed since.
func TestConversations(t *testing.T) {
	t.Parallel()
	const cells, changes, each = 6, 3, 50
	rng := rand.New(rand.NewPCG(verdictSeed(t), 9))
	r := newRig(t)
	y := newTally()
	for range cells {
		cell := randomVerdictCell(rng)
		c := &conversation{sightings: sightings{rng, cell}, rig: r, known: make(map[way5]connection)}
		r.br.FlushConntrack()
		for range changes {
			other := randomVerdictCell(rng)
			c.cell.Allow = append(other.Allow[:len(other.Allow)/2:len(other.Allow)/2], cell.Allow[len(cell.Allow)/2:]...)
			for i := range c.cell.Allow {
				c.cell.Allow[i].Protocol = UDP
			}
			c.cell.Local[0].Egress = other.Local[0].Egress
			r.load(c.cell)
			for range each {
				s := c.next()
				want := meaning(c.cell, s)
				if got := c.send(s); got != unlogged(want) {
					t.Fatalf("the switch says %q, the model %q\npacket: %s\ncell: %+v\ntracker: %+v", got, want, s.flow(s.state), c.cell, s.state)
				}
				c.remember(s, want)
				y.count(s.kind, want)
			}
		}
	}
	t.Logf("%d verdicts\n%v", y.sum(y.asked), y)
	if y.asked["backward"] < y.sum(y.asked)/5 || y.kinds["turned as policy"]+y.kinds["turned"] == 0 {
		t.Errorf("too few answers, or none that had to be questions")
	}
}

// next is a packet between a container here and anybody, mostly of a connection
// that there is.
func (c *conversation) next() sighting {
	s := sighting{kind: "fresh"}
	from, to := c.here(), c.here()
	switch c.IntN(4) {
	case 0:
		to = c.there()
	case 1:
		to = c.outside()
	}
	if c.IntN(3) == 0 {
		from, to = to, from
	}
	s.tuple = transport{UDP, randomPort(c.Rand), randomPort(c.Rand)}
	if to.local == nil && to.peer == nil {
		p := randomAsk(c.Rand, udpRules(from.local.Egress))
		to.ip, s.tuple.dst = p.to, p.port
	}
	for _, rule := range c.cell.Allow { // an answer that a policy would allow as a question
		if to.peer != nil && rule.To == from.group {
			s.tuple.src = rule.Ports.First
		}
	}
	if to.local != nil && (from.local != nil || from.peer != nil) {
		c.aimAtPolicy(&s.tuple, &from, &to)
		s.tuple.protocol = UDP
	}
	if len(c.ways) > 0 && c.IntN(4) > 0 {
		w := c.ways[c.IntN(len(c.ways))]
		if c.IntN(3) > 0 {
			w = w.back()
		}
		from, to, s.tuple.src, s.tuple.dst = c.sideOf(w.src), c.sideOf(w.dst), w.srcPort, w.dstPort
	}
	if from.ip == to.ip {
		return c.next()
	}
	c.enter(&s, from, to)
	if s.tunnel != nil {
		s.tunnel.applied = c.IntN(2) == 0
	}
	if known, there := c.known[s.way()]; there {
		s.kind, s.state = "forward", known
	} else if known, there := c.known[s.way().back()]; there {
		s.kind, s.state = "backward", known
		s.state.backward = true
	} else {
		s.state = connection{fresh: true, server: s.dst, tuple: s.tuple}
	}
	return s
}

func udpRules(set EgressRules) []EgressRule {
	return slices.DeleteFunc(set.Rules(), func(r EgressRule) bool { return r.Protocol != UDP && r.Protocol != AnyProtocol })
}

// sideOf says who has the address.
func (c *conversation) sideOf(ip netip.Addr) side {
	for i := range c.cell.Local {
		if ep := &c.cell.Local[i]; ep.IP == ip {
			return side{ip: ip, group: ep.Group, local: ep}
		}
	}
	for i := range c.cell.Remote {
		if peer := &c.cell.Remote[i]; peer.Lease.Contains(ip) {
			return side{ip: ip, group: GroupID(c.IntN(5)), peer: peer}
		}
	}
	return side{ip: ip}
}

func (s sighting) way() way5 { return way5{s.src, s.dst, s.tuple.src, s.tuple.dst} }

// remember does what the verdict says.
func (c *conversation) remember(s sighting, verdict string) {
	for part := range strings.SplitSeq(verdict, ", ") {
		word, by, _ := strings.Cut(part, " as ")
		if word != remembered && word != turned {
			continue
		}
		entry := connection{server: s.dst, tuple: s.tuple}
		if word == turned {
			delete(c.known, s.way().back())
		} else if old, there := c.known[s.way()]; there {
			entry = old
		}
		for _, v := range judged.Values {
			if by, _, _ := strings.Cut(by, " "); by == v.Name {
				entry.judge = v.Number
			}
		}
		if entry.judge == judgedPolicy {
			entry.opener, entry.serving = c.groupOf(s), c.sideOf(s.dst).group
		}
		c.known[s.way()] = entry
		c.ways = append(c.ways, s.way())
	}
}

func (c *conversation) groupOf(s sighting) GroupID {
	if s.tunnel != nil {
		return s.tunnel.group
	}
	for _, ep := range c.cell.Local {
		if ep.IP == s.src {
			return ep.Group
		}
	}
	return 0
}

// send plays the packet and says what became of it.
func (c *conversation) send(s sighting) string {
	f := dummyovs.Frame{EthSrc: s.ether[0], EthDst: s.ether[1], Src: s.src, Dst: s.dst, Protocol: dummyovs.UDP,
		SrcPort: s.tuple.src, DstPort: s.tuple.dst, Payload: []byte("weft")}
	inject := func() { c.rig.ports[s.container].Send(f.Bytes()) }
	switch {
	case s.tunnel != nil:
		inject = func() {
			c.rig.br.PacketOut(c.rig.tunnelFrom(s.tunnel.vtep, s.tunnel.group, s.tunnel.applied), f.Bytes())
		}
	case s.host:
		inject = func() { c.rig.br.PacketOut(dummyovs.Host{Mark: s.mark()}, f.Bytes()) }
	}
	verdict, _, _ := strings.Cut(c.rig.verdict(inject, s.container != 0), " by ct_state")
	return leftOut.ReplaceAllString(verdict, "")
}

// A switch that delivers does not say here what it remembers, and what it logs
// depends on when a tracker takes UDP for established.
var leftOut = regexp.MustCompile(`, logged by .*| by (?:in_port|ip|reg|pkt_mark).*|^accepted by [^,]*, [^,]*, |(?:remembered|turned|as a reply)[^,]*, `)

func unlogged(verdict string) string {
	return leftOut.ReplaceAllString(leftOut.ReplaceAllString(verdict, ""), "")
}
