package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/containernetworking/cni/pkg/types"
)

// Lease is what the cell's agent tells the plugin in the subnet file.
type Lease struct {
	Cell   string
	Subnet netip.Prefix // IPv4, /8 to /30
	MTU    int          // of containers, bytes: the underlay's less the tunnel's overhead
}

// ReadLease reads the subnet file. It is absent until the agent has a lease.
func ReadLease(path string) (Lease, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Lease{}, failure(types.ErrTryAgainLater,
			fmt.Sprintf("cell has no lease yet: is weft-agent running? (subnet file %s does not exist)", path),
			"start weft-agent and see that it reaches its controller; or correct subnetFile")
	}
	if err != nil {
		return Lease{}, failure(CodeLease, fmt.Sprintf("subnet file %s: %v", path, err), "")
	}
	lease, err := parseLease(text)
	if err != nil {
		return Lease{}, failure(CodeLease, fmt.Sprintf("subnet file %s: %v", path, err),
			"weft-agent writes this file: remove it and restart weft-agent")
	}
	return lease, nil
}

func parseLease(text []byte) (Lease, error) {
	var file struct {
		Cell   string `json:"cell"`
		Subnet string `json:"subnet"`
		MTU    int    `json:"mtu"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Lease{}, fmt.Errorf("not the JSON that it should be: %w", err)
	}
	subnet, err := netip.ParsePrefix(file.Subnet)
	switch {
	case err != nil:
		return Lease{}, fmt.Errorf("subnet %q: %w", file.Subnet, err)
	case !subnet.Addr().Is4() || subnet.Bits() < 8 || subnet.Bits() > 30:
		return Lease{}, fmt.Errorf("subnet %q: must be IPv4, /8 to /30", file.Subnet)
	case subnet != subnet.Masked():
		return Lease{}, fmt.Errorf("subnet %q: must be the network's address, %s", file.Subnet, subnet.Masked())
	case file.MTU < minMTU || file.MTU > maxMTU:
		return Lease{}, fmt.Errorf("mtu %d: must be %d to %d", file.MTU, minMTU, maxMTU)
	}
	return Lease{Cell: file.Cell, Subnet: subnet, MTU: file.MTU}, nil
}
