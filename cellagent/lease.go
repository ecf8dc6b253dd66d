package cellagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
)

// lease is the cell's part of the overlay, checked.
type lease struct {
	wire   api.Lease
	subnet netip.Prefix
	heard  time.Time // of the controller, the last time; zero: never, or by a release that did not note it
}

// expired says that the cell may have lost the lease meanwhile, and what to do.
func (l lease) expired(now time.Time) error {
	lasts := time.Duration(l.wire.ExpirySeconds) * time.Second
	if lasts == 0 || l.heard.IsZero() || now.Sub(l.heard) <= lasts {
		return nil
	}
	return fmt.Errorf("lease %v has expired: the controller was last heard of at %s, and leases last %v without it; containers that run keep what the switch allows them, but other cells may have forgotten this one, and may be given its subnet: connect the cell to its controller again, or drain it",
		l.subnet, l.heard.Format(time.RFC3339), lasts)
}

// same reports whether nothing of the lease has changed.
func (l lease) same(other lease) bool { return reflect.DeepEqual(l.wire, other.wire) }

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
	var saved savedLease
	if err := json.Unmarshal(text, &saved); err != nil {
		return lease{}, fmt.Errorf("read lease %s: %w", leaseFile(folder), err)
	}
	l, err := parseLease(saved.Lease, cell)
	l.heard = saved.Heard
	return l, err
}

// savedLease is the lease's file.
type savedLease struct {
	api.Lease
	Heard time.Time `json:"heard,omitzero"`
}

func saveLease(folder string, l lease) error {
	text, err := json.Marshal(savedLease{l.wire, l.heard})
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
func (l lease) accept(next lease, running int) error {
	if running == 0 || l.subnet == next.subnet {
		return nil
	}
	return fmt.Errorf("controller leases %v, but the lease of now, %v, has %s here: nothing is changed; restore the controller's database, or stop what runs and restart the agent",
		next.subnet, l.subnet, counted(running))
}

// running counts the containers that have an address of the lease, since the
// host was booted.
func (l lease) running(ports []ovsdb.Port, boot string) int {
	n := 0
	for _, p := range ports {
		if l.subnet.IsValid() && l.subnet.Contains(p.IP) && (p.BootID == "" || p.BootID == boot) {
			n++
		}
	}
	return n
}
