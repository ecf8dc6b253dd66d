package flows

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// packet is the first of a connection, as the oracle sees it.
type packet struct {
	port             OFPort     // it entered by, 0: from a tunnel
	vtep             netip.Addr // of a tunnel's packet
	vni              VNI
	group            GroupID // in the tunnel header
	mac              MAC
	src, dst         netip.Addr
	protocol         Protocol
	srcPort, dstPort uint16
}

// mayPass says what the policy means in the plainest way we can, with no
// tables, registers or priorities: which container gets the packet, if any.
func mayPass(cell CellState, p packet) (OFPort, bool) {
	var group GroupID
	if p.port != 0 {
		i := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.OFPort == p.port })
		if i < 0 || cell.Local[i].IP != p.src || cell.Local[i].mac() != p.mac {
			return 0, false
		}
		group = cell.Local[i].Group
	} else {
		i := slices.IndexFunc(cell.Remote, func(c Peer) bool { return c.VTEP == p.vtep })
		if i < 0 || !cell.Remote[i].Lease.Contains(p.src) || cell.VNI != p.vni {
			return 0, false
		}
		group = p.group
	}
	i := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.IP == p.dst })
	if i < 0 || group == 0 || cell.Local[i].Group == 0 {
		return 0, false
	}
	if cell.Local[i].OFPort == p.port {
		return 0, false // OVS never outputs to the port that a packet came by
	}
	to := cell.Local[i]
	return to.OFPort, slices.ContainsFunc(cell.Allow, func(r Rule) bool {
		return r.From == group && r.To == to.Group && r.Protocol == p.protocol &&
			r.Ports.First <= p.dstPort && p.dstPort <= r.Ports.Last
	})
}

// TestOracle: the compiled flows, in a real switch, agree with mayPass on real
// packets, and so do the answers to them.
func TestOracle(t *testing.T) {
	const verdicts = 4000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t)
	asked, passed := 0, 0
	for asked < verdicts {
		cell := randomCellFrom(rng.Uint64())
		result := r.ask(cell, Compile(cell), rng)
		asked, passed = asked+result.asked, passed+result.passed
		if n := len(result.wrong); n > 0 {
			t.Fatalf("%d wrong, first: %s\ncell: %+v", n, result.wrong[0], cell)
		}
	}
	t.Logf("%d verdicts, %d passed, %d did not", asked, passed, asked-passed)
	if share := float64(passed) / float64(asked); share < 0.3 || share > 0.7 {
		t.Errorf("%.0f %% passed: the generator asks too much of one kind", 100*share)
	}
}

