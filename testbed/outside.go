package testbed

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

const outsideName = "outside"

// The addresses of the one host on the underlay that is no part of Weft.
var (
	outsideAddress    = netip.MustParseAddr("172.31.0.240")
	deniedAddress     = netip.MustParseAddr("172.31.0.241") // in the controller's deny_networks
	unmaskedAddress   = netip.MustParseAddr("172.31.0.242") // in every agent's no_masquerade
	underlayPrefixLen = 24
)

// makeOutside makes that host.
func (w *world) makeOutside() (err error) {
	if w.outside, err = newNetNS(outsideName); err != nil {
		return err
	}
	if err := plugIntoUnderlay(outsideName, w.outside, netip.PrefixFrom(outsideAddress, underlayPrefixLen)); err != nil {
		return err
	}
	return inNS(w.outside, func() error {
		for _, ip := range []netip.Addr{deniedAddress, unmaskedAddress} {
			if err := setAddress("eth0", netip.PrefixFrom(ip, underlayPrefixLen)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Outside returns a host on the underlay that is no cell. It knows the way to
// every container through its cell, so that only the cells can keep it out.
func (b *Bed) Outside() *Station {
	b.Helper()
	s := b.station(outsideName, outsideAddress, b.outside)
	for _, c := range b.Cells() {
		b.must(s.Do(func() error { return routeVia(c.Lease(), c.vtep) }))
	}
	return s
}

// DeniedOutside is Outside under an address of a network that the operator
// denies whatever egress rules say.
func (b *Bed) DeniedOutside() *Station { return b.Outside().At(deniedAddress) }

// UnmaskedOutside is Outside under an address of a network to which containers
// keep their own address.
func (b *Bed) UnmaskedOutside() *Station { return b.Outside().At(unmaskedAddress) }

func routeVia(to netip.Prefix, gateway netip.Addr) error {
	route := &netlink.Route{
		Dst: &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), 32)},
		Gw:  gateway.AsSlice(),
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route %s via %s: %w", to, gateway, err)
	}
	return nil
}
