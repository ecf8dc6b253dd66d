package cni

import (
	"io"
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/weft-sdn/weft/flows"
)

// containerEnd is the index of the container's interface in the result.
const containerEnd = 1

// result describes the attachment as CNI 1.1 does; older versions are made
// from it.
func result(conf Config, a Attachment) *current.Result {
	gateway := net.IP(flows.GatewayIP.AsSlice())
	return &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{
			{Name: a.HostName, Mtu: a.MTU},
			{Name: a.IfName, Mac: a.MAC.String(), Mtu: a.MTU, Sandbox: a.NetNS},
		},
		IPs: []*current.IPConfig{{
			Interface: current.Int(containerEnd), Address: *hostNet(a.IP), Gateway: gateway,
		}},
		Routes: []*types.Route{{Dst: *everywhere(), GW: gateway}},
		DNS:    conf.DNS,
	}
}

// printResult writes it in the version that the configuration asks for.
func printResult(w io.Writer, conf Config, a Attachment) error {
	versioned, err := result(conf, a).GetAsVersion(conf.CNIVersion)
	if err != nil {
		return failure(types.ErrIncompatibleCNIVersion, err.Error(), "")
	}
	return versioned.PrintTo(w)
}

func everywhere() *net.IPNet {
	return &net.IPNet{IP: netip.IPv4Unspecified().AsSlice(), Mask: net.CIDRMask(0, 32)}
}
