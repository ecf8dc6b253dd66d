package cni

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// createVeth makes both ends at once, in their namespaces, with their names,
// MAC and MTU: there is no moment at which a crash would leave a nameless one.
// Both are down.
func createVeth(a Attachment) error {
	container, err := ns.GetNS(a.NetNS)
	if err != nil {
		return fmt.Errorf("network namespace %q: %w", a.NetNS, err)
	}
	defer container.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = a.HostName, a.MTU
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerMTU, veth.PeerHardwareAddr = a.IfName, uint32(a.MTU), a.MAC[:]
	veth.PeerNamespace = netlink.NsFd(container.Fd())
	err = netlink.LinkAdd(veth)
	if errors.Is(err, fs.ErrExist) {
		reason := duplicate(a.Container, a.IfName)
		reason.Msg += fmt.Sprintf(": either veth %s or %q in %s exists", a.HostName, a.IfName, a.NetNS)
		return reason
	}
	if err != nil {
		return fmt.Errorf("veth %s to %q in %s: %w", a.HostName, a.IfName, a.NetNS, err)
	}
	return nil
}

// deleteVeth removes the pair, if it is there.
func deleteVeth(hostName string) error {
	link, err := netlink.LinkByName(hostName)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("veth %s: %w", hostName, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		if _, gone := netlink.LinkByName(hostName); errors.As(gone, &netlink.LinkNotFoundError{}) {
			return nil // its namespace went away meanwhile
		}
		return fmt.Errorf("deleting veth %s: %w", hostName, err)
	}
	return nil
}

// bringUpHost brings the host end up. The host speaks no IPv6 on it, so that
// nothing enters the bridge but what the container sends.
func bringUpHost(a Attachment) error {
	if err := disableIPv6(a.HostName); err != nil {
		return err
	}
	link, err := netlink.LinkByName(a.HostName)
	if err != nil {
		return fmt.Errorf("veth %s: %w", a.HostName, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bringing %s up: %w", a.HostName, err)
	}
	return nil
}

// bringUpContainer brings the container's end up.
func bringUpContainer(a Attachment, checksums checksums) error {
	return inside(a, func() error {
		// Before it is up: the kernel would send IPv6 at once.
		if err := disableIPv6(a.IfName); err != nil {
			return err
		}
		if err := checksums.apply(a.IfName); err != nil {
			return err
		}
		link, err := netlink.LinkByName(a.IfName)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("bringing it up: %w", err)
		}
		return nil
	})
}

// configureContainer gives the container's end its address and routes.
func configureContainer(a Attachment) error {
	return inside(a, func() error {
		link, err := netlink.LinkByName(a.IfName)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: hostNet(a.IP), Scope: int(netlink.SCOPE_UNIVERSE)}); err != nil {
			return fmt.Errorf("address %s: %w", a.IP, err)
		}
		for _, route := range routes(link.Attrs().Index) {
			if err := netlink.RouteAdd(&route); err != nil {
				return fmt.Errorf("route %s: %w", route, err)
			}
		}
		return nil
	})
}

// inside calls do in the container's network namespace.
func inside(a Attachment, do func() error) error {
	if err := ns.WithNetNSPath(a.NetNS, func(ns.NetNS) error { return do() }); err != nil {
		return fmt.Errorf("%q in %s: %w", a.IfName, a.NetNS, err)
	}
	return nil
}

// routes lead to the link-local gateway, and by it to everywhere.
func routes(index int) []netlink.Route {
	gateway := flows.GatewayIP.AsSlice()
	return []netlink.Route{
		{LinkIndex: index, Scope: netlink.SCOPE_LINK, Dst: hostNet(flows.GatewayIP)},
		{LinkIndex: index, Gw: gateway},
	}
}

// checksums says who computes the checksums of what the container sends.
type checksums string

const (
	// inKernel leaves them to the last moment, as the kernel's datapath can.
	inKernel checksums = "kernel"
	// bySender is for OVS's userspace datapath, which forwards packets whose
	// checksum is not there yet: TCP would stall.
	bySender checksums = "sender"
)

// checksumsOn says who computes them on a bridge with that datapath_type.
func checksumsOn(datapathType string) checksums {
	if datapathType == ovsdb.DatapathUserspace {
		return bySender
	}
	return inKernel
}

func (c checksums) apply(name string) error {
	if c == inKernel {
		return nil
	}
	tool, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("ethtool: %w", err)
	}
	defer tool.Close()
	if err := tool.Change(name, map[string]bool{"tx-checksum-ip-generic": false}); err != nil {
		return fmt.Errorf("switching TX checksum offload off: %w", err)
	}
	return nil
}

// disableIPv6 acts on the calling thread's namespace. A kernel without IPv6
// has nothing to disable.
func disableIPv6(name string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("disabling IPv6 on %s: %w", name, err)
	}
	return nil
}

// inspectContainer tells what of the container's end is not as ADD left it.
func inspectContainer(a Attachment) error {
	return ns.WithNetNSPath(a.NetNS, func(ns.NetNS) error {
		link, err := netlinksafe.LinkByName(a.IfName)
		if err != nil {
			return fmt.Errorf("interface %q: %w", a.IfName, err)
		}
		if got := link.Attrs().HardwareAddr.String(); got != a.MAC.String() {
			return fmt.Errorf("interface %q: MAC is %s, not %s", a.IfName, got, a.MAC)
		}
		if link.Attrs().Flags&net.FlagUp == 0 {
			return fmt.Errorf("interface %q is down", a.IfName)
		}
		have, err := netlinksafe.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		if len(have) != 1 || have[0].IPNet.String() != hostNet(a.IP).String() {
			return fmt.Errorf("interface %q: addresses are %v, not %s", a.IfName, have, hostNet(a.IP))
		}
		return inspectRoutes(link)
	})
}

func inspectRoutes(link netlink.Link) error {
	have, err := netlinksafe.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, want := range routes(link.Attrs().Index) {
		found := false
		for _, r := range have {
			found = found || r.Gw.Equal(want.Gw) && destination(r) == destination(want)
		}
		if !found {
			return fmt.Errorf("route %s via %v is missing", destination(want), want.Gw)
		}
	}
	return nil
}

// destination spells the default route one way: netlink has two.
func destination(r netlink.Route) string {
	if r.Dst == nil {
		return "0.0.0.0/0"
	}
	return r.Dst.String()
}

func hostNet(ip netip.Addr) *net.IPNet {
	return &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(32, 32)}
}
