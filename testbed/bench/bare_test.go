package bench

import (
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/testbed/solo"
)

// bare is the least that plugs a container into the same bridge: a veth whose
// host end ovs-vsctl adds in one transaction, which returns when ovs-vswitchd has
// done its part. No address, no flows, and nobody who is asked: that much of an
// ADD is Open vSwitch's and the kernel's.
type bare struct {
	*solo.Cell
	port string
}

func newBare(c *solo.Cell, i int) bare { return bare{c, fmt.Sprintf("bare%d", i)} }

func (b bare) add(x *solo.Container) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = b.port
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = "eth0", netlink.NsFd(int(x.NS.Fd()))
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return err
	}
	_, err := b.Switch.Try("", "ovs-vsctl", "--db="+b.Switch.DB(), "add-port", solo.Bridge, b.port)
	return err
}

func (b bare) del() error {
	if _, err := b.Switch.Try("", "ovs-vsctl", "--db="+b.Switch.DB(), "del-port", solo.Bridge, b.port); err != nil {
		return err
	}
	link, err := netlink.LinkByName(b.port)
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}
