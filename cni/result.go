package cni

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

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

// previous is the result of the plugins before this one in the chain; nil if it
// is the first.
func previous(conf *Config) (*current.Result, error) {
	if err := nothingIsNull(conf.RawPrevResult); err != nil {
		return nil, err
	}
	if err := version.ParsePrevResult(&conf.PluginConf); err != nil {
		return nil, failure(types.ErrDecodingFailure, fmt.Sprintf("prevResult: %v", err), validJSON)
	}
	if conf.PrevResult == nil {
		return nil, nil
	}
	before, err := current.NewResultFromResult(conf.PrevResult)
	if err != nil {
		return nil, failure(types.ErrDecodingFailure, fmt.Sprintf("prevResult: %v", err), validJSON)
	}
	return before, nil
}

// nothingIsNull refuses lists with items that are none: CNI's library reads them
// for what they point to.
func nothingIsNull(result map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(result)) {
		items, _ := result[key].([]any)
		if i := slices.Index(items, nil); i >= 0 {
			return failure(types.ErrDecodingFailure, fmt.Sprintf("prevResult.%s[%d] null: must be a JSON object", key, i),
				"it is what the plugin before in the chain returned: correct that one")
		}
	}
	return nil
}

// join adds what is ours to the result of the plugins before. Interfaces keep
// their places, since addresses name them by these; our address comes first,
// since many runtimes show one only, and it is by ours that others reach the
// container.
func join(before, ours *current.Result) *current.Result {
	if before == nil {
		return ours
	}
	for _, ip := range ours.IPs {
		ip.Interface = current.Int(*ip.Interface + len(before.Interfaces))
	}
	ours.Interfaces = append(before.Interfaces, ours.Interfaces...)
	ours.IPs = append(ours.IPs, before.IPs...)
	ours.Routes = append(ours.Routes, before.Routes...)
	if ours.DNS.IsEmpty() {
		ours.DNS = before.DNS
	}
	return ours
}

// printResult writes it in the version that the configuration asks for.
func printResult(w io.Writer, conf Config, r *current.Result) error {
	versioned, err := r.GetAsVersion(conf.CNIVersion)
	if err != nil {
		return failure(types.ErrIncompatibleCNIVersion, err.Error(),
			"set cniVersion of the network configuration to one of "+strings.Join(Versions.SupportedVersions(), ", "))
	}
	if err := versioned.PrintTo(w); err != nil {
		return failure(types.ErrIOFailure, fmt.Sprintf("the result cannot be written to stdout: %v", err), "is whoever called the plugin still there, and its disk full?")
	}
	return nil
}

func everywhere() *net.IPNet {
	return &net.IPNet{IP: netip.IPv4Unspecified().AsSlice(), Mask: net.CIDRMask(0, 32)}
}
