package mirror

import "context"

// Internal is a port of a bridge whose other end is a network device of the
// host.
type Internal struct {
	Name   string
	OFPort int // its OpenFlow port number, 1 to 65279; another one is refused
}

// EnsureInternal makes the internal port exist on the bridge as described and
// returns when ovs-vswitchd has given it p.OFPort. If it is so already nothing
// is written. Another number, or an error of ovs-vswitchd, is an error.
func (c *Client) EnsureInternal(ctx context.Context, bridge string, p Internal) error {
	return c.ensureFixed(ctx, bridge, fixedPort{what: "internal port", name: p.Name, kind: "internal", ofport: p.OFPort})
}
