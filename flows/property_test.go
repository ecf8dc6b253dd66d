package flows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// world is a cell's state as its owner keeps it, and the fragments that it
// maintains change by change.
type world struct {
	cell      CellState
	fragments map[FragmentKey]Fragment
	hash      Hash
}

func newWorld() *world {
	w := &world{cell: randomCellFrom(1), fragments: make(map[FragmentKey]Fragment)}
	w.cell.Local, w.cell.Remote, w.cell.Allow = nil, nil, nil
	w.put(BaseFragment(w.cell.Base()))
	return w
}

// put replaces one fragment, in the table and in its hash.
func (w *world) put(f Fragment) {
	w.drop(f.Key)
	if len(f.Flows) > 0 {
		w.fragments[f.Key] = f
		w.hash = w.hash.Xor(f.Hash)
	}
}

func (w *world) drop(key FragmentKey) {
	w.hash = w.hash.Xor(w.fragments[key].Hash)
	delete(w.fragments, key)
}

// step changes one object.
func (w *world) step(t *rapid.T) {
	n := rapid.IntRange(0, 5).Draw(t, "n")
	switch rapid.SampledFrom([]string{"endpoint", "cell", "rule"}).Draw(t, "kind") {
	case "endpoint":
		ep := Endpoint{Container: fmt.Sprintf("c%d", n), Group: GroupID(rapid.IntRange(0, 4).Draw(t, "group")),
			IP: netip.AddrFrom4([4]byte{10, 255, 1, byte(2 + n)}), OFPort: OFPort(101 + n),
			MAC: rapid.SampledFrom([]MAC{{}, {2, 0, 0, 0, 0, 1}}).Draw(t, "mac")}
		before := len(w.cell.Local)
		w.cell.Local = slices.DeleteFunc(w.cell.Local, func(e Endpoint) bool { return e.Container == ep.Container })
		w.drop(EndpointKey(ep.Container))
		if len(w.cell.Local) == before || rapid.Bool().Draw(t, "again") {
			w.cell.Local = append(w.cell.Local, ep)
			w.put(EndpointFragment(ep))
		}
	case "cell":
		peer := Peer{Cell: CellID(fmt.Sprintf("cell-%d", n+2)), VTEP: netip.AddrFrom4([4]byte{172, 31, 0, byte(n + 2)}),
			Lease: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 255, byte(n + 2), 0}), 24)}
		before := len(w.cell.Remote)
		w.cell.Remote = slices.DeleteFunc(w.cell.Remote, func(p Peer) bool { return p.Cell == peer.Cell })
		w.drop(PeerKey(peer.Cell))
		if len(w.cell.Remote) == before {
			w.cell.Remote = append(w.cell.Remote, peer)
			w.put(PeerFragment(w.cell.VNI, peer))
		}
	case "rule":
		rule := randomRule(t)
		before := len(w.cell.Allow)
		w.cell.Allow = slices.DeleteFunc(w.cell.Allow, func(r Rule) bool { return r.Policy == rule.Policy })
		if len(w.cell.Allow) == before {
			w.cell.Allow = append(w.cell.Allow, rule)
		}
		// The id decides the destination, so the change is within one group.
		w.put(PolicyFragment(rule.To, w.cell.Allow))
	}
}

func randomRule(t *rapid.T) Rule {
	id := rapid.IntRange(1, 24).Draw(t, "policy")
	first := rapid.Uint16Range(1, 65535).Draw(t, "first")
	return Rule{Policy: PolicyID(id), To: GroupID(id % 4), From: GroupID(rapid.IntRange(0, 3).Draw(t, "from")),
		Protocol: rapid.SampledFrom([]Protocol{TCP, UDP}).Draw(t, "protocol"),
		Ports:    PortRange{first, rapid.Uint16Range(first, 65535).Draw(t, "last")}}
}

