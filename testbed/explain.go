package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/flows"
)

// explain is a failing test's debugging session: the packet's way through the
// flow tables of both cells, and what their agents want, have and say.
func (b *Bed) explain(sender, receiver Party, what string) string {
	from, ok1 := sender.(*Container)
	to, ok2 := receiver.(*Container)
	if !ok1 || !ok2 {
		return "" // one of them is no part of the overlay
	}
	var out strings.Builder
	fmt.Fprintf(&out, "---- %s (%s, app %s on %s) -> %s (%s, app %s on %s), %s\n",
		from.ID, from.IP, from.App, from.Cell.name, to.ID, to.IP, to.App, to.Cell.name, what)
	protocol, ports, err := parseWhat(what)
	if err != nil {
		return err.Error()
	}
	number := flows.TCP
	if protocol == "udp" {
		number = flows.UDP
	}
	// A trace does not look the connection up: say what policy would see of it.
	connection := fmt.Sprintf("ct_state=trk|new,ct_nw_proto=%d,ct_tp_dst=%d", number, ports.Start)
	packet := connection + fmt.Sprintf(",%[1]s,nw_src=%[2]s,nw_dst=%[3]s,nw_ttl=64,%[1]s_src=40000,%[1]s_dst=%[4]d", protocol, from.IP, to.IP, ports.Start)
	from.Cell.trace(&out, fmt.Sprintf("in_port=%s,dl_src=%s,dl_dst=%s,%s", from.Cell.ofport(from), flows.MACOf(from.IP), flows.GatewayMAC, packet))
	if to.Cell.name != from.Cell.name {
		group := uint16(0)
		if groups, err := b.client.Groups(background()); err == nil {
			for _, g := range groups {
				if g.App == from.App {
					group = g.Group
				}
			}
		}
		to.Cell.trace(&out, fmt.Sprintf("in_port=%d,tun_id=1,tun_src=%s,tun_dst=%s,tun_gbp_id=%d,dl_src=%s,dl_dst=%s,%s",
			flows.TunnelOFPort, from.Cell.vtep, to.Cell.vtep, group, flows.GatewayMAC, flows.MACOf(to.IP), packet))
	}
	seen := map[string]bool{}
	for _, c := range []*Cell{from.Cell, to.Cell} {
		if !seen[c.name] {
			fmt.Fprintf(&out, "---- %s: weft-agent status\n%s\n", c.name, c.agentStatus())
		}
		seen[c.name] = true
	}
	return out.String()
}

// trace asks the running switch what it would do with the packet.
func (c *cell) trace(out io.Writer, packet string) {
	fmt.Fprintf(out, "---- %s: ofproto/trace %s '%s'\n", c.name, bridgeName, packet)
	text, err := c.ovs.run("ovs-appctl", "ofproto/trace", bridgeName, packet, "--ct-next", "trk,new")
	if err != nil {
		text = err.Error()
	}
	fmt.Fprintln(out, strings.TrimSpace(text))
}

// ofport returns the container's port number, from the switch's database.
func (c *cell) ofport(of *Container) string {
	text, err := c.ovs.run("ovs-vsctl", "--bare", "--columns=ofport", "find", "Interface", "external_ids:weft-container="+of.ID)
	if err != nil || strings.TrimSpace(text) == "" {
		return "0"
	}
	return strings.TrimSpace(text)
}

// agentStatus asks the agent on its socket: its revision, errors and the
// difference of what it wants and what the switch has.
func (c *cell) agentStatus() string {
	ctx, cancel := context.WithTimeout(background(), 10*time.Second)
	defer cancel()
	status, err := cellagent.FetchStatus(ctx, c.path("agent.sock"))
	if err != nil {
		return fmt.Sprintf("no answer: %v\n%s", err, c.agent.lastLines(20))
	}
	text, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// logs returns the ends of the logs of the controller and of every agent.
func (w *world) logs() string {
	var out strings.Builder
	story := func(p *process) {
		if p != nil {
			fmt.Fprintf(&out, "---- log of %s (running: %v)\n%s\n", p.name, p.running(), p.lastLines(12))
		}
	}
	story(w.controller)
	for _, c := range w.cells {
		story(c.agent)
		fmt.Fprintf(&out, "---- packets that %s has dropped so far\n%s\n", c.name, c.drops())
	}
	return out.String()
}

// drops lists the flows that have dropped packets.
func (c *cell) drops() string {
	lines, err := c.ovs.dumpFlows("")
	if err != nil {
		return err.Error()
	}
	var dropping []string
	for _, line := range lines {
		if strings.HasSuffix(line, "actions=drop") && packets(line) > 0 {
			dropping = append(dropping, line)
		}
	}
	return strings.Join(dropping, "\n")
}

// Drops lists the cell's flows that have dropped packets.
func (c *Cell) Drops() string { return c.drops() }
