package weft

import (
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
)

// heard is how many bytes weft-agent's connections to the controller have
// received: what the kernel counts, headers left out.
func (w *Weft) heard() (uint64, error) {
	dir := fmt.Sprintf("/proc/%d/fd", w.agent.PID)
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	its := map[string]bool{}
	for _, file := range files {
		if target, err := os.Readlink(dir + "/" + file.Name()); err == nil { // else it has just been closed
			its[target] = true
		}
	}
	sockets, err := netlink.SocketDiagTCPInfo(netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("read the kernel's TCP counters: %w", err)
	}
	var sum uint64
	found := false
	for _, s := range sockets {
		at := fmt.Sprintf("%v:%d", s.InetDiagMsg.ID.Destination, s.InetDiagMsg.ID.DestinationPort)
		if s.TCPInfo != nil && its[fmt.Sprintf("socket:[%d]", s.InetDiagMsg.INode)] && strings.HasSuffix(at, w.controller.internal) {
			sum += s.TCPInfo.Bytes_received
			found = true
		}
	}
	if !found {
		return 0, fmt.Errorf("the agent has no connection to %s", w.controller.internal)
	}
	return sum, nil
}
