package controller

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

var update = flag.Bool("update", false, "rewrite testdata with what the code answers")

// TestScripts plays testdata/*.txt: events, and after each "----" which
// fragments of which cells they changed. After every event each cell's
// fragments must be those that compiling from scratch gives.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).play(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(text) && !*update {
				t.Errorf("%s: run with -update and look at the difference; got:\n%s", file, got)
			}
		})
	}
}

// script stands for the store: it numbers groups, policies and revisions.
type script struct {
	t        testing.TB
	state    *State
	revision api.Revision
	policies flows.PolicyID
	ids      map[string]flows.PolicyID // by their words
}

func testOverlay() Overlay {
	return Overlay{Networks: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")}, SubnetPrefix: 24, VNI: 1, VXLANPort: 4789,
		Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, SecurityGroups: true, Quarantine: 5 * time.Minute}
}

func newScript(t testing.TB) *script {
	return &script{t: t, state: NewState(testOverlay()), ids: map[string]flows.PolicyID{}}
}

func (s *script) play(text string) string {
	var out strings.Builder
	answered := false
	for line := range strings.Lines(text) {
		switch word := strings.TrimSpace(line); {
		case answered && word != "":
			continue // the old answer
		case word == "" || strings.HasPrefix(word, "#"):
			answered = false
			out.WriteString(line)
		case word == "----":
			answered = true
		default:
			out.WriteString(line)
			out.WriteString("----\n" + s.do(word))
		}
	}
	return out.String()
}

// do plays one line and returns the answer, newline included.
func (s *script) do(line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "table":
		return s.table(flows.CellID(strings.TrimPrefix(rest, "cell=")))
	case "groups":
		return s.groups(rest)
	case "rules":
		return s.rules()
	case "cells":
		return s.cells()
	case "nameless":
		return fmt.Sprintf("%s\n", s.state.Nameless())
	}
	var out strings.Builder
	for _, d := range s.state.Step(s.event(verb, rest)) {
		for _, key := range slices.Sorted(maps.Keys(d.Set)) {
			sign := "+"
			if d.Set[key].to == nil {
				sign = "-"
			}
			fmt.Fprintf(&out, "%s %s%s\n", d.Cell, sign, key)
		}
		if d.Draining {
			fmt.Fprintf(&out, "%s draining %t\n", d.Cell, s.state.Draining(d.Cell))
		}
		if refused := s.state.Refused(d.Cell); d.Refused {
			if len(refused) == 0 {
				fmt.Fprintf(&out, "%s refused none\n", d.Cell)
			}
			for _, r := range refused {
				fmt.Fprintf(&out, "%s refused %s: %s\n", d.Cell, r.Container, r.Reason)
			}
		}
	}
	for _, fault := range s.state.Faults() {
		fmt.Fprintf(&out, "fault: %v\n", fault)
	}
	checkFromScratch(s.t, s.state)
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func (s *script) table(cell flows.CellID) string {
	var out strings.Builder
	for _, f := range s.state.Fragments(cell) {
		if f.Key == flows.BaseKey() { // how many flows the pipeline has is not for these scripts to hold
			fmt.Fprintf(&out, "%s\n", f.Key)
			continue
		}
		fmt.Fprintf(&out, "%s: %d flows\n", f.Key, len(f.Flows))
	}
	return out.String()
}

// cells lists the cells as an operator sees them.
func (s *script) cells() string {
	var out strings.Builder
	for _, c := range s.state.Cells() {
		fmt.Fprintf(&out, "%s %s %s %s\n", c.Cell, cmp.Or(c.Subnet, "-"), cmp.Or(c.VTEP, "-"), cmp.Or(c.State, "in force"))
	}
	return out.String()
}

// rules lists who may connect where outside of the overlay.
func (s *script) rules() string {
	var out strings.Builder
	for _, ep := range s.state.Endpoints() {
		fmt.Fprintf(&out, "%s: %s\n", ep.Container, cmp.Or(ep.Egress, "nothing"))
	}
	return out.String()
}

