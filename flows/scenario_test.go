package flows

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txtar from the compiler and the real switch")

// TestScenarios runs testdata/*.txtar: a cell's state, the table it compiles
// to, and what a real switch does with packets, in order. A packet's line:
//
//	PORT [mac MAC] [vlan] tcp|udp|icmp|NUMBER SRC[:PORT] > DST[:PORT] [FLAGS] => VERDICT
//	PORT [mac MAC] [vlan] icmp SRC > DST about tcp|udp SRC:PORT > DST:PORT => VERDICT
//	PORT [mac MAC] [vlan] arp SENDER asks|tells TARGET => VERDICT
//	PORT ipv6 => VERDICT
//	cell VTEP [vni VNI] group GROUP [applied] [vlan] tcp|udp|icmp … => VERDICT
//	host [unmarked|answers] tcp|udp|icmp … => VERDICT
//	answer [mac MAC] tcp|udp|icmp … => VERDICT
//
// "policies none" or "policies 7 8" leaves only these in force; "forget" makes
// the switch forget all connections; lines with # are for the reader.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d scenarios: %v", len(files), err)
	}
	r := newRig(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			r.t = t
			r.scenario(file)
		})
	}
}

func (r *rig) scenario(file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil || len(archive.Files) != 3 {
		r.t.Fatalf("%s: want cell.json, flows and packets: %v", file, err)
	}
	before := txtar.Format(archive)
	cell := decodeCell(r.t, archive.Files[0].Data)
	table := Compile(cell)
	if err := Check(table); err != nil {
		r.t.Errorf("contracts: %v", err)
	}
	r.load(cell)
	r.br.FlushConntrack()
	if have, err := ParseTable(r.br.DumpFlows()); err != nil || have.String() != table.String() {
		r.t.Errorf("the switch prints other text than the compiler: %v\n%s", err, diffText(have, table))
	}
	archive.Files[1].Data = []byte(table.String())
	var packets strings.Builder
	for line := range strings.Lines(string(archive.Files[2].Data)) {
		packets.WriteString(r.step(cell, strings.TrimRight(line, "\n")) + "\n")
	}
	archive.Files[2].Data = []byte(packets.String())
	after := txtar.Format(archive)
	if *update {
		if err := os.WriteFile(file, after, 0o644); err != nil {
			r.t.Fatal(err)
		}
	} else if !bytes.Equal(before, after) {
		r.t.Errorf("%s has changed (make golden rewrites it):\n%s", file, lineDiff(string(before), string(after)))
	}
}

// step carries out a line and returns it with the verdict of the switch.
func (r *rig) step(cell CellState, line string) string {
	r.t.Helper()
	words := strings.Fields(line)
	switch {
	case len(words) == 0 || words[0] == "#":
		return line
	case words[0] == "forget":
		r.br.FlushConntrack()
		return line
	case words[0] == "policies":
		all := cell.Allow
		cell.Allow = nil
		for _, rule := range all {
			if slices.Contains(words[1:], strconv.Itoa(int(rule.Policy))) {
				cell.Allow = append(cell.Allow, rule)
			}
		}
		r.load(cell)
		return line
	}
	packet, _, _ := strings.Cut(line, " => ")
	p := &packetParser{t: r.t, words: strings.Fields(packet), line: line}
	byPort := !strings.HasPrefix(line, "cell ") && !strings.HasPrefix(line, "host ")
	return packet + " => " + r.verdict(p.inject(r), byPort)
}

// packetParser reads a packet's line, word by word.
type packetParser struct {
	t     testing.TB
	words []string
	line  string
}

