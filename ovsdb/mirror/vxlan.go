package mirror

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// defaultVXLANPort is the UDP port of a VXLAN interface without
// options:dst_port (ovs-vswitchd.conf.db(5)).
const defaultVXLANPort = "4789"

// VXLAN is a VXLAN interface of any bridge of this database, ours or not.
type VXLAN struct {
	Bridge  string
	Name    string
	UDPPort uint16 // destination port, on which it listens too
	GBP     bool   // it has the group policy extension
	OFPort  int    // 0 while ovs-vswitchd has not assigned one, -1 if it could not
	Error   string // ovs-vswitchd's, "" for none
}

// Works reports whether ovs-vswitchd has made the tunnel.
func (x VXLAN) Works() bool { return x.OFPort > 0 && x.Error == "" }

// VXLANs lists the VXLAN interfaces of all bridges, by bridge and name. It
// reads the copy and does no I/O.
func (c *Client) VXLANs() ([]VXLAN, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	ports, ifaces := rows[row.Port](v, row.PortTable), rows[row.Interface](v, row.InterfaceTable)
	var out []VXLAN
	for _, b := range rows[row.Bridge](v, row.BridgeTable) {
		for _, uuid := range b.Ports {
			p := ports[uuid]
			if p == nil {
				continue // it arrives with a later change
			}
			for _, uuid := range p.Interfaces {
				if i := ifaces[uuid]; i != nil && i.Type == "vxlan" {
					out = append(out, vxlanOf(b.Name, i))
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b VXLAN) int {
		return cmp.Or(strings.Compare(a.Bridge, b.Bridge), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

func vxlanOf(bridge string, i *row.Interface) VXLAN {
	port, err := strconv.ParseUint(cmp.Or(i.Options["dst_port"], defaultVXLANPort), 10, 16)
	if err != nil {
		port = 0 // which is nobody's, as ovs-vswitchd reads it too
	}
	return VXLAN{
		Bridge: bridge, Name: i.Name, UDPPort: uint16(port), GBP: slices.Contains(strings.Split(i.Options["exts"], ","), "gbp"),
		OFPort: row.Deref(i.OFPort), Error: row.Deref(i.Error),
	}
}
