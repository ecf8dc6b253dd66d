package testbed

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// netnsDir is where ip-netns(8) looks, so that `ip netns exec cell-1 …` works.
const netnsDir = "/run/netns"

func netnsPath(name string) string { return filepath.Join(netnsDir, name) }

// newNetNS makes a named network namespace with its loopback up.
func newNetNS(name string) (ns.NetNS, error) {
	if err := createNetNS(name); err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	space, err := ns.GetNS(netnsPath(name))
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	return space, space.Do(func(ns.NetNS) error { return setUp("lo") })
}

func createNetNS(name string) error {
	runtime.LockOSThread() // NewNamed moves this thread; it is moved back below
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	handle, err := netns.NewNamed(name)
	if err != nil {
		return err
	}
	handle.Close()
	return netns.Set(home)
}

// deleteNetNS removes the name; the namespace ends with its last user.
func deleteNetNS(name string, space ns.NetNS) error {
	if err := space.Close(); err != nil {
		return fmt.Errorf("close network namespace %s: %w", name, err)
	}
	if err := netns.DeleteNamed(name); err != nil {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	return nil
}

func setUp(link string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", link, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", link, err)
	}
	return nil
}

func setAddress(link string, prefix netip.Prefix) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", link, err)
	}
	ipnet := &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ipnet}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", link, prefix, err)
	}
	return netlink.LinkSetUp(l)
}

// underlayBridge is the wire between the cells, in the lab's own namespace.
const underlayBridge = "underlay"

func makeUnderlay(host netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = underlayBridge
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("make the underlay bridge: %w", err)
	}
	return setAddress(underlayBridge, host)
}

// plugIntoUnderlay gives the namespace an eth0 on the underlay. The other end
// has the namespace's name, for people who look at the bridge.
func plugIntoUnderlay(name string, space ns.NetNS, address netip.Prefix) error {
	bridge, err := netlink.LinkByName(underlayBridge)
	if err != nil {
		return fmt.Errorf("find the underlay bridge: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.MasterIndex = bridge.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(space.Fd())}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("plug %s into the underlay: %w", name, err)
	}
	if err := setUp(name); err != nil {
		return err
	}
	return space.Do(func(ns.NetNS) error { return setAddress("eth0", address) })
}
