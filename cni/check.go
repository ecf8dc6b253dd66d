package cni

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// Check fails with the first thing that is not as ADD left it: the reservation,
// the port and what it says, the agent's mark, its mappings, rules and limits,
// the host's end, or the container's.
func (p Plugin) Check(args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	if err := check(conf, invocation(args)); err != nil {
		return coded(CodeCheck, fmt.Errorf("container %s: %w", args.ContainerID, err), addAnew)
	}
	return nil
}

func check(conf Config, inv Invocation) error {
	ip, err := (addresses{conf.DataDir, conf.Bridge}).held(inv.Container, inv.IfName)
	if err != nil {
		return err
	}
	if !ip.IsValid() {
		return fmt.Errorf("no address is reserved for its %q in %s", inv.IfName, conf.DataDir)
	}
	if err := inResult(conf, ip); err != nil {
		return err
	}
	a := Attachment{
		Container: inv.Container, IfName: inv.IfName, NetNS: inv.NetNS, HostName: hostName(inv.Container, inv.IfName), IP: ip,
	}
	if a.MAC, err = checkPort(conf, a); err != nil {
		return err
	}
	if _, err := netlink.LinkByName(a.HostName); err != nil {
		return fmt.Errorf("veth %s: %w", a.HostName, err)
	}
	return inspectContainer(a)
}

// inResult compares with what ADD returned, if the runtime kept it.
func inResult(conf Config, ip netip.Addr) error {
	before, err := previous(&conf)
	if err != nil || before == nil {
		return err
	}
	for _, c := range before.IPs {
		if c.Address.String() == hostNet(ip).String() {
			return nil
		}
	}
	return fmt.Errorf("address %s is reserved for it, and prevResult does not have it", ip)
}

// checkPort returns the MAC that the container's end is to have.
func checkPort(conf Config, a Attachment) (mac flows.MAC, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	db, err := dial(ctx, conf.Places)
	if err != nil {
		return mac, err
	}
	defer db.Close()
	p, err := db.Port(ctx, conf.Bridge, a.HostName)
	if errors.Is(err, ovsdb.ErrNoPort) {
		return mac, fmt.Errorf("port %s is not on bridge %s", a.HostName, conf.Bridge)
	}
	if err == nil {
		err = portProblem(p, a)
	}
	if err == nil {
		err = requestProblem(p, conf)
	}
	if err == nil {
		mac, err = flows.ParseMAC(p.MAC)
	}
	return mac, err
}

func portProblem(p ovsdb.Port, a Attachment) error {
	switch {
	case p.Container != a.Container || p.IP != a.IP:
		return fmt.Errorf("port %s says that it is container %q with %s, expected %s", p.Name, p.Container, p.IP, a.IP)
	case p.IfaceError != "":
		return fmt.Errorf("port %s: ovs-vswitchd: %s", p.Name, p.IfaceError)
	case p.Error != "":
		return fmt.Errorf("port %s: the cell agent: %s", p.Name, p.Error)
	case p.OFPort < 1 || !p.Ready:
		return fmt.Errorf("port %s is not ready: is weft-agent running?", p.Name)
	}
	return nil
}

// requestProblem compares with what the configuration asks for; what it does
// not speak of may be as it is.
func requestProblem(p ovsdb.Port, conf Config) error {
	if want := conf.Requests.Mappings; want != nil {
		if have := ovsdb.FormatMappings(p.Mappings); p.Unread != "" || have != ovsdb.FormatMappings(want) {
			return fmt.Errorf("port %s maps ports %q, expected %q %s", p.Name, have, ovsdb.FormatMappings(want), p.Unread)
		}
	}
	if want := conf.Requests.Egress; want != nil && p.Egress != string(*want) {
		return fmt.Errorf("port %s has egress rules %q, expected %q", p.Name, p.Egress, *want)
	}
	if want := conf.Limits.Possible(); want != (ovsdb.Limits{}) && p.Limits != want {
		return fmt.Errorf("port %s has limits %v, expected %v", p.Name, p.Limits, want)
	}
	return nil
}
