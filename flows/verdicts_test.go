package flows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// verdictSeed is a new one on every run. WEFT_SEED repeats one.
func verdictSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("WEFT_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("WEFT_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("WEFT_SEED=%d", seed)
	return seed
}

// tally counts verdicts by what they say first, and packets by their kind.
type tally struct{ asked, allowed, kinds map[string]int }

func newTally() *tally { return &tally{map[string]int{}, map[string]int{}, map[string]int{}} }

func (y *tally) count(kind, verdict string) {
	word, _, _ := strings.Cut(verdict, ",")
	words := strings.Fields(word)
	if words[0] == "port" || words[0] == "cell" {
		words = words[:1]
	}
	y.kinds[strings.Join(words[:min(3, len(words))], " ")]++
	y.asked[kind]++
	if !strings.HasPrefix(verdict, "drop") && !strings.HasPrefix(verdict, "denied") {
		y.allowed[kind]++
	}
}

func (y *tally) sum(m map[string]int) (n int) {
	for _, of := range m {
		n += of
	}
	return n
}

func (y *tally) String() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(y.asked)) {
		fmt.Fprintf(&b, "%-20s %6d, %6d allowed\n", kind, y.asked[kind], y.allowed[kind])
	}
	for _, verdict := range slices.Sorted(maps.Keys(y.kinds)) {
		fmt.Fprintf(&b, "%6d %s\n", y.kinds[verdict], verdict)
	}
	return b.String()
}

// TestVerdicts: on random cells and random packets of every origin and every
// state of a connection, a real switch with the compiled table does what
// meaning says: who gets the packet, as whose, what is remembered, who is told
// that it was denied and why, and in which table it is dropped.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	const verdicts, each = 21000, 300
	rng := rand.New(rand.NewPCG(verdictSeed(t), 7))
	r := &tracer{rig: newRig(t)}
	y := newTally()
	for range verdicts / each {
		cell := randomVerdictCell(rng)
		table := Compile(cell)
		if err := Check(table); err != nil {
			t.Fatal(err)
		}
		r.loadTable(cell, table)
		packets := sightings{rng, cell}
		for range each {
			s := packets.next()
			got, want := r.judgement(s), meaning(cell, s)
			if got != want && !(want == impossible && strings.HasPrefix(got, "drop")) {
				t.Fatalf("the switch says %q, the model %q\npacket: %s\ncell: %+v\ntracker: %+v\n%s", got, want, s.flow(s.trackerSays()), cell, s.state, r.last)
			}
			y.count(s.kind, got)
		}
	}
	asked, allowed := y.sum(y.asked), y.sum(y.allowed)
	t.Logf("%d verdicts, %d allowed\n%v", asked, allowed, y)
	if share := float64(allowed) / float64(asked); share < 0.35 || share > 0.65 {
		t.Errorf("%.0f %% allowed: the generator asks too much of one kind", 100*share)
	}
}

// impossible is what cannot come about; if it does, it must go nowhere.
const impossible = "impossible"

// TestVerdictsFindBugs: what meaning and the switch agree on is worth
// something only if a wrong table is noticed, and soon.
func TestVerdictsFindBugs(t *testing.T) {
	t.Parallel()
	const enough = 20000
	replace := func(in TableID, old, with string) func(*Flow) {
		pattern := regexp.MustCompile(old)
		return func(f *Flow) {
			if f.Table == in {
				f.Match = pattern.ReplaceAllString(f.Match, with)
			}
		}
	}
	act := func(in TableID, old, with string) func(*Flow) {
		return func(f *Flow) {
			if f.Table == in {
				f.Actions = strings.ReplaceAll(f.Actions, old, with)
			}
		}
	}
	r := &tracer{rig: newRig(t)}
	for name, bug := range map[string]func(*Flow){
		"a policy's masked port loses its last bit":      replace(TablePolicy, `ct_tp_dst=(0x[0-9a-f]+)/0xfffc`, "ct_tp_dst=$1/0xfff8"),
		"an egress rule's prefix is a bit shorter":       replace(TableEgress, `ct_nw_dst=([0-9.]+)/31`, "ct_nw_dst=$1/30"),
		"an egress rule holds for every profile":         replace(TableEgress, `,reg5=0x[0-9a-f]+`, ""),
		"ICMP's code is not looked at":                   replace(TableEgress, `(ct_nw_proto=1,ct_tp_src=\d+),ct_tp_dst=\d+`, "$1"),
		"a reply from a tunnel needs no applied bit":     replace(TableState, `reg4=0x6/0x7`, "reg4=0x2/0x3"),
		"anybody may answer what policy judged":          replace(TableState, `ct_mark=0x1/0x3,ip,reg4=0x1/0x3`, "ct_mark=0x1/0x3,ip"),
		"the host needs no mark":                         replace(TableClassify, `pkt_mark=0x4000000/0x4000000,`, ""),
		"denied networks are not":                        act(TableEgress, "load:0x3->NXM_NX_REG4[16..23],goto_table:deny", "goto_table:output"),
		"a logging rule does not log":                    act(TableEgress, "load:0x1->NXM_NX_REG4[10],", ""),
		"a reply is sent without the applied bit":        act(TableOutput, "set_field:0x8->tun_gbp_flags", "set_field:0->tun_gbp_flags"),
		"an egress connection is remembered as policy's": act(TableOutput, "load:0x2->NXM_NX_CT_MARK[0..1]", "load:0x1->NXM_NX_CT_MARK[0..1]"),
		"replies are judged by their own direction":      act(TableJudge, "move:NXM_NX_CT_LABEL[0..15]->NXM_NX_REG0[0..15],", ""),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			rng := rand.New(rand.NewPCG(verdictSeed(t), 8))
			for asked := 0; asked < enough; {
				cell := randomVerdictCell(rng)
				table := Compile(cell)
				for i := range table {
					bug(&table[i])
				}
				r.loadTable(cell, table)
				packets := sightings{rng, cell}
				for range 300 {
					asked++
					s := packets.next()
					if got, want := r.judgement(s), meaning(cell, s); got != want && !(want == impossible && strings.HasPrefix(got, "drop")) {
						t.Logf("noticed at verdict %d: %q, not %q", asked, got, want)
						return
					}
				}
			}
			t.Error("nobody noticed")
		})
	}
}
