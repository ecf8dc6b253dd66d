package cni

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/disk"

	"github.com/weft-sdn/weft/ovsdb"
)

// store is a folder of reservations, as CNI's host-local has it and its
// allocator uses it, with what that lacks:
//
//	10.255.1.5                            who has it: container, interface, network
//	owners/c9f2a1b3c4d5e -> 10.255.1.5    the same, found without reading all others
//	resting/10.255.1.4                    who had it, until the file's time
//	boot                                  of the kernel: no container outlives it
//	last_reserved_ip.0, lock              host-local's
//
// Each change is one that a crash leaves done or not done: a name appears with
// its whole text, and a reservation is one name. It is locked by whoever changes
// or lists it; the kernel frees the lock with the process.
type store struct {
	*disk.FileLock
	dir        string
	network    string        // of what is reserved
	rest       time.Duration // for which nobody gets an address that was given back
	wanted     bool          // the address was asked for by name: its last owner may have it back at once
	ignoreRest bool          // an address that rests may be given out like any other
}

const (
	owners    = "owners"
	resting   = "resting"
	unlinked  = ".new" // a reservation in the making; of nobody after a crash
	bootFile  = "boot"
	lastFile  = "last_reserved_ip."
	lineBreak = disk.LineBreak
)

// openStore opens the folder, and makes it. The caller closes it.
func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, inner := range []string{owners, resting} {
		_ = os.Mkdir(filepath.Join(dir, inner), 0o755) // who reserves notices; who releases must be able to with a full disk
	}
	lock, err := disk.NewFileLock(dir)
	if err != nil {
		return nil, err
	}
	return &store{FileLock: lock, dir: dir}, nil
}

func (s *store) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

func (s *store) owner(container, ifName string) string {
	return s.path(owners, hostName(container, ifName))
}

// Reserve gives an address to a container's interface, unless it is somebody's
// or rests.
func (s *store) Reserve(container, ifName string, ip net.IP, rangeID string) (bool, error) {
	address := ip.String()
	if r, held := s.holder(container, ifName); held {
		return false, r.refuses(container, ifName)
	}
	if _, err := os.Lstat(s.path(address)); err == nil || s.rests(address, container) {
		return false, nil
	}
	text := strings.Join([]string{container, ifName, s.network}, lineBreak)
	if err := os.WriteFile(s.path(unlinked), []byte(text), 0o600); err != nil {
		return false, errors.Join(err, remove(s.path(unlinked)))
	}
	owner := s.owner(container, ifName)
	if err := os.Remove(owner); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a reservation that is gone
		return false, err
	}
	err := os.Symlink(address, owner)
	if err == nil {
		err = os.Rename(s.path(unlinked), s.path(address))
	}
	if err == nil {
		err = os.WriteFile(s.path(lastFile+rangeID), []byte(address), 0o600)
	}
	if err != nil {
		return false, errors.Join(err, remove(s.path(address)), remove(owner))
	}
	return true, remove(s.path(resting, address))
}

// LastReservedIP returns what was given out last: the allocator goes on from it.
func (s *store) LastReservedIP(rangeID string) (net.IP, error) {
	text, err := os.ReadFile(s.path(lastFile + rangeID))
	return net.ParseIP(string(text)), err
}

// GetByID returns the address that the interface has, if any.
func (s *store) GetByID(container, ifName string) []net.IP {
	if r, held := s.holder(container, ifName); held && r.is(container, ifName) {
		return []net.IP{r.ip.AsSlice()}
	}
	return nil
}

// ReleaseByID gives back whatever the interface has, also what a version
// reserved that had no owners.
func (s *store) ReleaseByID(container, ifName string) error {
	var faults []error
	for _, r := range s.of(container, ifName) {
		faults = append(faults, s.release(r.ip.String()))
	}
	if _, held := s.holder(container, ifName); !held {
		faults = append(faults, remove(s.owner(container, ifName)))
	}
	return errors.Join(append(faults, remove(s.path(unlinked)))...)
}

// of lists the reservations of an interface.
func (s *store) of(container, ifName string) []reservation {
	for _, ip := range s.GetByID(container, ifName) {
		if r, err := s.read(ip.String()); err == nil {
			return []reservation{r}
		}
	}
	all, _ := s.all() // what cannot be read is nobody's
	return slices.DeleteFunc(all, func(r reservation) bool { return !r.is(container, ifName) })
}

// release lets an address rest. It may not be kept for want of room for its rest.
func (s *store) release(address string) error {
	now := time.Now()
	_ = os.Chtimes(s.path(address), now, now) // else it rests from when it was reserved
	if os.Rename(s.path(address), s.path(resting, address)) == nil {
		return nil
	}
	return remove(s.path(address))
}

// reservation is an address and who has it. What a version wrote that kept no
// network has none.
type reservation struct {
	ip                         netip.Addr
	container, ifName, network string
}

func (s *store) read(address string) (reservation, error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return reservation{}, err
	}
	text, err := os.ReadFile(s.path(address))
	if err != nil {
		return reservation{}, err
	}
	lines := append(strings.Split(strings.TrimSpace(string(text)), lineBreak), "", "")
	return reservation{ip, lines[0], lines[1], lines[2]}, nil
}

// all lists every reservation.
func (s *store) all() ([]reservation, error) {
	entries, err := os.ReadDir(s.dir)
	var list []reservation
	for _, e := range entries {
		if r, err := s.read(e.Name()); err == nil {
			list = append(list, r)
		}
	}
	return list, err
}

// begin forgets what was reserved before the kernel was booted: its containers
// are gone, whoever was to remove them.
func (s *store) begin() error {
	boot, err := ovsdb.BootID()
	if err != nil {
		return fmt.Errorf("the kernel's boot id: %w", err)
	}
	text, err := os.ReadFile(s.path(bootFile))
	switch {
	case err == nil && string(text) == boot:
		return nil
	case err == nil:
		if err := s.forget(); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.WriteFile(s.path(unlinked), []byte(boot), 0o600); err != nil {
		return err
	}
	return os.Rename(s.path(unlinked), s.path(bootFile))
}

func (s *store) forget() error {
	all, err := s.all()
	faults := []error{err}
	for _, r := range all {
		faults = append(faults, remove(s.path(r.ip.String())))
	}
	for _, folder := range []string{owners, resting} {
		entries, err := os.ReadDir(s.path(folder))
		faults = append(faults, err)
		for _, e := range entries {
			faults = append(faults, remove(s.path(folder, e.Name())))
		}
	}
	return errors.Join(faults...)
}

// remove is os.Remove where it is no error that there is nothing.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
