package cellagent

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// part is a small fragment; version changes one of its flows.
func part(key string, version int) flows.Fragment {
	return flows.NewFragment(flows.FragmentKey(key), []flows.Flow{
		{Table: flows.TablePolicy, Priority: 110, Match: "reg1=" + fmt.Sprint(len(key)*7), Actions: "drop"},
		{Table: flows.TablePolicy, Priority: 100, Match: "reg1=" + fmt.Sprint(len(key)*7), Actions: fmt.Sprintf("load:%#x->NXM_NX_REG2[]", version)},
	})
}

// message says what leads from one table to another, in every second message
// with patches.
func message(kind string, seq uint64, from, to fragments) api.Message {
	m := api.Message{Type: kind, Seq: seq, Revision: seq}
	var hash flows.Hash
	for key, f := range to {
		hash = hash.Xor(f.Hash)
		switch had, has := from[key]; {
		case kind == api.TypeDelta && has && had.Hash != f.Hash && seq%2 == 0:
			m.Patch = append(m.Patch, api.PatchToWire(had, f))
		case kind == api.TypeSnapshot || had.Hash != f.Hash:
			m.Set = append(m.Set, api.FragmentToWire(f))
		}
	}
	for key := range from {
		if _, stays := to[key]; !stays && kind == api.TypeDelta {
			m.Remove = append(m.Remove, string(key))
		}
	}
	m.Hash = hash.String()
	return m
}

// TestWantIsFreeOfHistory: whatever snapshots and deltas led to it, the table
// is that of the last message, the keys that changed are told, and the journal
// on disk leads to the same.
func TestWantIsFreeOfHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp("", "weft-journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(folder)
		journal, _, err := openLastGood(folder, "cell-1")
		if err != nil {
			t.Fatal(err)
		}
		var d desired
		truth := fragments{}
		for seq := range rapid.IntRange(1, 12).Draw(t, "messages") {
			next := fragments{}
			for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"base", "a", "bb", "ccc", "dddd"}), rapid.ID).Draw(t, "keys") {
				next[flows.FragmentKey(key)] = part(key, rapid.IntRange(0, 2).Draw(t, "version"))
			}
			kind := api.TypeDelta
			if seq == 0 || rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
				kind = api.TypeSnapshot
			}
			m := message(kind, uint64(seq+1), truth, next)
			changed, err := d.step(m)
			if err != nil {
				t.Fatal(err)
			}
			told := map[flows.FragmentKey]bool{}
			for _, key := range changed {
				told[key] = true
			}
			for _, key := range []flows.FragmentKey{"base", "a", "bb", "ccc", "dddd"} {
				if differs := truth[key].Hash != next[key].Hash; differs != told[key] {
					t.Fatalf("fragment %s: changed %v, told %v", key, differs, told[key])
				}
			}
			truth = next
			if err := journal.keep(d, []api.Message{m}); err != nil {
				t.Fatal(err)
			}
		}
		_, again, err := openLastGood(folder, "cell-1")
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]desired{"in memory": d, "from disk": again} {
			if len(got.fragments) != len(truth) {
				t.Fatalf("%s: %d fragments, want %d", what, len(got.fragments), len(truth))
			}
			for key, f := range truth {
				if got.fragments[key].Hash != f.Hash {
					t.Fatalf("%s: fragment %s differs", what, key)
				}
			}
		}
	})
}

