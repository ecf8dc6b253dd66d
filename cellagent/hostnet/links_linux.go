package hostnet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/flows"
)

// deviceThere returns ErrNoDevice if there is no such network device.
func deviceThere(device string) error {
	_, err := netlink.LinkByName(device)
	if notFound(err) {
		return fmt.Errorf("bridge %s %w", device, ErrNoDevice)
	}
	return err
}

func notFound(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing)
}

// ensureLinks makes devices, neighbour and route as want says, each only where
// it differs, and names what it changed.
func ensureLinks(want State) (changed []string, err error) {
	steps := []struct {
		what   string
		ensure func() (bool, error)
	}{
		{"bridge " + RejectBridge, func() (bool, error) { return ensureBridge(RejectBridge) }},
		{DenyDevice + " on " + RejectBridge, func() (bool, error) { return enslave(DenyDevice, RejectBridge) }},
		{DenyDevice, func() (bool, error) { return ensureUp(DenyDevice) }},
		{RejectBridge, func() (bool, error) { return ensureUp(RejectBridge) }},
		{want.Bridge, func() (bool, error) { return ensureUp(want.Bridge) }},
		{"neighbour " + flows.GatewayIP.String(), func() (bool, error) { return ensureNeighbour(want.Bridge) }},
		{"ip_forward", func() (bool, error) { return ensureSysctl("net/ipv4/ip_forward", "1") }},
		{"route " + want.Lease.String(), func() (bool, error) { return ensureRoute(want) }},
	}
	for _, step := range steps {
		did, err := step.ensure()
		if err != nil {
			return changed, fmt.Errorf("%s: %w", step.what, err)
		}
		if did {
			changed = append(changed, step.what)
		}
	}
	return changed, nil
}

// ensureBridge makes a Linux bridge that does nothing by itself.
func ensureBridge(device string) (bool, error) {
	link, err := netlink.LinkByName(device)
	if err == nil && link.Type() != "bridge" {
		return false, fmt.Errorf("is there already, as a %s: it is not ours", link.Type())
	}
	if !notFound(err) {
		return false, err
	}
	attrs, snooping := netlink.NewLinkAttrs(), false
	attrs.Name = device
	return true, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping})
}

// enslave puts a device on a bridge, where it learns nothing.
func enslave(device, bridge string) (bool, error) {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return false, err
	}
	master, err := netlink.LinkByName(bridge)
	if err != nil || link.Attrs().MasterIndex == master.Attrs().Index {
		return false, err
	}
	if err := quiet(device); err != nil { // before it may send anything
		return false, err
	}
	if err := netlink.LinkSetMaster(link, master); err != nil {
		return false, err
	}
	return true, netlink.LinkSetLearning(link, false)
}

// ensureUp sets a device up, without IPv6: it must send nothing of its own.
func ensureUp(device string) (bool, error) {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return false, err
	}
	was, err := ensureSysctl(filepath.Join("net/ipv6/conf", device, "disable_ipv6"), "1")
	if err != nil {
		return false, err
	}
	if err := quiet(device); err != nil || link.Attrs().Flags&net.FlagUp != 0 {
		return was, err
	}
	return true, netlink.LinkSetUp(link)
}

func quiet(device string) error {
	for _, key := range []string{"disable_ipv6", "addr_gen_mode"} {
		if _, err := ensureSysctl(filepath.Join("net/ipv6/conf", device, key), "1"); err != nil {
			return err
		}
	}
	return nil
}

// ensureSysctl writes a kernel setting if it differs. A kernel without IPv6 has
// none of its settings, and needs none.
func ensureSysctl(key, value string) (bool, error) {
	path := filepath.Join("/proc/sys", key)
	have, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(key, "net/ipv6/") {
		return false, nil
	}
	if err != nil || strings.TrimSpace(string(have)) == value {
		return false, err
	}
	return true, os.WriteFile(path, []byte(value), 0o644)
}

// gatewayMAC is what the host addresses; the bridge rewrites it.
var gatewayMAC = net.HardwareAddr(slices.Clone(flows.GatewayMAC[:]))

