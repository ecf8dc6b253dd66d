package datapath

import (
	"fmt"
	"strings"
)

// manyConnections is how many connections the megaflows are counted after.
const manyConnections = 100

// countMegaflows empties the datapaths, opens the connections, and counts.
func countMegaflows(weft, baseline pair) (Megaflows, error) {
	m := Megaflows{Connections: manyConnections}
	for _, of := range []struct {
		pair
		sender, receiver *int
	}{{weft, &m.Sender, &m.Receiver}, {baseline, &m.BaselineSender, &m.BaselineReceiver}} {
		for _, e := range []end{of.client, of.server} {
			if _, err := e.switchCommand("ovs-appctl", "dpctl/del-flows"); err != nil {
				return m, fmt.Errorf("empty the datapath: %w", err)
			}
		}
		err := of.client.work(workCPU, func() error {
			for range manyConnections {
				if err := of.connectOnce(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return m, fmt.Errorf("%s: %w", of.name, err)
		}
		if *of.sender, err = of.client.megaflows(); err != nil {
			return m, err
		}
		if *of.receiver, err = of.server.megaflows(); err != nil {
			return m, err
		}
	}
	return m, nil
}

// megaflows counts the IPv4 flows of the cell's datapath.
func (e end) megaflows() (int, error) {
	text, err := e.switchCommand("ovs-appctl", "dpctl/dump-flows", "-m")
	return countIPv4(text), err
}

func countIPv4(dump string) (n int) {
	for line := range strings.Lines(dump) {
		if strings.Contains(line, "eth_type(0x0800)") && strings.Contains(line, "actions:") {
			n++
		}
	}
	return n
}

// explain tells what the datapaths of a pair do with its packets.
func explain(what string, p pair, say func(format string, args ...any)) error {
	for _, of := range []struct {
		name string
		end
	}{{"sender", p.client}, {"receiver", p.server}} {
		text, err := of.switchCommand("ovs-appctl", "dpctl/dump-flows", "-m")
		if err != nil {
			return err
		}
		say("%s: %s's cell of %s:\n%s", what, of.name, p.name, strings.TrimSpace(text))
	}
	return nil
}
