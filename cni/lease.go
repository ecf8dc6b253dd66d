package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// Lease is what the cell's agent tells the plugin in the subnet file.
type Lease struct {
	Cell   string
	Subnet netip.Prefix  // IPv4, /8 to /30
	MTU    int           // of containers, bytes: the underlay's less the tunnel's overhead
	Rest   time.Duration // for how long an address that is given back is nobody's
	Socket string        // that the agent listens on while it runs; "" if it does not say
}

// subnetFile is the file as the agent writes it.
type subnetFile struct {
	Cell    string `json:"cell"`
	Subnet  string `json:"subnet"`
	MTU     int    `json:"mtu"`
	RestMS  int64  `json:"address_rest_ms"`
	Socket  string `json:"socket"`
	Refuse  string `json:"refuse"`  // why the cell takes no containers now
	Limited bool   `json:"limited"` // and those that run may be cut off, too
}

// ReadLease reads the subnet file. It is absent until the agent has a lease. A
// cell that takes no containers says so there: then the error has the reason.
func ReadLease(path string) (Lease, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Lease{}, failure(types.ErrTryAgainLater,
			fmt.Sprintf("cell has no lease yet: is weft-agent running? (subnet file %s does not exist)", path),
			"start weft-agent and see that it reaches its controller (weft-agent status); or correct subnetFile")
	}
	if err != nil {
		return Lease{}, failure(CodeLease, fmt.Sprintf("subnet file %s: %v", path, err), "see that weft-cni may read it, or correct subnetFile in the network configuration")
	}
	var file subnetFile
	if err := json.Unmarshal(text, &file); err != nil {
		return Lease{}, broken(path, fmt.Errorf("not the JSON that it should be: %w", err))
	}
	if file.Refuse != "" {
		return Lease{}, file.refusal()
	}
	lease, err := file.lease()
	if err != nil {
		return Lease{}, broken(path, err)
	}
	return lease, nil
}

func broken(path string, err error) *types.Error {
	return failure(CodeLease, fmt.Sprintf("subnet file %s: %v", path, err), "weft-agent writes this file: remove it and restart weft-agent")
}

// refusal is the agent's reason. It may pass.
func (f subnetFile) refusal() *types.Error {
	code := types.ErrTryAgainLater
	if f.Limited {
		code = types.ErrLimitedConnectivity
	}
	return failure(code, fmt.Sprintf("cell %s takes no containers now: %s", f.Cell, f.Refuse), "weft-agent status and weft doctor on the cell say more")
}

func (f subnetFile) lease() (Lease, error) {
	subnet, err := netip.ParsePrefix(f.Subnet)
	switch {
	case err != nil:
		return Lease{}, fmt.Errorf("subnet %q: %w", f.Subnet, err)
	case !subnet.Addr().Is4() || subnet.Bits() < 8 || subnet.Bits() > 30:
		return Lease{}, fmt.Errorf("subnet %q: must be IPv4, /8 to /30", f.Subnet)
	case subnet != subnet.Masked():
		return Lease{}, fmt.Errorf("subnet %q: must be the network's address, %s", f.Subnet, subnet.Masked())
	case f.MTU < minMTU || f.MTU > maxMTU:
		return Lease{}, fmt.Errorf("mtu %d: must be %d to %d", f.MTU, minMTU, maxMTU)
	case f.RestMS < 0:
		return Lease{}, fmt.Errorf("address_rest_ms %d: must be 0 or more", f.RestMS)
	}
	return Lease{Cell: f.Cell, Subnet: subnet, MTU: f.MTU, Rest: time.Duration(f.RestMS) * time.Millisecond, Socket: f.Socket}, nil
}
