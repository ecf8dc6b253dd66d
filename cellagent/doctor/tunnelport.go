package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// TunnelPort is who has, or wants, the UDP port of the cell's tunnel.
//
// Tried on Linux 6.18 and OVS 3.1: a VXLAN interface of the kernel that is up
// keeps OVS's GBP tunnel from its port, whatever its options are: with or
// without GBP, IPv6, bound to another address, or moved to another network
// namespace, since its socket stays where it was made. One that is down does
// not. A process keeps it out, too, on whatever address it listens. In OVS, a
// VXLAN interface with and one without GBP cannot have the same port; after a
// restart it is chance which of them ovs-vswitchd makes.
type TunnelPort struct {
	Made    bool           // the cell's own tunnel works
	Error   string         // of ovs-vswitchd, why it does not; "" if it said nothing
	Ports   []mirror.VXLAN // other interfaces of this OVSDB on it, without GBP
	Links   []Link
	Sockets []Socket
}

// Link is a VXLAN interface of the kernel that OVS did not make.
type Link struct {
	Name  string
	Holds bool // it has the port now; else it will want it when it is set up
}

// Socket has the UDP port, and belongs to none of Links.
type Socket struct {
	Address string // where it listens
	PID     int    // of its process, 0 if no process has it
	Process string
}

// LookTunnelPort looks who has the UDP port, or wants it. An error is
// ovsdb.ErrNotConnected, or the kernel's.
func LookTunnelPort(db *mirror.Client, cell Cell) (TunnelPort, error) {
	var t TunnelPort
	if db == nil {
		return t, ovsdb.ErrNotConnected
	}
	tunnels, err := db.VXLANs()
	if err != nil {
		return t, err
	}
	for _, x := range tunnels {
		switch {
		case x.Bridge == cell.Bridge && x.Name == cell.Tunnel:
			t.Made, t.Error = x.Works() && x.UDPPort == cell.UDPPort, x.Error
		case x.UDPPort == cell.UDPPort && !x.GBP:
			t.Ports = append(t.Ports, x)
		}
	}
	ofOVS := false
	if t.Links, ofOVS, err = vxlanLinks(cell.UDPPort); err != nil || t.Made {
		return t, err // its own sockets have the port
	}
	explained := ofOVS
	for _, l := range t.Links {
		explained = explained || l.Holds
	}
	t.Sockets, err = socketsOn(cell.UDPPort, explained)
	return t, err
}

func lookTunnelPort(_ context.Context, from Sources, f *Facts) (err error) {
	if f.Cell.Userspace || f.Cell.UDPPort == 0 || !f.Switch.Connected {
		return nil
	}
	f.TunnelPort, err = LookTunnelPort(from.DB, f.Cell)
	if errors.Is(err, ovsdb.ErrNotConnected) {
		f.Switch.Connected, err = false, nil
	}
	return err
}

// rival is somebody who has the UDP port, or wants it.
type rival struct{ who, remedy string }

// rivals are other interfaces of this database and of the kernel: all, or those
// that have the port now, not only when they are set up next.
func (t TunnelPort) rivals(counts func(Link) bool) (all []rival) {
	for _, x := range t.Ports {
		all = append(all, rival{
			fmt.Sprintf("port %s of bridge %s (a VXLAN without group policy)", x.Name, x.Bridge),
			fmt.Sprintf("ovs-vsctl del-port %s %s, or give it another options:dst_port", x.Bridge, x.Name),
		})
	}
	for _, l := range t.Links {
		if counts(l) {
			all = append(all, rival{"the kernel's VXLAN interface " + l.Name, "ip link del " + l.Name})
		}
	}
	return all
}

// joined are the two texts of several; "" of none.
func joined(all []rival, and string) (by, remedy string) {
	who, what := make([]string, len(all)), make([]string, len(all))
	for i, r := range all {
		who[i], what[i] = r.who, r.remedy
	}
	return strings.Join(who, and), strings.Join(what, "; ")
}

// Taken says who keeps the cell's tunnel from its UDP port, and what to do; ""
// if nobody does.
func (t TunnelPort) Taken() (by, remedy string) {
	if t.Made {
		return "", ""
	}
	all := t.rivals(func(l Link) bool { return l.Holds })
	for _, s := range t.Sockets {
		if s.PID == 0 {
			all = append(all, rival{"a tunnel of the kernel whose interface is in another network namespace", "docker's overlay networks have such: docker network ls"})
			continue
		}
		all = append(all, rival{fmt.Sprintf("process %s (pid %d), which listens on %s", s.Process, s.PID, s.Address), "stop " + s.Process})
	}
	if len(all) == 0 {
		return "", ""
	}
	by, remedy = joined(all, " and to ")
	return by, remedy + "; or set another vxlan_port in the controller's file, for all cells"
}

// wanted says who will want the port, of those that do not keep the tunnel from
// it now.
func (t TunnelPort) wanted() (by, remedy string) {
	return joined(t.rivals(func(Link) bool { return true }), " and ")
}

func judgeTunnelPort(f Facts) []api.Finding {
	t, port := f.TunnelPort, f.Cell.UDPPort
	switch {
	case f.Cell.Userspace:
		return []api.Finding{fine(TunnelUDPPort, "there is no tunnel: the cell is alone")}
	case port == 0:
		return []api.Finding{warning(TunnelUDPPort, "weft-agent status tells why there is no lease", "not known: the controller has leased the cell nothing yet")}
	case !f.Switch.Connected:
		return []api.Finding{warning(TunnelUDPPort, "systemctl status openvswitch-switch", "not known: ovsdb-server does not answer")}
	}
	if by, remedy := t.Taken(); by != "" {
		return []api.Finding{failure(TunnelUDPPort, remedy, "UDP %d belongs to %s: the cell has no tunnel", port, by)}
	}
	if s := f.Switch; !s.Bridge || s.Owner != f.Cell.Name || s.DatapathID == "" || s.DatapathType == ovsdb.DatapathUserspace {
		return []api.Finding{warning(TunnelUDPPort, "see to the finding on datapath first", "not known: bridge %s, on which the tunnel is to be, is not as the cell needs it", f.Cell.Bridge)}
	}
	if !t.Made {
		reason := ""
		if t.Error != "" {
			reason = ": ovs-vswitchd says " + t.Error
		}
		return []api.Finding{failure(TunnelUDPPort, "weft-agent status tells why", "UDP %d is nobody's, and yet the cell's tunnel is not there%s", port, reason)}
	}
	if by, remedy := t.wanted(); by != "" {
		return []api.Finding{warning(TunnelUDPPort, remedy, "the cell's tunnel has UDP %d, but %s wants it, too: who gets it when ovs-vswitchd or the host starts again is chance", port, by)}
	}
	return []api.Finding{fine(TunnelUDPPort, "the cell's tunnel alone has UDP %d", port)}
}