// groups lists the group ids, and which of them could be freed and released.
// The clock of scripts stands still but for minutes=N: after the first change.
func (s *script) groups(rest string) string {
	arg := map[string]string{"held": strconv.Itoa(int(s.revision)), "minutes": "0"}
	for _, word := range strings.Fields(rest) {
		key, value, _ := strings.Cut(word, "=")
		arg[key] = value
	}
	var out strings.Builder
	for _, g := range s.state.Groups() {
		fmt.Fprintf(&out, "%d %s %s\n", g.Group, g.App, g.State)
	}
	fmt.Fprintf(&out, "unused %v\n", s.state.Unused())
	now := scriptStart.Add(time.Duration(s.number(arg["minutes"])) * time.Minute)
	fmt.Fprintf(&out, "releasable %v\n", s.state.Releasable(api.Revision(s.number(arg["held"])), now, 10))
	return strings.ReplaceAll(out.String(), " \n", "\n")
}

// scriptStart is when everything in a script happens.
var scriptStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// event turns a line into what the log or an agent would say.
func (s *script) event(verb, rest string) Event {
	arg := map[string]string{}
	var endpoints []api.Endpoint
	for _, word := range strings.Fields(rest) {
		if key, value, named := strings.Cut(word, "="); named {
			arg[key] = value
		} else { // container,app,ip,ofport[,egress[,space[,workload]]]
			endpoints = append(endpoints, s.endpoint(word))
		}
	}
	cell := flows.CellID(arg["cell"])
	switch verb {
	case "hello":
		return EndpointsReplaced{Cell: cell, Endpoints: endpoints, Services: s.services(arg["services"])}
	case "up":
		return EndpointsChanged{Cell: cell, Up: endpoints}
	case "down":
		return EndpointsChanged{Cell: cell, Down: strings.Split(arg["container"], ",")}
	}
	if verb == "groups-read" {
		return SecurityGroupsRead{}
	}
	s.revision++
	change := Change{Revision: s.revision}
	switch verb {
	case "group":
		change.Events = []Event{SecurityGroupSet{api.SecurityGroup{
			GUID: arg["guid"], Name: "name of " + arg["guid"], Rules: arg["rules"],
			RunningDefault: strings.Contains(arg["for"], "running"), StagingDefault: strings.Contains(arg["for"], "staging"),
			RunningSpaces: strings.Split(arg["running"], ","), StagingSpaces: strings.Split(arg["staging"], ","),
		}}}
	case "ungroup":
		for guid := range strings.SplitSeq(arg["guid"], ",") {
			change.Events = append(change.Events, SecurityGroupRemoved{GUID: guid})
		}
	case "lease", "returned", "expire", "drain", "undrain", "remove":
		change.Events = leaseEvents(verb, cell, arg)
	case "release":
		if arg["group"] == "" {
			change.Events = leaseEvents(verb, cell, arg)
			break
		}
		change.Events = []Event{GroupReleased{flows.GroupID(s.number(arg["group"]))}}
	case "name":
		change.Events = s.assign(nil, flows.AppID(arg["app"]))
	case "allow":
		change.Events = s.allow(rest, arg)
	case "free":
		change.Events = []Event{GroupFreed{Group: s.state.groups[flows.AppID(arg["app"])], Revision: s.revision, At: scriptStart}}
	case "logging":
		logging := api.Logging{Accepted: arg["all"] == "on"}
		if arg["apps"] != "" {
			logging.Apps = strings.Split(arg["apps"], ",")
		}
		change.Events = []Event{LoggingSet{logging}}
	case "revoke":
		change.Events = []Event{PolicyRemoved{ID: s.ids[rest]}}
	default:
		s.t.Fatalf("unknown verb %q", verb)
	}
	return change
}

// leaseEvents is what the log says of a cell's lease.
func leaseEvents(verb string, cell flows.CellID, arg map[string]string) (events []Event) {
	switch verb {
	case "lease":
		if instead := flows.CellID(arg["instead-of"]); instead != "" {
			events = []Event{LeaseReleased{instead}}
		}
		peer := flows.Peer{Cell: cell, VTEP: netip.MustParseAddr(arg["vtep"]), Lease: netip.MustParsePrefix(arg["subnet"])}
		return append(events, LeaseGranted{Peer: peer, Returning: arg["returning"] != ""})
	case "returned":
		return []Event{CellReturned{cell}}
	case "expire":
		return []Event{LeaseExpired{cell}}
	case "drain":
		return []Event{DrainBegun{cell}}
	case "undrain":
		return []Event{DrainEnded{cell}}
	case "remove":
		return []Event{LeaseReleased{cell}, DrainEnded{cell}}
	}
	return []Event{LeaseReleased{cell}}
}

