package cni_test

import (
	"context"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/cni"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// garden is what Cloud Foundry asks for, with a limit for everybody.
func garden() map[string]any {
	return map[string]any{
		"rate": 10000, "burst": 2000,
		"runtimeConfig": map[string]any{
			"portMappings": []any{map[string]any{"host_port": 61000, "container_port": 8080}, map[string]any{"host_port": 61001, "container_port": 2222}},
			"netOutRules": []any{map[string]any{
				"protocol": 1, "networks": []any{map[string]any{"start": "10.0.0.1", "end": "10.0.0.9"}},
				"ports": []any{map[string]any{"start": 443, "end": 443}}, "log": true,
			}},
		},
	}
}

// limiting counts the rows by which ports are shaped.
func (c *cell) limiting() int {
	return len(strings.Fields(c.sw.Vsctl("--columns=_uuid", "--format=csv", "--no-headings", "list", "QoS") + "\n" +
		c.sw.Vsctl("--columns=_uuid", "--format=csv", "--no-headings", "list", "Queue")))
}

// TestRequestsAreThereBeforeTheAgentAnswers: what the runtime asks for is on
// the port that the agent sees first, CHECK finds it, and DEL takes it away
// without having been told of it.
func TestRequestsAreThereBeforeTheAgentAnswers(t *testing.T) {
	c := newCell(t)
	first := make(chan ovsdb.Port, 1)
	c.agent(func(ctx context.Context, db *mirror.Client, p ovsdb.Port) error {
		select {
		case first <- p:
		default:
		}
		return db.MarkReady(ctx, p.Name)
	})
	x := c.container("asking")
	if _, err := x.add(garden()); err != nil {
		t.Fatal(err)
	}
	limit := ovsdb.Limit{RateKbps: 10000, BurstKb: 2000}
	seen := <-first
	if got := ovsdb.FormatMappings(seen.Mappings); got != "61000:8080/tcp,61001:2222/tcp" || seen.Egress != "tcp 10.0.0.1-10.0.0.9 443 log" {
		t.Errorf("the agent saw mappings %q and rules %q", got, seen.Egress)
	}
	if got := c.ports()[0]; got.Limits != (ovsdb.Limits{In: limit, Out: limit}) || c.limiting() != 2 {
		t.Errorf("limits are %v in %d rows", got.Limits, c.limiting())
	}
	if err := x.checkWith(garden()); err != nil {
		t.Errorf("CHECK: %v", err)
	}
	if err := x.check(); err != nil {
		t.Errorf("CHECK that speaks of nothing: %v", err)
	}
	x.mustDel()
	x.mustDel()
	c.mustBeEmpty()
	if left := c.limiting(); left != 0 {
		t.Errorf("%d rows that shaped it are left", left)
	}
}

// checkWith runs CHECK with some keys of the configuration changed.
func (x *container) checkWith(keys map[string]any) error {
	return x.runtime().CheckNetworkList(within(x.t), x.list("1.0.0", x.changed(keys)), x.conf())
}

// TestCheckSeesWhatWasChanged: each of what the runtime asked for.
func TestCheckSeesWhatWasChanged(t *testing.T) {
	c := newCell(t)
	c.agent(ready)
	x := c.container("changed")
	result, err := x.add(garden())
	if err != nil {
		t.Fatal(err)
	}
	name := result.Interfaces[0].Name
	for _, step := range []struct {
		table, column, broken, want string
	}{
		{"interface", "external_ids:weft-ports", "61000:8080/tcp", `maps ports "61000:8080/tcp", expected "61000:8080/tcp,61001:2222/tcp"`},
		{"interface", "external_ids:weft-ports", "nonsense", `external_ids:weft-ports: mapping "nonsense"`},
		{"interface", "external_ids:weft-egress", "\"all 0.0.0.0-255.255.255.255\"", `has egress rules "all 0.0.0.0-255.255.255.255", expected "tcp 10.0.0.1-10.0.0.9 443 log"`},
		{"interface", "ingress_policing_rate", "0", "from it no limit, expected to it 10000 kbit/s, burst 2000 kbit; from it 10000 kbit/s, burst 2000 kbit"},
		{"port", "qos", "[]", "to it no limit; from it 10000 kbit/s, burst 2000 kbit, expected"},
	} {
		before := strings.TrimSpace(c.sw.Vsctl("get", step.table, name, step.column))
		c.sw.Vsctl("set", step.table, name, step.column+"="+step.broken)
		refused(t, x.checkWith(garden()), cni.CodeCheck, step.want)
		c.sw.Vsctl("set", step.table, name, step.column+"="+before)
		if err := x.checkWith(garden()); err != nil {
			t.Fatalf("repaired: %v", err)
		}
	}
}

// TestBadRequestLeavesNothing: it is refused before anything is touched, and
// does not keep the container from being removed.
func TestBadRequestLeavesNothing(t *testing.T) {
	c := newCell(t)
	x := c.container("bad")
	c.conf["runtimeConfig"] = map[string]any{"portMappings": []any{map[string]any{"host_port": 0, "container_port": 8080}}}
	_, err := x.add(nil)
	refused(t, err, 7, "runtimeConfig.portMappings[0].host_port 0: cannot allocate port 0")
	c.mustBeEmpty()
	x.mustDel()
}

// TestRefusedContainerLeavesNoLimits: what ADD made is undone with the port.
func TestRefusedContainerLeavesNoLimits(t *testing.T) {
	c := newCell(t)
	c.agent(func(ctx context.Context, db *mirror.Client, p ovsdb.Port) error {
		return db.MarkFailed(ctx, p.Name, "not today")
	})
	_, err := c.container("unwanted").add(garden())
	refused(t, err, cni.CodeRefused, "not today")
	c.mustBeEmpty()
	if left := c.limiting(); left != 0 {
		t.Errorf("%d rows that shaped it are left", left)
	}
}
