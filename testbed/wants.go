package testbed

import (
	"fmt"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// Wants is what a runtime asks for a container besides an address. The zero
// value is nothing: no way out of the overlay, none in, and no limit.
type Wants struct {
	Egress   string      // rules as flows.EgressRules has them: "tcp 172.31.0.240 443; all 10.0.0.0-10.0.0.9 log"
	Ports    [][2]uint16 // TCP port of the cell, TCP port of the container
	Mbits    int         // per second and direction; 0: no limit
	PortsUDP [][2]uint16
}

// runtimeConfig is what Garden would put into the plugin's configuration.
func (w Wants) runtimeConfig() map[string]any {
	wants := map[string]any{}
	if rules, err := flows.ParseEgressRules(w.Egress); err != nil {
		panic(fmt.Sprintf("testbed: %v", err)) // a test's own constant
	} else if rules != "" {
		wants["netOutRules"] = netOutRules(rules)
	}
	var mappings []any
	for protocol, ports := range map[string][][2]uint16{"tcp": w.Ports, "udp": w.PortsUDP} {
		for _, p := range ports {
			mappings = append(mappings, map[string]any{"hostPort": p[0], "containerPort": p[1], "protocol": protocol})
		}
	}
	if len(mappings) > 0 {
		wants["portMappings"] = mappings
	}
	if w.Mbits > 0 {
		rate := w.Mbits * 1_000_000
		wants["bandwidth"] = map[string]int{"ingressRate": rate, "ingressBurst": rate, "egressRate": rate, "egressBurst": rate}
	}
	return wants
}

func netOutRules(rules flows.EgressRules) []any {
	var all []any
	for _, r := range rules.Rules() {
		name, _, _ := strings.Cut(r.String(), " ")
		rule := map[string]any{
			"protocol": map[string]int{"all": 0, "tcp": 1, "udp": 2, "icmp": 3}[name],
			"networks": []any{map[string]string{"start": r.First.String(), "end": r.Last.String()}},
			"log":      r.Log,
		}
		switch {
		case r.Protocol == flows.ICMP:
			icmp := map[string]int16{"type": r.ICMPType}
			if r.ICMPCode >= 0 {
				icmp["code"] = r.ICMPCode
			}
			rule["icmps"] = icmp
		case r.Protocol == flows.AnyProtocol:
		case r.Ports == flows.PortRange{}:
			rule["ports"] = []any{map[string]uint16{"start": 1, "end": 65535}}
		default:
			rule["ports"] = []any{map[string]uint16{"start": r.Ports.First, "end": r.Ports.Last}}
		}
		all = append(all, rule)
	}
	return all
}

// SetEgress changes the container's egress rules in the switch's database, as
// an operator would, and returns when the agent has done so in the flows.
func (c *Container) SetEgress(rules string) {
	c.bed.Helper()
	text, err := flows.ParseEgressRules(rules)
	c.bed.must(err)
	uuid, err := c.Cell.ovs.run("ovs-vsctl", "--bare", "--columns=_uuid", "find", "Interface", "external_ids:weft-container="+c.ID)
	c.bed.must(err)
	_, err = c.Cell.ovs.run("ovs-vsctl", "set", "Interface", strings.TrimSpace(uuid), fmt.Sprintf("external_ids:weft-egress=%q", string(text)))
	c.bed.must(err)
}

// RunWith is Run for a container of which the runtime wants more.
func (c *Cell) RunWith(app string, wants Wants) *Container {
	c.bed.Helper()
	container, err := c.TryConfig(Network{App: c.bed.appID(app), Wants: wants})
	if err != nil {
		c.bed.Fatalf("run %s on %s: %v\n%s", app, c.name, err, c.bed.logs())
	}
	return container
}