func (p *packetParser) next() string {
	p.t.Helper()
	if len(p.words) == 0 {
		p.t.Fatalf("packet line ends early: %s", p.line)
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// skip takes the next word if it is this one.
func (p *packetParser) skip(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *packetParser) number() uint64 {
	p.t.Helper()
	n, err := strconv.ParseUint(p.next(), 10, 32)
	if err != nil {
		p.t.Fatalf("%s: %v", p.line, err)
	}
	return n
}

func (p *packetParser) inject(r *rig) func() {
	p.t.Helper()
	if p.skip("cell") {
		header := r.tunnelFrom(netip.MustParseAddr(p.next()), 0, false)
		if p.skip("vni") {
			header.ID = p.number()
		}
		if p.skip("group") {
			header.GBPID = uint16(p.number())
		}
		if p.skip("applied") {
			header.GBPFlags = gbpApplied
		}
		frame := p.frame(nil)
		return func() { r.br.PacketOut(header, frame) }
	}
	if p.skip("host") {
		from := dummyovs.Host{Mark: HostMark}
		if p.skip("unmarked") {
			from.Mark = 0
		}
		if p.skip("answers") {
			from.Mark |= AnswerMark
		}
		frame := p.frame(nil)
		return func() { r.br.PacketOut(from, frame) }
	}
	port := r.deny
	if !p.skip("answer") {
		port = r.ports[OFPort(p.number())]
	}
	if port == nil {
		p.t.Fatalf("no such port: %s", p.line)
	}
	var mac *MAC
	if p.skip("mac") {
		mac = new(MAC)
		if _, err := fmt.Sscanf(p.next(), "%02x:%02x:%02x:%02x:%02x:%02x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]); err != nil {
			p.t.Fatalf("%s: %v", p.line, err)
		}
	}
	frame := p.frame(mac)
	return func() { port.Send(frame) }
}

func (p *packetParser) frame(mac *MAC) []byte {
	p.t.Helper()
	kind := p.next()
	switch kind {
	case "vlan":
		frame := p.frame(mac)
		return slices.Concat(frame[:12], []byte{0x81, 0x00, 0x00, 0x05}, frame[12:])
	case "ipv6":
		frame := make([]byte, 14+40)
		copy(frame, append([]byte{0x33, 0x33, 0, 0, 0, 1, 0xee, 0xee, 10, 255, 1, 2}, 0x86, 0xdd, 0x60))
		return frame
	case "arp":
		sender, verb, target := netip.MustParseAddr(p.next()), p.next(), netip.MustParseAddr(p.next())
		from := MACOf(sender)
		if mac != nil {
			from = *mac
		}
		return dummyovs.ARP{EthSrc: from, EthDst: MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Op: map[string]uint16{"asks": 1, "tells": 2}[verb], SenderMAC: from, SenderIP: sender, TargetIP: target}.Bytes()
	}
	f := dummyovs.Frame{Protocol: map[string]uint8{"tcp": dummyovs.TCP, "udp": dummyovs.UDP, "icmp": dummyovs.ICMP}[kind], Payload: []byte("weft")}
	if f.Protocol == 0 {
		number, err := strconv.ParseUint(kind, 10, 8)
		if err != nil {
			p.t.Fatalf("unknown kind %q: %s", kind, p.line)
		}
		f.Protocol = uint8(number)
	}
	f.Src, f.SrcPort = p.address()
	p.skip(">")
	f.Dst, f.DstPort = p.address()
	if kind == "icmp" {
		f.SrcPort = 8 << 8 // echo request
	}
	if p.skip("about") {
		const ethernetHeader = 14
		f.SrcPort = 3<<8 | 3 // port unreachable
		f.Payload = p.frame(nil)[ethernetHeader:]
	}
	f.TCPFlags = dummyovs.SYN
	if len(p.words) > 0 {
		f.TCPFlags = map[string]uint8{"syn": dummyovs.SYN, "syn,ack": dummyovs.SYN | dummyovs.ACK, "ack": dummyovs.ACK, "rst": dummyovs.RST}[p.next()]
	}
	f = fromContainer(f)
	if mac != nil {
		f.EthSrc = *mac
	}
	return f.Bytes()
}

func (p *packetParser) address() (netip.Addr, uint16) {
	p.t.Helper()
	word := p.next()
	if ap, err := netip.ParseAddrPort(word); err == nil {
		return ap.Addr(), ap.Port()
	}
	return netip.MustParseAddr(word), 0
}

func decodeCell(t testing.TB, data []byte) CellState {
	t.Helper()
	var cell CellState
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&cell); err != nil {
		t.Fatalf("cell.json: %v", err)
	}
	return cell
}

func diffText(have, want Table) string {
	add, remove := Diff(have, want)
	return fmt.Sprintf("compiled:\n%vin the switch:\n%v", Table(add), Table(remove))
}

// lineDiff shows the lines that only one of two texts has.
func lineDiff(before, after string) string {
	var out strings.Builder
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, l := range was {
		if !slices.Contains(is, l) {
			fmt.Fprintln(&out, "-", l)
		}
	}
	for _, l := range is {
		if !slices.Contains(was, l) {
			fmt.Fprintln(&out, "+", l)
		}
	}
	return out.String()
}