// TestFragmentsEqualScratch: after any sequence of changes, the fragments that
// were kept and their hash are those of the state compiled from scratch.
func TestFragmentsEqualScratch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			w.step(t)
		}
		kept := slices.SortedFunc(maps.Values(w.fragments), compareFragments)
		scratch := Fragments(w.cell)
		if !slices.EqualFunc(kept, scratch, func(a, b Fragment) bool { return a.Key == b.Key && slices.Equal(a.Flows, b.Flows) && a.Hash == b.Hash }) {
			t.Fatalf("kept:\n%v\nfrom scratch:\n%v", Union(kept), Compile(w.cell))
		}
		if w.hash != TableHash(scratch) {
			t.Fatalf("hash %v, from scratch %v", w.hash, TableHash(scratch))
		}
		if err := Check(Union(kept)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCompileIsOrderBlind: the order of the state's slices means nothing.
func TestCompileIsOrderBlind(t *testing.T) {
	for seed := range uint64(50) {
		cell := randomCellFrom(seed)
		want := Compile(cell)
		rng := rand.New(rand.NewPCG(seed, 2))
		rng.Shuffle(len(cell.Local), func(i, j int) { cell.Local[i], cell.Local[j] = cell.Local[j], cell.Local[i] })
		rng.Shuffle(len(cell.Remote), func(i, j int) { cell.Remote[i], cell.Remote[j] = cell.Remote[j], cell.Remote[i] })
		rng.Shuffle(len(cell.Allow), func(i, j int) { cell.Allow[i], cell.Allow[j] = cell.Allow[j], cell.Allow[i] })
		if got := Compile(cell); got.String() != want.String() {
			t.Fatalf("seed %d:\n%v", seed, diffText(got, want))
		}
		if err := Check(want); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestDiffTurnsHaveIntoWant: removing and adding what Diff says gives want, as
// Patch does, and a changed flow is never removed.
func TestDiffTurnsHaveIntoWant(t *testing.T) {
	for seed := range uint64(30) {
		have, want := Compile(randomCellFrom(seed)), Compile(randomCellFrom(seed+1))
		have[0].Actions = "drop" // as somebody may have done by hand
		add, remove := Diff(have, want)
		key := func(f Flow) Flow { return Flow{Table: f.Table, Priority: f.Priority, Match: f.Match} }
		after := make(map[Flow]Flow)
		for _, f := range have {
			after[key(f)] = f
		}
		for _, f := range remove {
			if after[key(f)] != f {
				t.Fatalf("removes %v, which is not there", f)
			}
			delete(after, key(f))
		}
		for _, f := range add {
			if slices.ContainsFunc(remove, func(r Flow) bool { return key(r) == key(f) }) {
				t.Fatalf("removes and adds %v", f)
			}
			after[key(f)] = f
		}
		got := Table(slices.SortedFunc(maps.Values(after), compareFlows))
		if got.String() != want.String() {
			t.Fatalf("seed %d:\n%s", seed, diffText(got, want))
		}
		patched, err := Patch(have, add, remove)
		if err != nil || patched.String() != want.String() {
			t.Fatalf("seed %d: patched, %v:\n%s", seed, err, diffText(patched, want))
		}
		if _, err := Patch(want, nil, []Flow{{Match: "tp_dst=1", Actions: "drop"}}); err == nil {
			t.Fatalf("seed %d: a flow was removed that is not there", seed)
		}
		if add, remove := Diff(want, want); len(add)+len(remove) != 0 {
			t.Fatalf("a table differs from itself: %v %v", add, remove)
		}
	}
}

// TestSegments: segments are disjoint, in order, and know exactly their
// policies; their masked matches cover exactly their ports.
func TestSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := make([]Rule, rapid.IntRange(1, 8).Draw(t, "rules"))
		for i := range rules {
			rules[i] = randomRule(t)
			rules[i].From, rules[i].To, rules[i].Protocol = 1, 2, TCP
		}
		covering := make([][]PolicyID, 1<<16)
		for _, s := range segments(rules) {
			for m := range s.ports.masked() {
				for p := range 1 << 16 {
					if uint16(p)&m.mask == m.value {
						if covering[p] != nil {
							t.Fatalf("port %d is matched twice", p)
						}
						covering[p] = s.policies
					}
				}
			}
		}
		for p := range 1 << 16 {
			var want []PolicyID
			for _, r := range rules {
				if int(r.Ports.First) <= p && p <= int(r.Ports.Last) {
					want = append(want, r.Policy)
				}
			}
			slices.Sort(want)
			if want = slices.Compact(want); !slices.Equal(covering[p], want) {
				t.Fatalf("port %d: policies %v, want %v", p, covering[p], want)
			}
		}
	})
}

// TestCookiesLeadBack: each policy flow's cookie resolves to the policies that
// allow it, and Explain knows the file of every flow.
func TestCookiesLeadBack(t *testing.T) {
	shared := 0
	for seed := range uint64(30) {
		cell := randomCellFrom(seed)
		policies := PolicyCookies(cell.Allow)
		for _, f := range Compile(cell) {
			if _, file, err := Explain(f.Cookie); err != nil || !strings.HasPrefix(file, "flows/") {
				t.Fatalf("%v: %q %v", f, file, err)
			}
			if f.Table != TablePolicy || f.Priority == missPriority {
				continue
			}
			ids := policies[f.Cookie]
			if len(ids) == 0 || (f.Cookie.Kind() == KindPolicies) != (len(ids) > 1) {
				t.Fatalf("%v: its cookie leads to %v", f, ids)
			}
			if len(ids) > 1 {
				shared++
			}
			for _, id := range ids {
				r := cell.Allow[id-1]
				if !strings.Contains(f.Match, fmt.Sprintf("ct_nw_proto=%d,", r.Protocol)) ||
					!strings.HasSuffix(f.Match, fmt.Sprintf(",ip,reg0=%#x,reg1=%#x", r.From, r.To)) {
					t.Fatalf("%v does not belong to policy %+v", f, r)
				}
			}
		}
	}
	if shared == 0 {
		t.Error("no two policies ever covered one port: the generator misses the case")
	}
}