func (s *script) allow(words string, arg map[string]string) []Event {
	from, to := flows.AppID(arg["from"]), flows.AppID(arg["to"])
	events := s.assign(s.assign(nil, from), to)
	groups := map[flows.AppID]flows.GroupID{}
	maps.Copy(groups, s.state.groups)
	for _, ev := range events {
		assigned := ev.(GroupAssigned)
		groups[assigned.App] = assigned.Group
	}
	name, ports, _ := strings.Cut(arg["port"], "/")
	protocol, err := flows.ParseProtocol(name)
	if err != nil {
		s.t.Fatal(err)
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	s.policies++
	s.ids[words] = s.policies
	return append(events, PolicyAdded{From: from, To: to, Rule: flows.Rule{
		Policy: s.policies, From: groups[from], To: groups[to], Protocol: protocol,
		Ports: flows.PortRange{First: uint16(s.number(first)), Last: uint16(s.number(last))},
	}})
}

// assign appends the event that gives app a group id, unless it has one: its
// old one, or the lowest from 101 on that nobody has.
func (s *script) assign(events []Event, app flows.AppID) []Event {
	taken := maps.Clone(s.state.apps)
	for _, ev := range events {
		assigned := ev.(GroupAssigned)
		if assigned.App == app {
			return events
		}
		taken[assigned.Group] = assigned.App
	}
	if _, has := s.state.groups[app]; has {
		return events
	}
	return append(events, GroupAssigned{App: app, Group: lowest(taken, app)})
}

// lowest is the id that app has in quarantine, or the first free one from 101.
func lowest(taken map[flows.GroupID]flows.AppID, app flows.AppID) flows.GroupID {
	for group, of := range taken {
		if of == app {
			return group
		}
	}
	group := flows.GroupID(101)
	for taken[group] != "" {
		group++
	}
	return group
}

// services reads tcp:169.254.0.2:53,udp:...
func (s *script) services(text string) (list []flows.Service) {
	for word := range strings.SplitSeq(text, ",") {
		if word == "" {
			continue
		}
		name, at, _ := strings.Cut(word, ":")
		protocol, err := flows.ParseProtocol(name)
		if err != nil {
			s.t.Fatal(err)
		}
		to := netip.MustParseAddrPort(at)
		list = append(list, flows.Service{Protocol: protocol, Addr: to.Addr(), Port: to.Port()})
	}
	return list
}

// endpoint reads container,app,ip,ofport[,egress[,space[,workload]]], with _ for spaces in egress.
func (s *script) endpoint(word string) api.Endpoint {
	parts := strings.Split(word, ",")
	if len(parts) < 4 || len(parts) > 7 {
		s.t.Fatalf("endpoint %q: want container,app,ip,ofport[,egress[,space[,workload]]]", word)
	}
	parts = append(parts, "", "", "")
	return api.Endpoint{
		Container: parts[0], App: parts[1], IP: parts[2], OFPort: uint16(s.number(parts[3])),
		Egress: strings.ReplaceAll(parts[4], "_", " "), Space: parts[5], Workload: parts[6],
	}
}

func (s *script) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// checkFromScratch compares what State kept with what compiling each cell's
// state from scratch gives: fragments, and the hash of the whole table.
func checkFromScratch(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, s *State,
) {
	t.Helper()
	for id := range s.cells {
		view, _ := s.CellState(id)
		want := flows.Fragments(view)
		have := s.Fragments(id)
		if len(have) != len(want) {
			t.Fatalf("cell %s has %d fragments, from scratch %d\nhave %v\nwant %v", id, len(have), len(want), keysOf(have), want)
		}
		for i, f := range have {
			if f.Key != want[i].Key || f.Hash != want[i].Hash || !slices.Equal(f.Flows, want[i].Flows) {
				t.Fatalf("cell %s: fragment %s differs from scratch:\nhave %v\nwant %v", id, f.Key, f.Flows, want[i].Flows)
			}
		}
		if have, want := s.Hash(id), flows.TableHash(want); have != want {
			t.Fatalf("cell %s: hash %s, from scratch %s", id, have, want)
		}
	}
}

func keysOf(fragments []*flows.Fragment) (keys []flows.FragmentKey) {
	for _, f := range fragments {
		keys = append(keys, f.Key)
	}
	return keys
}