// TestUntrustworthyMessagesChangeNothing lists what a controller may not say.
func TestUntrustworthyMessagesChangeNothing(t *testing.T) {
	have := fragments{"a": part("a", 1), "b": part("b", 1)}
	good, patch := message(api.TypeDelta, 3, have, fragments{"a": part("a", 2)}), message(api.TypeDelta, 2, have, fragments{"a": part("a", 2)}).Patch
	for name, spoil := range map[string]struct {
		change func(*api.Message)
		why    string
	}{
		"wrong hash":        {func(m *api.Message) { m.Hash = flows.Hash{7}.String() }, "hash"},
		"no hash":           {func(m *api.Message) { m.Hash = "" }, "hash"},
		"removal forgotten": {func(m *api.Message) { m.Remove = nil }, "hash"},
		"flow changed":      {func(m *api.Message) { m.Set[0].Flows[1].Actions = "load:0x3->NXM_NX_REG2[]" }, "hash"},
		"set twice":         {func(m *api.Message) { m.Set = append(m.Set, m.Set[0]) }, "twice"},
		"set and removed":   {func(m *api.Message) { m.Remove = append(m.Remove, "a") }, "both"},
		"patch of nothing":  {func(m *api.Message) { m.Set = nil; m.Patch = []api.Patch{{Key: "c", Hash: patch[0].Hash}} }, "not there"},
		"set and patched":   {func(m *api.Message) { m.Patch = patch }, "twice"},
		"patch of another": {func(m *api.Message) {
			m.Set = nil
			m.Patch = []api.Patch{{Key: "b", Hash: patch[0].Hash, Add: patch[0].Add}}
		}, "hash is"},
		"patch removes too much": {func(m *api.Message) {
			m.Set = nil
			m.Patch = []api.Patch{{Key: "a", Hash: patch[0].Hash, Remove: patch[0].Add}}
		}, "to be removed"},
		"unknown type": {func(m *api.Message) { m.Type = "whisper" }, "whisper"},
	} {
		t.Run(name, func(t *testing.T) {
			var d desired
			if _, err := d.step(message(api.TypeSnapshot, 1, nil, have)); err != nil {
				t.Fatal(err)
			}
			m := message(api.TypeDelta, 3, have, fragments{"a": part("a", 2)})
			spoil.change(&m)
			if _, err := d.step(m); err == nil || !strings.Contains(err.Error(), spoil.why) {
				t.Errorf("error %v, want one about %q", err, spoil.why)
			}
			if _, err := d.step(good); err != nil {
				t.Errorf("the message changed something: %v", err)
			}
		})
	}
	var empty desired
	if _, err := empty.step(good); err == nil {
		t.Error("a delta was accepted before a snapshot")
	}
}

