package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
)

// What VXLAN over IPv4 adds to a packet: 14 bytes inner Ethernet, 8 VXLAN,
// 8 UDP and 20 IPv4.
const (
	tunnelOverhead = 50   // bytes
	minMTU         = 1280 // bytes; what programs count on without asking (RFC 8200 section 5, QUIC). Less takes somebody's word: weft-cni's key mtu
	maxMTU         = 65535
)

// usualMTU is the least that containers have where nothing is wrong: 1410 bytes
// on Google's networks (1460) and 1400 on an OpenStack tenant's VXLAN (1450),
// both with many happy users. Less is a tunnel within a tunnel that somebody has
// forgotten, and meets hosts outside that take no part in path MTU discovery.
const usualMTU = 1400

// Underlay is the interface that carries the cell's VTEP.
type Underlay struct {
	Name  string // "" if there is none
	MTU   int    // bytes
	Inner bool   // a loopback or dummy: packets to other cells leave by another interface
}

// Container is an attached container's host end.
type Container struct {
	ID, Port string
	MTU      int // bytes
}

// ContainerMTU is the MTU of container interfaces, bytes, on an underlay of
// that MTU. An underlay with too little is an error that says how much it takes.
func ContainerMTU(underlay int) (int, error) {
	mtu := min(underlay, maxMTU) - tunnelOverhead
	if mtu < minMTU {
		return 0, fmt.Errorf("underlay MTU %d leaves %d bytes for containers, less than %d: raise it to at least %d",
			underlay, mtu, minMTU, minMTU+tunnelOverhead)
	}
	return mtu, nil
}

// ErrNoUnderlay: no interface of this host carries the address.
var ErrNoUnderlay = errors.New("no interface of this host carries it")

// FindUnderlay returns the interface that carries ip, or ErrNoUnderlay.
func FindUnderlay(ip netip.Addr) (Underlay, error) {
	links, err := netlinksafe.LinkList()
	if err != nil {
		return Underlay{}, fmt.Errorf("list interfaces: %w", err)
	}
	for _, link := range links {
		addresses, err := netlinksafe.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return Underlay{}, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, a := range addresses {
			if have, ok := netip.AddrFromSlice(a.IP.To4()); ok && have == ip {
				inner := link.Attrs().Flags&net.FlagLoopback != 0 || link.Type() == "dummy"
				return Underlay{Name: link.Attrs().Name, MTU: link.Attrs().MTU, Inner: inner}, nil
			}
		}
	}
	return Underlay{}, fmt.Errorf("underlay_ip %v: %w", ip, ErrNoUnderlay)
}

func lookUnderlay(_ context.Context, from Sources, f *Facts) (err error) {
	if f.Underlay, err = FindUnderlay(f.Cell.UnderlayIP); err != nil && !errors.Is(err, ErrNoUnderlay) {
		return err
	}
	if from.DB == nil {
		return nil
	}
	ports, err := from.DB.Ports(f.Cell.Bridge)
	if errors.Is(err, ovsdb.ErrNoBridge) || errors.Is(err, ovsdb.ErrNotConnected) {
		return nil // which check datapath says
	}
	if err != nil {
		return err
	}
	links, err := netlinksafe.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	mtu := make(map[string]int, len(links))
	for _, link := range links {
		mtu[link.Attrs().Name] = link.Attrs().MTU
	}
	for _, p := range ports {
		if bytes, there := mtu[p.Name]; there {
			f.Containers = append(f.Containers, Container{ID: p.Container, Port: p.Name, MTU: bytes})
		}
	}
	return nil
}

func judgeUnderlay(f Facts) []api.Finding {
	u := f.Underlay
	if u.Name == "" {
		return []api.Finding{failure(UnderlayMTU, "set underlay_ip in the agent's file to an address of this host: ip -4 addr shows them",
			"no interface of this host carries underlay_ip %v", f.Cell.UnderlayIP)}
	}
	raise := fmt.Sprintf("ip link set dev %s mtu 1500, on every cell and on all that is between them", u.Name)
	mtu, err := ContainerMTU(u.MTU)
	switch {
	case err != nil:
		return []api.Finding{failure(UnderlayMTU, raise, "%s carries %v: %v", u.Name, f.Cell.UnderlayIP, err)}
	case u.Inner && !f.Cell.Userspace:
		return append(largeContainers(f, mtu), warning(UnderlayMTU, fmt.Sprintf("set mtu in weft-cni's network configuration to what the network carries, less %d; or give underlay_ip an address of the interface that leads to the other cells", tunnelOverhead),
			"%s carries %v, and its MTU of %d bytes says nothing of the network: containers get %d", u.Name, f.Cell.UnderlayIP, u.MTU, mtu))
	case mtu < usualMTU:
		return append(largeContainers(f, mtu), warning(UnderlayMTU, raise, "%s carries %v; its MTU of %d bytes leaves %d for containers, less than the usual %d",
			u.Name, f.Cell.UnderlayIP, u.MTU, mtu, usualMTU))
	}
	return append(largeContainers(f, mtu), fine(UnderlayMTU, "%s carries %v; its MTU of %d bytes leaves %d for containers", u.Name, f.Cell.UnderlayIP, u.MTU, mtu))
}

// namedContainers bounds those that a finding names.
const namedContainers = 5

// largeContainers finds those whose full packets do not fit into the tunnel, as
// after somebody has lowered the underlay's MTU.
func largeContainers(f Facts, mtu int) []api.Finding {
	var names []string
	largest := 0
	for _, c := range f.Containers {
		if c.MTU > mtu {
			names = append(names, fmt.Sprintf("%s (port %s, %d bytes)", c.ID, c.Port, c.MTU))
			largest = max(largest, c.MTU)
		}
	}
	if len(names) == 0 {
		return nil
	}
	more := ""
	if n := len(names) - namedContainers; n > 0 {
		names, more = names[:namedContainers], fmt.Sprintf(" and %d more", n)
	}
	return []api.Finding{failure(UnderlayMTU, fmt.Sprintf("start them anew, with the MTU of %d bytes; or ip link set dev %s mtu %d", mtu, f.Underlay.Name, largest+tunnelOverhead),
		"containers whose full packets do not fit into the tunnel, which has room for %d bytes: %s%s", mtu, strings.Join(names, ", "), more)}
}
