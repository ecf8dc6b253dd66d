package cni

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// Invocation is what a runtime says of the container, apart from the network
// configuration: CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS and CNI_ARGS.
type Invocation struct {
	Container, IfName, NetNS, Args string
}

// Attachment is everything that ADD will make, decided before anything is
// touched. IP and MAC are set by At, once an address is reserved.
type Attachment struct {
	Container string      // the runtime's id
	IfName    string      // inside the container
	NetNS     string      // path of its network namespace
	HostName  string      // of the host end, which is the port's name
	Network   string      // name of the network configuration
	App       flows.AppID // "" for a container without identity, which starts isolated
	Space     string      // "" for none
	Workload  string      // "" where the platform says nothing of it
	MTU       int
	Bridge    string
	Wanted    netip.Addr // the address that the runtime asks for; the zero Addr: any
	IP        netip.Addr
	MAC       flows.MAC    // the zero MAC: the one that follows from IP
	OFPort    flows.OFPort // that is asked for; 0: any
	Mappings  []ovsdb.PortMapping
	Egress    flows.EgressRules // "": it may open no connection out of the overlay
	Limits    ovsdb.Limits
}

// Plan decides what ADD will make, or refuses. It is pure.
func Plan(inv Invocation, conf Config, lease Lease) (Attachment, error) {
	args, err := parseArgs(inv.Args)
	if err != nil {
		return Attachment{}, err
	}
	if err := conf.checkArgs(args); err != nil {
		return Attachment{}, err
	}
	mtu := conf.MTU
	switch {
	case mtu == 0:
		mtu = lease.MTU
	case mtu > lease.MTU:
		return Attachment{}, invalid("mtu", mtu, fmt.Sprintf("must not exceed %d, which is what the cell's tunnel can carry", lease.MTU))
	}
	app, err := identity(conf, args, inv.Container)
	if err != nil {
		return Attachment{}, err
	}
	wanted, mac, err := ask(conf, args, lease)
	if err != nil {
		return Attachment{}, err
	}
	a := Attachment{
		Container: inv.Container, IfName: inv.IfName, NetNS: inv.NetNS, HostName: hostName(inv.Container, inv.IfName),
		Network: conf.Name, App: app, Space: conf.Space, Workload: conf.Workload,
		MTU: mtu, Bridge: conf.Bridge, Wanted: wanted, MAC: mac, Mappings: conf.Requests.Mappings, Egress: conf.Egress, Limits: conf.Limits,
	}
	return a, nil
}

// At gives the attachment its address in the lease, the OpenFlow port that
// follows from it, and the MAC unless it has one.
func (a Attachment) At(lease netip.Prefix, ip netip.Addr) Attachment {
	a.OFPort = flows.OFPortOf(lease, ip)
	if a.IP = ip; a.MAC == (flows.MAC{}) {
		a.MAC = flows.MACOf(ip)
	}
	return a
}

// port is the attachment as the switch's database holds it.
func (a Attachment) port(bootID string) ovsdb.Port {
	return ovsdb.Port{
		Name: a.HostName, Container: a.Container, IfName: a.IfName, Network: a.Network, App: string(a.App),
		IP: a.IP, MAC: a.MAC.String(), NetNS: a.NetNS, BootID: bootID,
		OFPortRequest: int(a.OFPort),
		Egress:        string(a.Egress), Space: a.Space, Workload: a.Workload, Mappings: a.Mappings, Limits: a.Limits,
	}
}

// parseArgs reads CNI_ARGS, "K=V;K=V". Keys that are not ours are the
// runtime's business.
func parseArgs(text string) (map[string]string, error) {
	args := map[string]string{}
	for pair := range strings.SplitSeq(text, ";") {
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, failure(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_ARGS: %q: must be KEY=VALUE, separated by semicolons", pair), correctArgs)
		}
		args[key] = value
	}
	return args, nil
}

// hostName derives the host end's name from the container and its interface,
// so that DEL finds it from those alone: 13 letters and digits, which OVS
// prints without quotes. Whose it is says whose.go: 48 bits can be equal.
func hostName(container, ifName string) string {
	sum := sha256.Sum256([]byte(container + "\n" + ifName))
	return "c" + hex.EncodeToString(sum[:6])
}
