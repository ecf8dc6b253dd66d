package mirror

import (
	"context"
	"net/netip"
	"strconv"
)

// Tunnel is the one flow-based VXLAN-GBP port of a bridge: the remote address
// and the VNI come from the flows.
type Tunnel struct {
	Name    string
	OFPort  int        // its OpenFlow port number, 1 to 65279; another one is refused
	UDPPort uint16     // destination port of VXLAN
	LocalIP netip.Addr // the cell's own VTEP; the zero Addr leaves the choice to routing
}

// options are those of a flow-based VXLAN port with the group policy extension
// (ovs-vswitchd.conf.db(5), "Tunnel Options").
func (t Tunnel) options() map[string]string {
	o := map[string]string{
		"remote_ip": "flow", "key": "flow", "exts": "gbp", "dst_port": strconv.Itoa(int(t.UDPPort)),
	}
	if t.LocalIP.IsValid() {
		o["local_ip"] = t.LocalIP.String()
	}
	return o
}

// EnsureTunnel makes the tunnel port exist on the bridge as described and
// returns when ovs-vswitchd has given it t.OFPort. If it is so already nothing
// is written. Another number, or an error of ovs-vswitchd, is an error.
func (c *Client) EnsureTunnel(ctx context.Context, bridge string, t Tunnel) error {
	return c.ensureFixed(ctx, bridge, fixedPort{what: "tunnel port", name: t.Name, kind: "vxlan", ofport: t.OFPort, options: t.options()})
}
