package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/flows"
)

// with gives an endpoint egress rules.
func with(ep api.Endpoint, egress string) api.Endpoint {
	ep.Egress = egress
	return ep
}

// TestServicesComeWithHello: they are in the first table, and gone with the
// next hello that has none; a bad one refuses the hello by field and value.
func TestServicesComeWithHello(t *testing.T) {
	b := start(t)
	a := b.cellNumber(1)
	plain := a.table["base"].Hash
	hello := api.Hello{VTEP: "192.0.2.1", Services: []api.Service{{Protocol: "udp", Address: "169.254.0.2", Port: 53}}}
	var err error
	if a.stream, err = b.Open(b.limit(), a.cell, hello); err != nil {
		t.Fatal(err)
	}
	a.next()
	opened := slices.ContainsFunc(a.table["base"].Flows, func(f flows.Flow) bool {
		return strings.Contains(f.Match, "169.254.0.2") && f.Table == flows.TableEgress
	})
	if !opened || a.table["base"].Hash == plain {
		t.Errorf("no flow of the base is for the service")
	}
	if a.open("192.0.2.1"); a.table["base"].Hash != plain {
		t.Error("an older agent's hello left the service open")
	}
	for _, c := range []struct {
		service api.Service
		want    string
	}{
		{api.Service{Protocol: "icmp", Address: "169.254.0.2", Port: 53}, `services[0]: protocol "icmp": must be tcp or udp`},
		{api.Service{Protocol: "tcp", Address: "fd00::1", Port: 53}, `services[0]: address "fd00::1": must be an IPv4 address`},
		{api.Service{Protocol: "tcp", Address: "", Port: 53}, `services[0]: address "": must be`},
		{api.Service{Protocol: "tcp", Address: "169.254.0.2"}, `services[0]: port 0: must be 1 to 65535`},
	} {
		_, err := b.Open(b.limit(), a.cell, api.Hello{VTEP: "192.0.2.1", Services: []api.Service{c.service}})
		if api.KindOf(err) != api.ErrInvalid || !strings.HasPrefix(fmt.Sprint(err), c.want) {
			t.Errorf("%+v: %v, want %s", c.service, err, c.want)
		}
	}
}

// TestEgressIsExplained: from the cookie of a flow in the cell's own table to
// the rule and to who has it.
func TestEgressIsExplained(t *testing.T) {
	b := start(t)
	const rules = "tcp 10.9.0.1-10.9.0.9 443; udp 10.9.0.2 53"
	a := b.cellNumber(1, with(on(1, 1, "cats"), rules), with(on(1, 2, "dogs"), rules), on(1, 3, "mice"))
	b.cellNumber(2, with(on(2, 1, "cats"), "udp 10.9.0.2 53; tcp 10.9.0.1-10.9.0.9 443"))
	key := string(flows.EgressKey(rules))
	if !a.has(key) {
		t.Fatalf("the table has no %s", key)
	}
	places := map[int]string{}
	for _, flow := range a.table[key].Flows {
		found, err := b.Explain(b.limit(), flow.Cookie)
		if err != nil {
			t.Fatalf("%s: %v", flow, err)
		}
		_, place := flow.Cookie.Egress()
		places[place] = found.Rule
		if found.Kind != "egress" || len(found.Endpoints) != 3 || found.Endpoints[0].Container != "c1" || found.Endpoints[2].Cell != "cell-2" {
			t.Errorf("%s: %+v", flow, found)
		}
		if want := fmt.Sprintf("rule %d of 2 of egress profile %s", place, flows.EgressRules(rules).Profile()); place > 0 && !strings.HasPrefix(found.Text, want) {
			t.Errorf("text %q, want %s", found.Text, want)
		}
	}
	if places[1] != "tcp 10.9.0.1-10.9.0.9 443" || places[2] != "udp 10.9.0.2 53" || len(places) != 3 {
		t.Errorf("rules by their places: %v", places)
	}
	if _, err := b.Explain(b.limit(), flows.EgressCookie(7, 1)); api.KindOf(err) != api.ErrNotFound {
		t.Errorf("a profile that nobody has: %v", err)
	}
	if _, err := b.Explain(b.limit(), flows.EgressCookie(flows.EgressRules(rules).Profile(), 3)); api.KindOf(err) != api.ErrNotFound {
		t.Errorf("a rule that the profile does not have: %v", err)
	}
}

// TestLoggingTakesEffect at once, on the cells that have the apps, and survives
// a restart.
func TestLoggingTakesEffect(t *testing.T) {
	b := start(t)
	a, other := b.cellNumber(1, on(1, 1, "cats"), on(1, 2, "dogs")), b.cellNumber(2, on(2, 1, "mice"))
	b.settled(map[*agent]string{a: "cats", other: "mice"})
	quiet := a.table["endpoint/c1"].Hash
	revision, err := b.SetLogging(b.limit(), api.Logging{Apps: []string{"nobody-yet", "cats", "cats"}}, "me")
	if err != nil {
		t.Fatal(err)
	}
	if msg := a.next(); len(msg.Patch) != 1 || msg.Patch[0].Key != "endpoint/c1" || msg.Revision != uint64(revision) || a.table["endpoint/c1"].Hash == quiet {
		t.Errorf("the switch came as %+v", msg)
	}
	if got := b.owing(revision, true); got != "[cell-1]" {
		t.Errorf("%s owes the switch", got)
	}
	other.silent()
	b.restart(gormstore.Options{})
	if logging, err := b.Logging(b.limit()); err != nil || fmt.Sprint(logging) != "{false [cats nobody-yet]}" {
		t.Errorf("after a restart: %v, %v", logging, err)
	}
	if a.open("192.0.2.1", on(1, 1, "cats")); a.table["endpoint/c1"].Hash == quiet {
		t.Error("after a restart cats are not logged")
	}
	listed, err := b.Endpoints(b.limit())
	if err != nil || len(listed) != 1 || !listed[0].Log {
		t.Errorf("endpoints %+v, %v", listed, err)
	}
	for _, apps := range [][]string{{""}, {strings.Repeat("x", 256)}, make([]string, 20000)} {
		for i := range apps {
			if len(apps) > 1 {
				apps[i] = fmt.Sprint(i)
			}
		}
		if _, err := b.SetLogging(b.limit(), api.Logging{Apps: apps}, "me"); api.KindOf(err) != api.ErrInvalid {
			t.Errorf("%d apps, the first %.10q: %v", len(apps), apps[0], err)
		}
	}
}

// TestNamesOfQuarantinedIDs: an agent that logs a packet of the old owner can
// still say whose it was.
func TestNamesOfQuarantinedIDs(t *testing.T) {
	b := start(t)
	_, two, id := leftBy(b)
	two.next()
	two.ack()
	b.tidy(0)
	var group flows.GroupID
	if _, err := fmt.Sscan(id, &group); err != nil {
		t.Fatal(err)
	}
	names, err := b.GroupNames(b.limit(), []flows.GroupID{group, 60000, group})
	if err != nil || len(names) != 1 || names[0].App != "old" || names[0].State != api.GroupQuarantined || names[0].Until.Before(time.Now().Add(4*time.Minute)) {
		t.Errorf("names %+v, %v", names, err)
	}
}