// ensureNeighbour tells the kernel the gateway's MAC once and for all: the
// bridge answers nobody's ARP behind LOCAL.
func ensureNeighbour(bridge string) (bool, error) {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return false, err
	}
	known, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return false, err
	}
	gateway := net.IP(flows.GatewayIP.AsSlice())
	for _, n := range known {
		if n.IP.Equal(gateway) && bytes.Equal(n.HardwareAddr, gatewayMAC) && n.State == netlink.NUD_PERMANENT {
			return false, nil
		}
	}
	return true, netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: gateway, HardwareAddr: gatewayMAC,
	})
}

// ensureRoute sends the lease to the bridge, and removes routes of an earlier
// lease.
func ensureRoute(want State) (bool, error) {
	link, err := netlink.LinkByName(want.Bridge)
	if err != nil {
		return false, err
	}
	routes, err := gatewayRoutes(link)
	if err != nil {
		return false, err
	}
	there := false
	for _, r := range routes {
		if prefix(r.Dst) == want.Lease && r.Src.Equal(want.VTEP.AsSlice()) {
			there = true
			continue
		}
		if err := netlink.RouteDel(&r); err != nil {
			return false, fmt.Errorf("remove route %v: %w", r.Dst, err)
		}
	}
	if there {
		return false, nil
	}
	return true, netlink.RouteReplace(&netlink.Route{
		LinkIndex: link.Attrs().Index, Gw: flows.GatewayIP.AsSlice(), Src: want.VTEP.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
		Dst: &net.IPNet{IP: want.Lease.Addr().AsSlice(), Mask: net.CIDRMask(want.Lease.Bits(), 32)},
	})
}

// gatewayRoutes are the routes by the overlay's gateway: nobody else has any.
func gatewayRoutes(link netlink.Link) ([]netlink.Route, error) {
	return netlink.RouteListFiltered(netlink.FAMILY_V4,
		&netlink.Route{LinkIndex: link.Attrs().Index, Gw: flows.GatewayIP.AsSlice(), Table: unix.RT_TABLE_MAIN},
		netlink.RT_FILTER_OIF|netlink.RT_FILTER_GW|netlink.RT_FILTER_TABLE)
}

func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(n.IP.To4())
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr, ones)
}

// removeLinks takes away what ensureLinks made, but for settings.
func removeLinks(bridge string) (removed []string, err error) {
	var faults []error
	link, err := netlink.LinkByName(bridge)
	switch {
	case err == nil:
		removed, err = disconnect(link)
		faults = append(faults, err)
	case !notFound(err):
		faults = append(faults, err)
	}
	link, err = netlink.LinkByName(RejectBridge)
	switch {
	case notFound(err):
	case err != nil:
		faults = append(faults, err)
	case link.Type() == "bridge":
		if err := netlink.LinkDel(link); err != nil {
			faults = append(faults, err)
		} else {
			removed = append(removed, "bridge "+RejectBridge)
		}
	}
	return removed, errors.Join(faults...)
}

// disconnect removes the ways to the bridge's device and sets it down: without
// rules, what containers send to it must not arrive either.
func disconnect(link netlink.Link) (removed []string, err error) {
	routes, err := gatewayRoutes(link)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if err := netlink.RouteDel(&r); err != nil {
			return removed, fmt.Errorf("remove route %v: %w", r.Dst, err)
		}
		removed = append(removed, fmt.Sprintf("route %v", r.Dst))
	}
	name := link.Attrs().Name
	err = netlink.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V4, IP: flows.GatewayIP.AsSlice()})
	switch {
	case err == nil:
		removed = append(removed, fmt.Sprintf("neighbour %v on %s", flows.GatewayIP, name))
	case !errors.Is(err, unix.ENOENT):
		return removed, fmt.Errorf("remove neighbour %v: %w", flows.GatewayIP, err)
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		return removed, nil
	}
	return append(removed, "device "+name+" (set down)"), netlink.LinkSetDown(link)
}
