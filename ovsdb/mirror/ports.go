package mirror

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// ports is what Ports returned last. A row of the copy is never written, but
// replaced: what was read of it holds for as long as it is the same one.
type ports struct {
	mu     sync.Mutex
	bridge string
	read   map[string]readPort // by the port row's id
	list   []ovsdb.Port
}

// readPort is a container's port, and the rows that it was read from.
type readPort struct {
	port  *row.Port
	iface *row.Interface
	qos   *row.QoS
	queue *row.Queue
	is    ovsdb.Port
}

// Ports lists the container ports on the bridge that are ours, sorted by name.
// The caller must not write the list: while nothing has changed, it is the very
// same one.
func (c *Client) Ports(bridge string) ([]ovsdb.Port, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	b := v.bridge(bridge)
	if b == nil {
		return nil, fmt.Errorf("%w: bridge %q", ovsdb.ErrNoBridge, bridge)
	}
	c.ports.mu.Lock()
	defer c.ports.mu.Unlock()
	return c.ports.update(v, b), nil
}

// OtherOFPorts lists, in ascending order, the OpenFlow ports of the bridge that
// interfaces have which are no container's: the tunnel, and whatever people have
// put there.
func (c *Client) OtherOFPorts(bridge string) ([]int, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	b := v.bridge(bridge)
	if b == nil {
		return nil, fmt.Errorf("%w: bridge %q", ovsdb.ErrNoBridge, bridge)
	}
	rowsOf, ifaces := rows[row.Port](v, row.PortTable), rows[row.Interface](v, row.InterfaceTable)
	var others []int
	for _, uuid := range b.Ports {
		port := rowsOf[uuid]
		if port == nil {
			continue
		}
		for _, member := range port.Interfaces { // a bond has several
			if i := ifaces[member]; i != nil && !ovsdb.IsContainer(i) && row.Deref(i.OFPort) > 0 {
				others = append(others, *i.OFPort)
			}
		}
	}
	slices.Sort(others)
	return others, nil
}

// update reads what has changed.
func (p *ports) update(v view, b *row.Bridge) []ovsdb.Port {
	rowsOf, ifaces := rows[row.Port](v, row.PortTable), rows[row.Interface](v, row.InterfaceTable)
	qos, queues := rows[row.QoS](v, row.QoSTable), rows[row.Queue](v, row.QueueTable)
	now, same := make(map[string]readPort, len(p.read)), p.bridge == b.Name
	for _, uuid := range b.Ports {
		// A row that is not there (yet) arrives with a later change.
		r := readPort{port: rowsOf[uuid]}
		if r.port == nil || len(r.port.Interfaces) != 1 {
			continue
		}
		if r.iface = ifaces[r.port.Interfaces[0]]; r.iface == nil || !ovsdb.IsContainer(r.iface) {
			continue
		}
		if r.qos = qos[row.Deref(r.port.QoS)]; r.qos != nil {
			r.queue = queues[r.qos.Queues[0]]
		}
		if had, is := p.read[uuid]; is && had.port == r.port && had.iface == r.iface && had.qos == r.qos && had.queue == r.queue {
			r.is = had.is
		} else {
			r.is, same = ovsdb.PortOf(r.iface, ovsdb.LimitsOf(r.iface, r.qos, r.queue)), false
		}
		now[uuid] = r
	}
	if same && len(now) == len(p.read) {
		return p.list
	}
	list := make([]ovsdb.Port, 0, len(now))
	for _, r := range now {
		list = append(list, r.is)
	}
	slices.SortFunc(list, func(a, b ovsdb.Port) int { return strings.Compare(a.Name, b.Name) })
	p.bridge, p.read, p.list = b.Name, now, list
	return list
}
