package flows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// flight is a packet between two containers, by their positions in overlay.
type flight struct {
	from, to int
	protocol Protocol
	ports    PortRange // source, destination
}

func (f flight) back() flight {
	return flight{f.to, f.from, f.protocol, PortRange{f.ports.Last, f.ports.First}}
}

// overlay is two cells with two containers each, and what reached whom.
type overlay struct {
	rigs    [2]*rig
	cells   [2]CellState
	rules   []Rule
	arrived map[flight]bool     // and both cells may remember it
	revoked map[[2]GroupID]bool // pairs that lost a policy, ever
}

func newOverlay(t *testing.T) *overlay {
	o := &overlay{arrived: make(map[flight]bool), revoked: make(map[[2]GroupID]bool)}
	for i := range o.cells {
		lease := func(cell int) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(cell + 1), 0}), 24)
		}
		c := CellState{Cell: CellID(fmt.Sprintf("cell-%d", i+1)), VNI: 1, Lease: lease(i), Overlay: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")},
			Remote: []Peer{{Cell: CellID(fmt.Sprintf("cell-%d", 2-i)), VTEP: vtepOf(1 - i), Lease: lease(1 - i)}}}
		for n := range 2 {
			c.Local = append(c.Local, Endpoint{Container: fmt.Sprintf("c%d", n), Group: GroupID(101 + 2*i + n),
				IP: netip.AddrFrom4([4]byte{10, 255, byte(i + 1), byte(2 + n)}), OFPort: OFPort(101 + n)})
		}
		o.rigs[i], o.cells[i] = newRig(t), c
	}
	return o
}

func vtepOf(cell int) netip.Addr { return netip.AddrFrom4([4]byte{172, 31, 0, byte(cell + 1)}) }

func (o *overlay) endpoint(container int) Endpoint { return o.cells[container/2].Local[container%2] }

func (o *overlay) load() {
	for i, r := range o.rigs {
		o.cells[i].Allow = o.rules
		r.load(o.cells[i])
	}
}

func (o *overlay) allows(f flight) bool {
	from, to := o.endpoint(f.from).Group, o.endpoint(f.to).Group
	return slices.ContainsFunc(o.rules, func(r Rule) bool {
		return r.From == from && r.To == to && r.Protocol == f.protocol && r.Ports.First <= f.ports.Last && f.ports.Last <= r.Ports.Last
	})
}

func (o *overlay) pair(f flight) [2]GroupID {
	return [2]GroupID{o.endpoint(f.from).Group, o.endpoint(f.to).Group}
}

// send carries a packet from one container to the other, over the tunnel if
// need be, and reports whether it got there.
func (o *overlay) send(f flight) (bool, string) {
	from, to := o.endpoint(f.from), o.endpoint(f.to)
	frame := fromContainer(dummyovs.Frame{Src: from.IP, Dst: to.IP, Protocol: uint8(f.protocol), SrcPort: f.ports.First, DstPort: f.ports.Last,
		Payload: []byte("weft")}).Bytes()
	here := o.rigs[f.from/2]
	verdict := here.verdict(func() { here.ports[from.OFPort].Send(frame) }, true)
	var group GroupID
	if n, _ := fmt.Sscanf(verdict, "cell "+vtepOf(f.to/2).String()+" as group %d", &group); n == 1 {
		there := o.rigs[f.to/2]
		header := there.tunnelFrom(vtepOf(f.from/2), group, strings.HasSuffix(verdict, " applied"))
		verdict += "; " + there.verdict(func() { there.br.PacketOut(header, frame) }, false)
	}
	return strings.HasSuffix(verdict, fmt.Sprintf("port %d", to.OFPort)), verdict
}

// TestTwoCells plays random packets between containers of two cells, on few
// ports so that both ends often use the same tuple, while policies come and go
// and cells forget. What arrives is allowed, or answers what arrived and still
// is allowed; and what is allowed arrives.
func TestTwoCells(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	o := newOverlay(t)
	o.load()
	var log []string
	var f flight
	got := map[bool]int{}
	for range 250 {
		if rng.IntN(8) == 0 {
			log = append(log, o.change(rng))
			continue
		}
		f = f.back() // often the answer to what was sent last
		if f.from == f.to || rng.IntN(2) == 0 {
			from := rng.IntN(4)
			f = flight{from, (from + 1 + rng.IntN(3)) % 4, UDP, PortRange{uint16(5000 + rng.IntN(2)), uint16(5000 + rng.IntN(2))}}
		}
		may := o.allows(f) || o.arrived[f.back()] && o.allows(f.back())
		arrived, verdict := o.send(f)
		got[arrived]++
		log = append(log, fmt.Sprintf("%+v: %s", f, verdict))
		switch {
		case arrived && !may:
			t.Fatalf("not allowed, but arrived\n%s", strings.Join(log, "\n"))
		case !arrived && may && !o.revoked[o.pair(f)] && !o.revoked[o.pair(f.back())]:
			t.Fatalf("allowed, but did not arrive\n%s", strings.Join(log, "\n"))
		}
		o.arrived[f] = o.arrived[f] || arrived
	}
	t.Log(got)
}

func (o *overlay) change(rng *rand.Rand) string {
	defer o.load()
	switch rng.IntN(4) {
	case 0:
		cell := rng.IntN(2)
		o.rigs[cell].br.FlushConntrack()
		maps.DeleteFunc(o.arrived, func(f flight, _ bool) bool { return f.from/2 == cell || f.to/2 == cell })
		return fmt.Sprintf("cell %d forgets", cell)
	case 1:
		if len(o.rules) > 0 {
			i := rng.IntN(len(o.rules))
			gone := o.rules[i]
			o.revoked[[2]GroupID{gone.From, gone.To}] = true
			o.rules = slices.Delete(slices.Clone(o.rules), i, i+1)
			return fmt.Sprintf("without %+v", gone)
		}
	}
	port := uint16(5000 + rng.IntN(2))
	from := rng.IntN(4)
	r := Rule{Policy: PolicyID(1 + rng.IntN(1<<20)), From: GroupID(101 + from), To: GroupID(101 + (from+1+rng.IntN(3))%4), Protocol: UDP, Ports: PortRange{port, port}}
	o.rules = append(slices.Clone(o.rules), r)
	return fmt.Sprintf("with %+v", r)
}
