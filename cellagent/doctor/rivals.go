package doctor

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"
)

// madeByOVS begins the names of the kernel's VXLAN interfaces behind OVS's
// tunnels: vxlan_sys_4789 serves all of them on that port.
const madeByOVS = "vxlan_sys_"

// vxlanLinks lists the kernel's VXLAN interfaces on a UDP port, and reports
// whether OVS has one, too.
func vxlanLinks(port uint16) (others []Link, ofOVS bool, err error) {
	links, err := netlinksafe.LinkList()
	if err != nil {
		return nil, false, fmt.Errorf("list interfaces: %w", err)
	}
	for _, link := range links {
		x, is := link.(*netlink.Vxlan)
		switch {
		case !is || x.Port != int(port):
		case strings.HasPrefix(x.Name, madeByOVS):
			ofOVS = true
		default:
			// One that takes its parameters from each packet, as OVS's does,
			// forbids another such before it is up.
			others = append(others, Link{Name: x.Name, Holds: x.Flags&net.FlagUp != 0 || (x.FlowBased && x.GBP)})
		}
	}
	return others, ofOVS, nil
}

// socketsOn lists the UDP sockets on a port that belong to a process, and
// unless they are explained, those that belong to none.
func socketsOn(port uint16, explained bool) ([]Socket, error) {
	addresses, err := inodesOn(port)
	if err != nil || len(addresses) == 0 {
		return nil, err
	}
	owners, err := ownersOf(addresses)
	if err != nil {
		return nil, err
	}
	still, err := inodesOn(port) // one that was closed meanwhile has no owner, either
	if err != nil {
		return nil, err
	}
	var sockets []Socket
	seen := map[int]bool{} // processes, and 0: one tunnel has a socket for each IP version
	byAddress := func(a, b string) int { return strings.Compare(still[a], still[b]) }
	for _, inode := range slices.SortedFunc(maps.Keys(still), byAddress) {
		owner := owners[inode]
		if owner.Address = still[inode]; !seen[owner.PID] && (owner.PID != 0 || !explained) {
			sockets = append(sockets, owner)
		}
		seen[owner.PID] = true
	}
	slices.SortFunc(sockets, func(a, b Socket) int { return a.PID - b.PID })
	return sockets, nil
}

// inodesOn returns the addresses of the UDP sockets on a port, by inode.
func inodesOn(port uint16) (map[string]string, error) {
	addresses := map[string]string{}
	for _, table := range []string{"udp", "udp6"} {
		text, err := os.ReadFile("/proc/thread-self/net/" + table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if local, inode, ok := parseSocket(line); ok && local.Port() == port {
				addresses[inode] = local.String()
			}
		}
	}
	return addresses, nil
}

// parseSocket reads a line of /proc/net/udp: the local address in words of the
// machine's byte order, and the socket's inode.
func parseSocket(line string) (local netip.AddrPort, inode string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return local, "", false
	}
	address, port, _ := strings.Cut(fields[1], ":")
	words, err := hex.DecodeString(address)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(words)%4 != 0 {
		return local, "", false // the heading
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(addr, uint16(number)), fields[9], ok
}

// ownersOf finds the processes that have sockets open. One that ends meanwhile
// has none.
func ownersOf(inodes map[string]string) (map[string]Socket, error) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	owners := map[string]Socket{}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue
		}
		folder := filepath.Join("/proc", process.Name(), "fd")
		open, err := os.ReadDir(folder)
		if err != nil {
			continue // gone, or not ours to see
		}
		for _, fd := range open {
			target, _ := os.Readlink(filepath.Join(folder, fd.Name()))
			inode, is := strings.CutPrefix(target, "socket:[")
			inode = strings.TrimSuffix(inode, "]")
			if _, wanted := inodes[inode]; is && wanted {
				name, _ := os.ReadFile(filepath.Join("/proc", process.Name(), "comm"))
				owners[inode] = Socket{PID: pid, Process: strings.TrimSpace(string(name))}
			}
		}
	}
	return owners, nil
}
