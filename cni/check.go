package cni

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/ovsdb"
)

// Check fails with the first thing that is not as ADD left it: the
// reservation, the port and what it says, the agent's mark, its mappings, rules and limits, the
// host's end, or the container's.
func (p Plugin) Check(args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	if err := check(conf, invocation(args)); err != nil {
		return coded(CodeCheck, fmt.Errorf("container %s: %w", args.ContainerID, err))
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
		Container: inv.Container, IfName: inv.IfName, NetNS: inv.NetNS, HostName: hostName(inv.Container, inv.IfName),
	}.At(ip)
	if err := checkPort(conf, a); err != nil {
		return err
	}
	if _, err := netlink.LinkByName(a.HostName); err != nil {
		return fmt.Errorf("veth %s: %w", a.HostName, err)
	}
	return inspectContainer(a)
}

// inResult compares with what ADD returned, if the runtime kept it.
func inResult(conf Config, ip netip.Addr) error {
	if err := version.ParsePrevResult(&conf.PluginConf); err != nil {
		return failure(types.ErrDecodingFailure, fmt.Sprintf("prevResult: %v", err), "")
	}
	if conf.PrevResult == nil {
		return nil
	}
	before, err := current.NewResultFromResult(conf.PrevResult)
	if err != nil {
		return fmt.Errorf("prevResult: %w", err)
	}
	for _, c := range before.IPs {
		if c.Address.String() == hostNet(ip).String() {
			return nil
		}
	}
	return fmt.Errorf("address %s is reserved for it, and prevResult does not have it", ip)
}

func checkPort(conf Config, a Attachment) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	db, err := dial(ctx, conf.Places)
	if err != nil {
		return err
	}
	defer db.Close()
	ports, err := db.Ports(conf.Bridge)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.Name == a.HostName {
			if err := portProblem(p, a); err != nil {
				return err
			}
			return requestProblem(p, conf)
		}
	}
	return fmt.Errorf("port %s is not on bridge %s", a.HostName, conf.Bridge)
}

func portProblem(p ovsdb.Port, a Attachment) error {
	switch {
	case p.Container != a.Container || p.IP != a.IP || p.MAC != a.MAC.String():
		return fmt.Errorf("port %s says that it is container %q with %s and %s, expected %s and %s", p.Name, p.Container, p.IP, p.MAC, a.IP, a.MAC)
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
