package cellagent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
)

// lease is the cell's part of the overlay, checked.
type lease struct {
	wire   api.Lease
	subnet netip.Prefix
}

// parseLease checks what the controller, or our own file, says.
func parseLease(wire api.Lease, cell string) (lease, error) {
	if wire.Cell != cell {
		return lease{}, fmt.Errorf("lease is for cell %q, not %q", wire.Cell, cell)
	}
	subnet, err := netip.ParsePrefix(wire.Subnet)
	if err != nil || !subnet.Addr().Is4() || subnet != subnet.Masked() {
		return lease{}, fmt.Errorf("lease: subnet %q is not an IPv4 network", wire.Subnet)
	}
	if wire.VNI == 0 || wire.VNI >= 1<<24 {
		return lease{}, fmt.Errorf("lease: vni %d is not 1 to 16777215", wire.VNI)
	}
	if wire.VXLANPort == 0 {
		return lease{}, errors.New("lease: vxlan_port is 0")
	}
	return lease{wire: wire, subnet: subnet}, nil
}

func leaseFile(folder string) string { return filepath.Join(folder, "lease.json") }

// loadLease reads the lease that the cell had; fs.ErrNotExist if it never had
// one.
func loadLease(folder, cell string) (lease, error) {
	text, err := os.ReadFile(leaseFile(folder))
	if err != nil {
		return lease{}, fmt.Errorf("read lease: %w", err)
	}
	var wire api.Lease
	if err := json.Unmarshal(text, &wire); err != nil {
		return lease{}, fmt.Errorf("read lease %s: %w", leaseFile(folder), err)
	}
	return parseLease(wire, cell)
}

func saveLease(folder string, l lease) error {
	text, err := json.Marshal(l.wire)
	if err == nil {
		err = writeFile(leaseFile(folder), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save lease: %w", err)
	}
	return nil
}

// accept decides whether a new lease may replace the old one: not while
// containers run in the old one, since their addresses would belong to nobody.
func (l lease) accept(next lease, ports []ovsdb.Port) error {
	if !l.subnet.IsValid() || l.subnet == next.subnet {
		return nil
	}
	running := 0
	for _, p := range ports {
		if l.subnet.Contains(p.IP) {
			running++
		}
	}
	if running > 0 {
		return fmt.Errorf("controller leases %v, but %d containers run here in %v: nothing is changed; restore the controller's database, or stop them and restart the agent",
			next.subnet, running, l.subnet)
	}
	return nil
}

// subnetFile is what weft-cni needs to attach a container.
type subnetFile struct {
	Cell   string `json:"cell"`
	Subnet string `json:"subnet"` // CIDR
	MTU    int    `json:"mtu"`    // of container interfaces, bytes
}

// writeSubnetFile tells weft-cni the lease, if it is not told already.
func writeSubnetFile(path string, content subnetFile) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("write subnet file: %w", err)
	}
	text = append(text, '\n')
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write subnet file: %w", err)
	}
	if err := writeFile(path, text); err != nil {
		return fmt.Errorf("write subnet file: %w", err)
	}
	return nil
}
