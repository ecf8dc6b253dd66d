package flows

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tracer asks the switch of a rig what it would do.
type tracer struct {
	*rig
	ports map[string]string // the datapath's names by its numbers
	known int               // of the rig's ports
	last  string            // trace
}

// judgement asks the switch what it does with a packet and says it in the
// words of meaning. ofproto/trace knows no connections, so what the tracker
// would say is given.
func (r *tracer) judgement(s sighting) string {
	r.t.Helper()
	first := s.trackerSays()
	text := r.br.Trace(s.flow(first), "--ct-next", strings.Join(first.words(), ","))
	if !strings.Contains(text, fmt.Sprintf("ct(zone=%d)", ZoneGlare)) {
		return r.outcome(text, s)
	}
	// A second lookup, in the zone that is always empty: there the packet is
	// the first of its own connection, and an error is about none. (A trace has
	// one mark and label for all lookups; nobody reads them after the second.)
	second := connection{fresh: true, judge: first.judge, opener: first.opener, serving: first.serving, server: s.dst, tuple: s.tuple}
	if s.state.related {
		second = connection{invalid: true, judge: first.judge, opener: first.opener, serving: first.serving}
	}
	return r.outcome(r.br.Trace(s.flow(second), "--ct-next", strings.Join(first.words(), ","), "--ct-next", strings.Join(second.words(), ",")), s)
}

func (s sighting) trackerSays() connection {
	if s.state.invalid {
		return connection{invalid: true}
	}
	return s.state
}

// words are ct_state's flags.
func (c connection) words() []string {
	words := []string{"trk"}
	switch {
	case c.invalid:
		return append(words, "inv")
	case c.related:
		words = append(words, "rel")
	case c.fresh:
		words = append(words, "new")
	default:
		words = append(words, "est")
	}
	if c.backward {
		words = append(words, "rpl")
	}
	return words
}

// flow is the packet in the syntax of ovs-fields(7). The original tuple is
// there only where OVS has it.
func (s sighting) flow(c connection) string {
	flow := []string{"ip", fmt.Sprintf("nw_proto=%d", s.tuple.protocol), fmt.Sprintf("nw_src=%v,nw_dst=%v", s.src, s.dst),
		fmt.Sprintf("dl_src=%v,dl_dst=%v", s.ether[0], s.ether[1])}
	switch s.tuple.protocol {
	case TCP:
		flow = append(flow, fmt.Sprintf("tcp_src=%d,tcp_dst=%d,tcp_flags=%#x", s.tuple.src, s.tuple.dst, s.flags))
	case UDP:
		flow = append(flow, fmt.Sprintf("udp_src=%d,udp_dst=%d", s.tuple.src, s.tuple.dst))
	case ICMP:
		flow = append(flow, fmt.Sprintf("icmp_type=%d,icmp_code=%d", s.tuple.src, s.tuple.dst))
	}
	if s.tagged {
		flow = append(flow, "dl_vlan=5")
	}
	switch {
	case s.tunnel != nil:
		flow = append(flow, fmt.Sprintf("in_port=%d,tun_id=%d,tun_src=%v,tun_dst=172.31.0.1,tun_gbp_id=%d", TunnelOFPort, s.tunnel.vni, s.tunnel.vtep, s.tunnel.group))
		if s.tunnel.applied {
			flow = append(flow, fmt.Sprintf("tun_gbp_flags=%d", gbpApplied))
		}
	case s.answer:
		flow = append(flow, fmt.Sprintf("in_port=%d", DenyOFPort))
	case s.host:
		flow = append(flow, "in_port=LOCAL")
	default:
		flow = append(flow, fmt.Sprintf("in_port=%d", s.container))
	}
	if s.marked {
		flow = append(flow, fmt.Sprintf("pkt_mark=%#x", s.mark()))
	}
	flow = append(flow, "ct_state="+strings.Join(c.words(), "|"), fmt.Sprintf("ct_mark=%d,ct_label=%#x", c.judge, uint32(c.serving)<<16|uint32(c.opener)))
	if !c.invalid && !c.related {
		flow = append(flow, fmt.Sprintf("ct_nw_dst=%v,ct_nw_proto=%d,ct_tp_src=%d,ct_tp_dst=%d", c.server, c.tuple.protocol, c.tuple.src, c.tuple.dst))
	}
	return strings.Join(flow, ",")
}

// mark is what the host's rules put on it.
func (s sighting) mark() uint32 {
	if s.answers {
		return HostMark | AnswerMark
	}
	return HostMark
}

var (
	datapathActions = regexp.MustCompile(`(?m)^Datapath actions: (.*)$`)
	tableReached    = regexp.MustCompile(`(?m)^ ?(\d+)\. `)
	etherSet        = regexp.MustCompile(`(src|dst)=([0-9a-f:]{17})`)
	connectionMark  = regexp.MustCompile(`,mark=(0x[0-9a-f]+)/0x3`)
	connectionLabel = regexp.MustCompile(`,label=(0x[0-9a-f]+)/0xffffffff`)
)