// TestLastGoodTableIsUsedOnlyWhole: a line that a kill cut short is ignored
// and nothing follows it, another cell's or a changed file is not used, and a file that cannot be kept
// current is removed.
func TestLastGoodTableIsUsedOnlyWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "table.ndjson")
	one, two := fragments{"a": part("a", 1)}, fragments{"a": part("a", 2), "b": part("b", 1)}
	var d desired
	l, _, err := openLastGood(folder, "cell-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []api.Message{message(api.TypeSnapshot, 1, nil, one), message(api.TypeDelta, 2, one, two)} {
		if _, err := d.step(m); err != nil {
			t.Fatal(err)
		}
		if err := l.keep(d, []api.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 2 {
		t.Fatalf("journal %q, %v", text, err)
	}
	for name, c := range map[string]struct {
		text      string
		fragments int
		fails     bool
	}{
		"whole":           {string(text), 2, false},
		"cut":             {string(text[:len(text)-9]), 1, false},
		"flow changed":    {strings.ReplaceAll(string(text), "0x1", "0x9"), 0, true},
		"of another cell": {strings.ReplaceAll(string(text), "cell-1", "cell-2"), 0, true},
		"not JSON":        {"{]\n", 0, true},
		"empty":           {"", 0, false},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, got, err := openLastGood(folder, "cell-1")
		if len(got.fragments) != c.fragments || (err != nil) != c.fails || got.complete != (c.fragments > 0) {
			t.Errorf("%s: %d fragments, complete %v, error %v", name, len(got.fragments), got.complete, err)
		}
		kind := api.TypeSnapshot
		if got.complete {
			kind = api.TypeDelta
		}
		m := message(kind, 3, got.fragments, fragments{"c": part("c", 1)})
		if _, err := got.step(m); err != nil {
			t.Fatal(err)
		}
		if err := l.keep(got, []api.Message{m}); err != nil {
			t.Errorf("%s: going on from it: %v", name, err)
		}
		if _, again, err := openLastGood(folder, "cell-1"); err != nil || again.hash != got.hash {
			t.Errorf("%s: what was kept after it is lost: %v", name, err)
		}
	}

	m := message(api.TypeDelta, 3, two, one)
	if _, err := d.step(m); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.keep(d, []api.Message{m}); err == nil {
		t.Error("a delta was written to a file that is gone")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file that lacks a change is still there")
	}
	if err := l.keep(d, nil); err != nil {
		t.Error(err)
	}
	if _, got, err := openLastGood(folder, "cell-1"); err != nil || got.hash != d.hash {
		t.Errorf("after writing it anew: hash %v, want %v (%v)", got.hash, d.hash, err)
	}
}

// TestObserveSortsPorts lists what a port may look like.
func TestObserveSortsPorts(t *testing.T) {
	ip := netip.MustParseAddr("10.255.1.2")
	good := ovsdb.Port{Name: "c1", Container: "one", IP: ip, MAC: flows.MACOf(ip).String(), BootID: "now", OFPort: 5}
	with := func(change func(*ovsdb.Port)) ovsdb.Port { p := good; change(&p); return p }
	for name, c := range map[string]struct {
		port ovsdb.Port
		why  string // "" accepted, "-" in no list
	}{
		"good":           {good, ""},
		"pinned":         {with(func(p *ovsdb.Port) { p.OFPortRequest = 5 }), ""},
		"no number yet":  {with(func(p *ovsdb.Port) { p.OFPort = 0 }), "-"},
		"asked for one":  {with(func(p *ovsdb.Port) { p.OFPort, p.OFPortRequest = 0, 105 }), ""},
		"for the deny's": {with(func(p *ovsdb.Port) { p.OFPort, p.OFPortRequest = 0, 2 }), "-"},
		"earlier boot":   {with(func(p *ovsdb.Port) { p.BootID = "then" }), "-"},
		"on the tunnel":  {with(func(p *ovsdb.Port) { p.OFPort = 1 }), "-"},
		"on weftdeny":    {with(func(p *ovsdb.Port) { p.OFPort, p.OFPortRequest = 2, 2 }), "-"},
		"first of all":   {with(func(p *ovsdb.Port) { p.OFPort = 3 }), ""},
		"number taken":   {with(func(p *ovsdb.Port) { p.OFPortRequest = 6 }), ""}, // and 5 is pinned
		"no device":      {with(func(p *ovsdb.Port) { p.OFPort, p.IfaceError = -1, "no such device" }), "no such device"},
		"reserved":       {with(func(p *ovsdb.Port) { p.OFPort = 0xfffe }), "65534"},
		"foreign subnet": {with(func(p *ovsdb.Port) { p.IP = netip.MustParseAddr("10.255.2.2") }), "outside the cell's lease"},
		"no address":     {with(func(p *ovsdb.Port) { p.IP = netip.Addr{} }), "outside the cell's lease"},
		"other MAC":      {with(func(p *ovsdb.Port) { p.MAC = "02:00:00:00:00:01" }), ""},
		"no MAC":         {with(func(p *ovsdb.Port) { p.MAC = "" }), `MAC "" must be that of one station, such as ee:ee:0a:ff:01:02`},
		"group's MAC":    {with(func(p *ovsdb.Port) { p.MAC = "01:00:5e:00:00:01" }), `MAC "01:00:5e:00:00:01" must be`},
		"gateway's MAC":  {with(func(p *ovsdb.Port) { p.MAC = flows.GatewayMAC.String() }), "must be that of one station"},
		"open":           {with(func(p *ovsdb.Port) { p.Egress = "tcp 192.0.2.1 443; all 192.0.2.7" }), "canonical text \"all 192.0.2.7; tcp 192.0.2.1 443\""},
		"rules":          {with(func(p *ovsdb.Port) { p.Egress = "all 192.0.2.7; tcp 192.0.2.1 443 log" }), ""},
		"broken rules":   {with(func(p *ovsdb.Port) { p.Egress = "tcp anywhere" }), `external_ids:weft-egress: egress rule "tcp anywhere": address "anywhere"`},
		"broken ports":   {with(func(p *ovsdb.Port) { p.Unread = `external_ids:weft-ports: mapping "x"` }), `weft-ports: mapping "x"`},
	} {
		seen := observe(source{ports: []ovsdb.Port{c.port}, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
		_, accepted := seen.endpoints["one"]
		if passes := seen.rejected["c1"].passes; passes != (name == "foreign subnet") { // the next try gets another address
			t.Errorf("%s: passes: %v", name, passes)
		}
		if reason := seen.rejected["c1"].text; accepted != (c.why == "") || (c.why == "-") != (!accepted && reason == "") || !strings.Contains(reason, strings.Trim(c.why, "-")) {
			t.Errorf("%s: accepted %v, reason %q; want %q", name, accepted, reason, c.why)
		}
	}
	hurt := with(func(p *ovsdb.Port) { p.Started, p.Error = true, "oops" })
	coming := with(func(p *ovsdb.Port) { p.Name, p.Container, p.OFPort = "c0", "two", 6 })
	seen := observe(source{ports: []ovsdb.Port{coming, hurt}, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now", barred: "drained"})
	if _, goesOn := seen.endpoints["one"]; !goesOn || !strings.Contains(seen.rejected["c0"].text, "drained") {
		t.Errorf("of one that was ready and a new one: %+v", seen)
	}
	seen = observe(source{ports: []ovsdb.Port{coming, hurt}, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
	if _, keeps := seen.endpoints["one"]; !keeps || seen.rejected["c0"].text == "" {
		t.Errorf("one that was ready lost its address to a new one: %+v", seen)
	}
	second := with(func(p *ovsdb.Port) { p.Name, p.Container, p.OFPort = "c0", "two", 6 })
	holder := with(func(p *ovsdb.Port) { p.Ready = true })
	seen = observe(source{ports: []ovsdb.Port{second, holder}, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
	if _, keeps := seen.endpoints["one"]; !keeps || seen.rejected["c0"].text == "" {
		t.Errorf("the ready holder of an address lost it: %+v", seen)
	}
}

// TestControllerIsToldOfEgressRules: with the endpoint, and again only when they
// change; and of the space and workload, from which it finds other ones.
func TestControllerIsToldOfEgressRules(t *testing.T) {
	p := ovsdb.Port{Container: "one", App: "cats", IP: netip.MustParseAddr("10.255.1.2"), OFPort: 5, Egress: "tcp 192.0.2.1 443"}
	seen := func() observation { return observation{endpoints: map[string]ovsdb.Port{"one": p}} }
	up, _ := seen().changesSince(nil)
	if len(up) != 1 || up[0].Egress != "tcp 192.0.2.1 443" {
		t.Fatalf("told %+v", up)
	}
	told := map[string]api.Endpoint{"one": up[0]}
	if again, _ := seen().changesSince(told); len(again) != 0 {
		t.Errorf("told again %+v", again)
	}
	p.Space, p.Workload = "zoo", "staging"
	if up, _ = seen().changesSince(told); len(up) != 1 || up[0].Space != "zoo" || up[0].Workload != "staging" {
		t.Errorf("with a space: told %+v", up)
	}
	p.Egress = ""
	if up, _ = seen().changesSince(told); len(up) != 1 || up[0].Egress != "" {
		t.Errorf("without rules: told %+v", up)
	}
}

// TestControllerIsToldOfOwnMAC: only of one that does not follow from the
// address.
func TestControllerIsToldOfOwnMAC(t *testing.T) {
	ip := netip.MustParseAddr("10.255.1.2")
	for mac, want := range map[string]string{"EE:EE:0A:FF:01:02": "", "02:00:00:00:00:0A": "02:00:00:00:00:0a"} {
		if got := wireEndpoint(ovsdb.Port{Container: "one", IP: ip, MAC: mac}).MAC; got != want {
			t.Errorf("%s: told %q, want %q", mac, got, want)
		}
	}
}

// TestReservedPortsAreLeft: whoever sits on a reserved OpenFlow port is moved to
// a number that nobody has or will soon have, even if it was pinned there, and
// asked once.
func TestReservedPortsAreLeft(t *testing.T) {
	ip := netip.MustParseAddr("10.255.1.2")
	on := func(name string, ofport, request int) ovsdb.Port {
		return ovsdb.Port{Name: name, Container: name, IP: ip, MAC: flows.MACOf(ip).String(), OFPort: ofport, OFPortRequest: request}
	}
	highest := on("c9", maxOFPort, maxOFPort)
	for name, c := range map[string]struct {
		ports  []ovsdb.Port
		others []int
		want   map[string]int
	}{
		"on 1 and 2":                   {[]ovsdb.Port{on("c1", 1, 0), on("c2", 2, 2)}, nil, map[string]int{"c1": firstMoved, "c2": firstMoved + 1}},
		"asked to go":                  {[]ovsdb.Port{on("c2", 2, firstMoved+3), on("c7", 7, 7)}, nil, map[string]int{}},
		"asked to go to another's":     {[]ovsdb.Port{on("c2", 2, 3), on("c3", 3, 0)}, nil, map[string]int{"c2": firstMoved}},
		"beside one that another has":  {[]ovsdb.Port{on("c2", 2, 0), on("c7", firstMoved, 0)}, []int{firstMoved + 1}, map[string]int{"c2": firstMoved + 2}},
		"beside one that somebody got": {[]ovsdb.Port{on("c1", 1, firstMoved), on("c2", 2, 0), on("c8", 8, firstMoved+1)}, nil, map[string]int{"c2": firstMoved + 2}},
		"beside the highest":           {[]ovsdb.Port{on("c2", 2, 0), highest}, []int{0xfffe}, map[string]int{"c2": firstMoved}},
	} {
		seen := observe(source{ports: c.ports, others: c.others, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
		if !maps.Equal(seen.displaced, c.want) {
			t.Errorf("%s: moved to %v, want %v", name, seen.displaced, c.want)
		}
	}
}

// TestNumberHasOneHolder: while ovs-vswitchd rewrites them, two ports may seem to
// have one OpenFlow number. Neither is refused for it: the other one waits.
func TestNumberHasOneHolder(t *testing.T) {
	port := func(last byte, ready bool) ovsdb.Port {
		ip := netip.AddrFrom4([4]byte{10, 255, 1, last})
		name := fmt.Sprint("c", last)
		return ovsdb.Port{Name: name, Container: name, IP: ip, MAC: flows.MACOf(ip).String(), OFPort: 7, Ready: ready}
	}
	seen := observe(source{ports: []ovsdb.Port{port(2, false), port(3, true), port(4, false)}, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
	if _, holds := seen.endpoints["c3"]; !holds || len(seen.endpoints)+len(seen.rejected)+len(seen.displaced) != 1 {
		t.Errorf("three on one number: %+v", seen)
	}
}

// TestWhoHasANumberKeepsIt: ovs-vswitchd gives a port another number than the one
// that it asks for when somebody has that. Until it has said so, the one who asks
// must not get the flows of that number, which are the identity of what comes in
// by it.
func TestWhoHasANumberKeepsIt(t *testing.T) {
	port := func(last byte, has, asks int) ovsdb.Port {
		ip, name := netip.AddrFrom4([4]byte{10, 255, 1, last}), fmt.Sprint("c", last)
		return ovsdb.Port{Name: name, Container: name, IP: ip, MAC: flows.MACOf(ip).String(), OFPort: has, OFPortRequest: asks}
	}
	for name, c := range map[string]struct {
		ports  []ovsdb.Port
		others []int
		want   map[string]int
	}{
		"another container has it": {[]ovsdb.Port{port(2, 0, 107), port(3, 107, 0)}, nil, map[string]int{"c3": 107}},
		"a foreign port has it":    {[]ovsdb.Port{port(2, 0, 107)}, []int{1, 2, 107, 0xfffe}, map[string]int{}},
		"one that is ready asks":   {[]ovsdb.Port{{Name: "c2", Container: "c2", IP: port(2, 0, 0).IP, MAC: port(2, 0, 0).MAC, OFPortRequest: 107, Ready: true}, port(3, 107, 107)}, nil, map[string]int{"c3": 107}},
		"two ask":                  {[]ovsdb.Port{port(2, 0, 107), port(3, 0, 107)}, nil, map[string]int{"c2": 107}},
		"nobody has it":            {[]ovsdb.Port{port(2, 0, 107), port(3, 108, 108)}, []int{1, 2}, map[string]int{"c2": 107, "c3": 108}},
	} {
		seen := observe(source{ports: c.ports, others: c.others, lease: netip.MustParsePrefix("10.255.1.0/24")})
		got := map[string]int{}
		for container, p := range seen.endpoints {
			got[container] = p.OFPort
		}
		if !maps.Equal(got, c.want) || len(seen.rejected)+len(seen.displaced) != 0 {
			t.Errorf("%s: endpoints on %v, want %v; %+v", name, got, c.want, seen)
		}
	}
	seen := observe(source{ports: []ovsdb.Port{port(2, 2, 0)}, others: []int{firstMoved}, lease: netip.MustParsePrefix("10.255.1.0/24")})
	if !maps.Equal(seen.displaced, map[string]int{"c2": firstMoved + 1}) {
		t.Errorf("a port would be moved to a number that a foreign one has: %+v", seen)
	}
}

// TestHostPortHasOneHolder: the container that is ready keeps it, and the other
// one is told who has it; another protocol is another port.
func TestHostPortHasOneHolder(t *testing.T) {
	port := func(name string, last byte, mappings string) ovsdb.Port {
		ip := netip.AddrFrom4([4]byte{10, 255, 1, last})
		list, err := ovsdb.ParseMappings(mappings)
		if err != nil {
			t.Fatal(err)
		}
		return ovsdb.Port{Name: name, Container: "of-" + name, IP: ip, MAC: flows.MACOf(ip).String(), OFPort: int(last), Mappings: list}
	}
	holder := port("c9", 9, "61000:8080/tcp,61001:2222/tcp")
	holder.Ready = true
	seen := observe(source{ports: []ovsdb.Port{port("c3", 3, "61005:1/tcp,61001:9/tcp"), port("c4", 4, "61001:53/udp"), port("c5", 5, "61005:1/tcp"), holder}, lease: netip.MustParsePrefix("10.255.1.0/24"), boot: "now"})
	if got := seen.rejected["c3"].text; got != "host port 61001/tcp is already mapped to container of-c9" {
		t.Errorf("c3 is rejected with %q", got)
	}
	for _, stays := range []string{"of-c9", "of-c4", "of-c5"} { // of-c5 wants what the rejected one wanted
		if _, accepted := seen.endpoints[stays]; !accepted {
			t.Errorf("%s is not accepted: %v", stays, seen.rejected)
		}
	}
}

// TestIdentityBelongsToContainerAddressAndPort: an endpoint's flows may be in
// the switch only while all three are as the flows say.
func TestIdentityBelongsToContainerAddressAndPort(t *testing.T) {
	ip := netip.MustParseAddr("10.255.1.2")
	f := flows.EndpointFragment(flows.Endpoint{Container: "one", App: "cats", Group: 101, IP: ip, OFPort: 5})
	for name, c := range map[string]struct {
		port  ovsdb.Port
		admit bool
	}{
		"as it was":       {ovsdb.Port{Container: "one", IP: ip, OFPort: 5}, true},
		"other port":      {ovsdb.Port{Container: "one", IP: ip, OFPort: 55}, false},
		"other address":   {ovsdb.Port{Container: "one", IP: ip.Next(), OFPort: 5}, false},
		"other container": {ovsdb.Port{Container: "two", IP: ip, OFPort: 5}, false},
	} {
		seen := observation{endpoints: map[string]ovsdb.Port{c.port.Container: c.port}}
		if got := seen.admits(f); got != c.admit {
			t.Errorf("%s: admitted %v", name, got)
		}
	}
	if !(observation{}).admits(part("policy/102", 1)) {
		t.Error("a policy's fragment was held back")
	}
}

// TestAuditKnowsWhatWasTouched: a flow that was changed while the audit ran says
// nothing, whatever its actions are by now.
func TestAuditKnowsWhatWasTouched(t *testing.T) {
	x := &audit{touched: map[flows.Flow]bool{}}
	mine, other := part("a", 1).Flows[0], part("bb", 1).Flows[0]
	if x.differ(nil) || !x.differ([]flows.Flow{mine}) {
		t.Error("untouched, it is a difference, and nothing is none")
	}
	changed := mine
	changed.Actions, changed.Cookie = "drop", 7
	x.touch(changed)
	if x.differ([]flows.Flow{mine}) || !x.differ([]flows.Flow{mine, other}) {
		t.Error("touched, it is none, and another is one")
	}
	var none *audit
	none.touch(mine) // no audit is under way
}
