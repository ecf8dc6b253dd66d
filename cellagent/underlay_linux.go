package cellagent

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// What VXLAN over IPv4 adds to a packet: 14 bytes inner Ethernet, 8 VXLAN,
// 8 UDP and 20 IPv4.
const (
	tunnelOverhead = 50   // bytes
	minMTU         = 1280 // bytes; what every IP stack may count on (RFC 8200 section 5)
	maxMTU         = 65535
)

// containerMTU is the MTU of container interfaces on an underlay of that MTU.
func containerMTU(underlay int) (int, error) {
	mtu := min(underlay, maxMTU) - tunnelOverhead
	if mtu < minMTU {
		return 0, fmt.Errorf("underlay MTU %d leaves %d bytes for containers, less than %d: raise it to at least %d",
			underlay, mtu, minMTU, minMTU+tunnelOverhead)
	}
	return mtu, nil
}

// underlayMTU returns the name and MTU of the interface that carries ip.
func underlayMTU(ip netip.Addr) (string, int, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return "", 0, fmt.Errorf("list interfaces: %w", err)
	}
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return "", 0, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, a := range addresses {
			if have, ok := netip.AddrFromSlice(a.IP.To4()); ok && have == ip {
				return link.Attrs().Name, link.Attrs().MTU, nil
			}
		}
	}
	return "", 0, fmt.Errorf("underlay_ip %v: no interface of this host carries it", ip)
}
