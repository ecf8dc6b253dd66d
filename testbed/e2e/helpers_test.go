package e2e

import (
	"fmt"
	"net/netip"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed"
)

func differ[N int | uint64](got, want N) error {
	if got != want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// ipv6Frame is a neighbour solicitation's outline: an Ethernet frame with an
// IPv6 header and nothing in it.
func ipv6Frame(from *testbed.Container) []byte {
	header := make([]byte, 40)
	header[0], header[6], header[7] = 0x60, 59, 255 // version 6, no next header
	return testbed.Ethernet(flows.GatewayMAC, flows.MACOf(from.IP), testbed.EtherIPv6, header)
}

// unknownFrame carries an EtherType that the overlay does not have.
func unknownFrame(from *testbed.Container) []byte {
	return testbed.Ethernet(flows.GatewayMAC, flows.MACOf(from.IP), testbed.EtherLocal, make([]byte, 46))
}

// nth returns the nth address of a lease, 0 to 255.
func nth(lease netip.Prefix, n byte) netip.Addr {
	ip := lease.Addr().As4()
	ip[3] = n
	return netip.AddrFrom4(ip)
}
