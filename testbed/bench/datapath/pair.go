package datapath

import (
	"net/netip"

	"github.com/weft-sdn/weft/testbed"
)

// end is a container and the cell that it is on.
type end struct {
	ip            netip.Addr
	in            func(func() error) error             // calls on a thread in the container's namespace
	switchCommand func(argv ...string) (string, error) // runs one of Open vSwitch's tools against the cell's
}

// pair is two containers on two cells.
type pair struct {
	name           string
	client, server end
}

// Ports of the server.
const (
	iperfPort = 8080 // TCP
	shortPort = 8081 // TCP: one byte and its echo, then closed
	echoPort  = 8080 // UDP
)

// buildWeft attaches a container to each of the bed's first two cells and lets
// one reach the other: one policy per protocol is what the interface has.
func buildWeft(bed *testbed.Bed) pair {
	client, server := bed.Cell(1).Run("client"), bed.Cell(2).Run("server")
	bed.Allow(client, server, "tcp/8080-8081")
	bed.Allow(client, server, "udp/8080")
	of := func(c *testbed.Container) end {
		return end{ip: c.IP, in: c.Do, switchCommand: func(argv ...string) (string, error) {
			return c.Cell.Command(argv...), nil
		}}
	}
	return pair{name: "weft", client: of(client), server: of(server)}
}