// TestOracleFindsBugs: the oracle is worth something only if it notices when
// the table is wrong.
func TestOracleFindsBugs(t *testing.T) {
	r := newRig(t)
	for name, bug := range map[string]func(*Flow){
		"portsec ignores the source": func(f *Flow) {
			if f.Table == TablePortsec {
				f.Match = regexp.MustCompile(`,nw_src=[0-9.]+`).ReplaceAllString(f.Match, "")
			}
		},
		"classify ignores the inner source": func(f *Flow) {
			if f.Table == TableClassify {
				f.Match = regexp.MustCompile(`,nw_src=[0-9./]+`).ReplaceAllString(f.Match, "")
			}
		},
		"policy ignores a bit of the port": func(f *Flow) {
			f.Match = regexp.MustCompile(`ct_tp_dst=(\d+),`).ReplaceAllString(f.Match, "ct_tp_dst=$1/0xfffe,")
		},
		"policy ignores the source group": func(f *Flow) {
			if f.Table == TablePolicy {
				f.Match = strings.Replace(f.Match, "reg0=0x1,", "", 1)
			}
		},
		"replies are not judged": func(f *Flow) {
			if f.Table == TableState && strings.Contains(f.Match, "+rpl") {
				f.Actions = "drop"
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			rng := rand.New(rand.NewPCG(1, 1))
			for range 20 {
				cell := randomCellFrom(rng.Uint64())
				table := Compile(cell)
				for i := range table {
					bug(&table[i])
				}
				if result := r.ask(cell, table, rng); len(result.wrong) > 0 {
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

// firstSource is above all ports of servers, and of random rules.
const firstSource = 20000

type answers struct {
	asked, passed int
	wrong         []string
}

// ask sends a few hundred packets and then an answer to each, and compares.
func (r *rig) ask(cell CellState, table Table, rng *rand.Rand) answers {
	r.t.Helper()
	r.br.FlushConntrack()
	r.loadTable(cell, table)
	var result answers
	const rounds, batch = 8, 32
	for round := range rounds {
		packets := make([]packet, batch)
		for i := range packets {
			packets[i] = randomPacket(cell, rng, uint16(firstSource+round*batch+i))
		}
		opened := r.compare(cell, packets, nil, &result)
		var replies []packet
		var expected []bool
		for i, p := range packets {
			// Only containers of this cell answer here, to each other.
			to := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.IP == p.dst })
			if p.port == 0 || to < 0 || !opened[i] {
				continue
			}
			replies = append(replies, packet{port: cell.Local[to].OFPort, mac: cell.Local[to].mac(), src: p.dst, dst: p.src,
				protocol: p.protocol, srcPort: p.dstPort, dstPort: p.srcPort})
			expected = append(expected, true)
		}
		r.compare(cell, replies, expected, &result)
	}
	return result
}

// compare sends packets and returns which ones the switch let through. What is
// in expected passes although mayPass, which knows no connections, denies it.
func (r *rig) compare(cell CellState, packets []packet, expected []bool, result *answers) []bool {
	r.t.Helper()
	got := r.deliveries(packets)
	passed := make([]bool, len(packets))
	for i, p := range packets {
		want, ok := mayPass(cell, p)
		if expected != nil && expected[i] {
			to := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.IP == p.dst })
			want, ok = cell.Local[to].OFPort, true
		}
		if !ok {
			want = 0
		}
		passed[i] = got[i] != 0
		result.asked++
		if passed[i] {
			result.passed++
		}
		if got[i] != want {
			result.wrong = append(result.wrong, fmt.Sprintf("delivered to port %d, want %d: %+v", got[i], want, p))
		}
	}
	return passed
}

// deliveries sends packets and returns the port that got each, or 0.
func (r *rig) deliveries(packets []packet) []OFPort {
	r.t.Helper()
	byPort := make(map[OFPort][][]byte)
	for i, p := range packets {
		f := dummyovs.Frame{EthSrc: p.mac, EthDst: GatewayMAC, Src: p.src, Dst: p.dst, Protocol: uint8(p.protocol),
			SrcPort: p.srcPort, DstPort: p.dstPort, TCPFlags: dummyovs.SYN, Payload: binary.BigEndian.AppendUint32(nil, uint32(i))}
		if p.srcPort < firstSource { // an answer
			f.TCPFlags |= dummyovs.ACK
		}
		if p.port != 0 {
			byPort[p.port] = append(byPort[p.port], f.Bytes())
			continue
		}
		header := r.tunnelFrom(p.vtep, p.group, false)
		header.ID = uint64(p.vni)
		r.br.PacketOut(header, f.Bytes())
	}
	for port, frames := range byPort {
		r.ports[port].Send(frames...)
	}
	got := make([]OFPort, len(packets))
	note := func(port OFPort, frame []byte) {
		f, err := dummyovs.ParseFrame(frame)
		if err != nil || len(f.Payload) < 4 {
			r.t.Fatalf("port %d got %x: %v", port, frame, err)
		}
		got[binary.BigEndian.Uint32(f.Payload)] = port
	}
	r.settle(note) // after this everything sent has been handled
	r.settle(note) // and after this everything delivered has been read
	return got
}

// settle asks for the gateway at each port and waits for the answers; what a
// port got before its answer is noted. Ports are queues, so an answer proves
// that all that was sent there before has been handled.
func (r *rig) settle(note func(OFPort, []byte)) {
	r.t.Helper()
	for _, ep := range r.cell.Local {
		mac := ep.mac()
		r.ports[ep.OFPort].Send(dummyovs.ARP{EthSrc: mac, Op: 1, SenderMAC: mac, SenderIP: ep.IP, TargetIP: GatewayIP}.Bytes())
	}
	for _, ep := range r.cell.Local {
		for {
			frame := r.ports[ep.OFPort].Receive()
			if arp, err := dummyovs.ParseARP(frame); err == nil && arp.SenderMAC == GatewayMAC {
				break
			}
			note(ep.OFPort, frame)
		}
	}
}

// randomPacket is honest and allowed more often than chance would have it:
// else nearly every packet would be denied. Each source port is used once, so
// each packet opens a connection of its own.
func randomPacket(cell CellState, rng *rand.Rand, srcPort uint16) packet {
	from, to := cell.Local[rng.IntN(len(cell.Local))], cell.Local[rng.IntN(len(cell.Local))]
	p := packet{port: from.OFPort, mac: from.mac(), src: from.IP, dst: to.IP,
		protocol: []Protocol{TCP, UDP}[rng.IntN(2)], srcPort: srcPort, dstPort: randomPort(rng)}
	peer := cell.Remote[rng.IntN(len(cell.Remote))]
	if rng.IntN(2) == 0 {
		p.port, p.vtep, p.vni, p.group = 0, peer.VTEP, cell.VNI, GroupID(rng.IntN(5))
		p.src = netip.AddrFrom4([4]byte{10, 255, peer.Lease.Addr().As4()[2], byte(2 + rng.IntN(20))})
		p.mac = MACOf(p.src)
	}
	if rng.IntN(8) < 5 { // aim at a rule
		p.aim(cell, rng)
	}
	switch rng.IntN(14) { // lie
	case 0:
		p.src = p.dst
	case 1:
		p.mac[5] ^= 1
	case 2:
		p.vtep = netip.AddrFrom4([4]byte{172, 31, 0, 99})
	case 3:
		p.vni++
	case 4:
		p.dst = netip.AddrFrom4([4]byte{10, 255, byte(rng.IntN(5)), byte(rng.IntN(256))})
	}
	return p
}

// aim makes the packet one that some rule allows, if its sender can.
func (p *packet) aim(cell CellState, rng *rand.Rand) {
	for _, i := range rng.Perm(len(cell.Allow)) {
		rule := cell.Allow[i]
		to := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.Group == rule.To })
		if rule.From == 0 || rule.To == 0 || to < 0 {
			continue
		}
		if p.port != 0 {
			from := slices.IndexFunc(cell.Local, func(e Endpoint) bool { return e.Group == rule.From && e.IP != cell.Local[to].IP })
			if from < 0 {
				continue
			}
			p.port, p.src, p.mac = cell.Local[from].OFPort, cell.Local[from].IP, cell.Local[from].mac()
		}
		p.group, p.dst, p.protocol = rule.From, cell.Local[to].IP, rule.Protocol
		p.dstPort = rule.Ports.First + uint16(rng.IntN(int(rule.Ports.Last-rule.Ports.First)+1))
		return
	}
}
