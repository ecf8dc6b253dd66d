package cni

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/flows"
)

// asked is what a runtime asks for, and where it says so.
type asked struct{ where, value string }

// ask returns the address and the MAC that the runtime asks for, if any. It may
// say so by capabilities (runtimeConfig.ips and .mac), by CNI_ARGS (IP, MAC) or
// in the configuration (args.cni); the first of these counts.
func ask(conf Config, args map[string]string, lease Lease) (ip netip.Addr, mac flows.MAC, err error) {
	if want := conf.address(args); want.value != "" {
		if ip, err = want.address(lease); err != nil {
			return ip, mac, err
		}
	}
	if want := conf.mac(args); want.value != "" {
		mac, err = want.mac()
	}
	return ip, mac, err
}

// Keys of CNI_ARGS that the plugins of the CNI project understand.
const (
	argIP  = "IP"
	argMAC = "MAC"
)

func (c Config) address(args map[string]string) asked {
	for _, list := range []struct {
		where  string
		values []string
	}{{runtimeConfig + ".ips", c.Requests.IPs}, {"CNI_ARGS: " + argIP, fields(args[argIP])}, {"args.cni.ips", c.Args.CNI.IPs}} {
		switch len(list.values) {
		case 0:
		case 1:
			return asked{list.where, list.values[0]}
		default:
			return asked{list.where, strings.Join(list.values, ",")} // which is no address
		}
	}
	return asked{}
}

func fields(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func (c Config) mac(args map[string]string) asked {
	for _, want := range []asked{{runtimeConfig + ".mac", c.Requests.MAC}, {"CNI_ARGS: " + argMAC, args[argMAC]}, {"args.cni.mac", c.Args.CNI.MAC}} {
		if want.value != "" {
			return want
		}
	}
	return asked{}
}

// address reads an address of the lease, with or without the length of a prefix.
func (a asked) address(lease Lease) (netip.Addr, error) {
	text, _, _ := strings.Cut(a.value, "/")
	ip, err := netip.ParseAddr(text)
	first, last := ends(lease.Subnet)
	switch ip = ip.Unmap(); {
	case err != nil || !ip.Is4():
		return ip, a.refused("must be one IPv4 address: a container has one")
	case !lease.Subnet.Contains(ip):
		return ip, a.refused(fmt.Sprintf("must be inside the cell's lease %s", lease.Subnet))
	case ip.Less(first) || last.Less(ip):
		return ip, a.refused(fmt.Sprintf("must be %s to %s: the first and the last address of the lease %s are nobody's", first, last, lease.Subnet))
	}
	return ip, nil
}

// mac reads the MAC of one station.
func (a asked) mac() (mac flows.MAC, err error) {
	mac, err = flows.ParseMAC(a.value)
	if err != nil || !mac.Station() {
		return flows.MAC{}, a.refused("must be the MAC of one station, such as 02:00:00:00:00:01")
	}
	return mac, nil
}

func (a asked) refused(must string) error {
	if strings.HasPrefix(a.where, "CNI_ARGS") {
		return failure(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("%s %q: %s", a.where, a.value, must), correctArgs)
	}
	return invalid(a.where, a.value, must)
}