// outcome reads what a trace says that the datapath is told to do.
func (r *tracer) outcome(trace string, s sighting) string {
	r.t.Helper()
	r.last = trace
	o := outcome{tracer: r, ether: s.ether, to: s.dst}
	for _, actions := range datapathActions.FindAllStringSubmatch(trace, -1) {
		for action := range splitActions(actions[1]) {
			o.read(action)
		}
	}
	switch tables := tableReached.FindAllStringSubmatch(trace, -1); {
	case strings.Contains(trace, ">> skipping output to input port"):
		o.parts = append(o.parts, "nobody")
	case o.left:
	case len(tables) == 0:
		r.t.Fatalf("no tables in the trace:\n%s", trace)
	default:
		number, _ := strconv.Atoi(tables[len(tables)-1][1])
		o.parts = append(o.parts, "drop in "+TableID(number).String())
	}
	return strings.Join(o.parts, ", ")
}

// outcome follows the datapath's actions.
type outcome struct {
	tracer *tracer
	ether  [2]MAC
	to     netip.Addr
	tunnel string
	parts  []string
	left   bool // the packet left the bridge, somewhere
}

func (o *outcome) read(action string) {
	switch {
	case action == "drop", action == fmt.Sprintf("ct(zone=%d)", ZoneOverlay), action == fmt.Sprintf("ct(zone=%d)", ZoneGlare),
		strings.HasPrefix(action, "recirc("):
	case strings.HasPrefix(action, "set(eth("):
		for _, set := range etherSet.FindAllStringSubmatch(action, -1) {
			o.ether[map[string]int{"src": 0, "dst": 1}[set[1]]] = macOf(set[2])
		}
	case action == fmt.Sprintf("set(skb_mark(%#x/%#x))", ReplyMark, ReplyMark):
		o.parts = append(o.parts, "as a reply")
	case strings.HasPrefix(action, "set(tunnel("):
		o.tunnel = action
	case strings.HasPrefix(action, "ct(commit,"), strings.HasPrefix(action, "ct(force_commit,"):
		o.parts = append(o.parts, committed(action))
	default:
		port, known := o.tracer.datapathPorts()[action]
		if !known {
			o.tracer.t.Fatalf("the datapath is told to %s", action)
		}
		o.left = true
		o.parts = append(o.parts, o.output(port))
	}
}

// output is to a port, by its name in the datapath.
func (o *outcome) output(port string) string {
	wrong := ""
	if o.ether != [2]MAC{GatewayMAC, o.tracer.macOf(o.to)} {
		wrong = fmt.Sprintf(", addressed from %v to %v", o.ether[0], o.ether[1])
	}
	switch number, isContainer := strings.CutPrefix(port, "c"); {
	case port == "weftdeny":
		n, err := NoticeOf(o.ether[0], o.ether[1])
		if err != nil {
			return err.Error()
		}
		text := fmt.Sprintf("denied by %v, %d to %d", n.Reason, n.From, n.To)
		if n.Reason.Accepted() {
			text = strings.Replace(text, "denied", "accepted", 1)
		}
		if n.Backward {
			text += " backward"
		}
		return text
	case port == "br-weft" && o.ether[1] == GatewayMAC:
		return "host"
	case isContainer:
		return "port " + number + wrong
	case strings.HasPrefix(port, "vxlan"):
		return o.tracer.sent(o.tunnel) + wrong
	}
	return "port " + port + wrong
}

// committed says what a connection's entry will hold.
func committed(action string) string {
	text := remembered
	if strings.Contains(action, "force_commit") {
		text = turned
	}
	if !strings.Contains(action, fmt.Sprintf("zone=%d", ZoneOverlay)) {
		text += " in the wrong zone"
	}
	mark := connectionMark.FindStringSubmatch(action)
	if mark == nil {
		return text
	}
	judge, _ := strconv.ParseUint(mark[1], 0, 32)
	i := slices.IndexFunc(judged.Values, func(v Value) bool { return v.Number == uint32(judge) })
	text += " as " + judged.Values[i].Name
	if label := connectionLabel.FindStringSubmatch(action); label != nil {
		groups, _ := strconv.ParseUint(label[1], 0, 32)
		text += fmt.Sprintf(" %d to %d", groups&0xffff, groups>>16)
	}
	return text
}

var datapathPort = regexp.MustCompile(`(?m)^  port (\d+): (\S+)`)

// datapathPorts names the datapath's port numbers, once the cell's are there.
func (r *tracer) datapathPorts() map[string]string {
	r.t.Helper()
	if r.known != len(r.rig.ports) {
		r.known = len(r.rig.ports)
		r.ports = make(map[string]string)
		for _, p := range datapathPort.FindAllStringSubmatch(r.br.Appctl("dpctl/show"), -1) {
			r.ports[p[1]] = p[2]
		}
	}
	return r.ports
}

func macOf(text string) (m MAC) {
	fmt.Sscanf(text, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	return m
}
