package ovsdb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/cache"
)

// view reads the copy of the database. Rows are looked up by a scan, not by
// libovsdb's index: one update that deletes a name and adds it again can leave
// that index without it. Rows are shared: they must not be written.
type view struct{ cache *cache.TableCache }

func (v view) valid() bool { return v.cache != nil }

func rows[T any](v view, table string) map[string]*T {
	out := map[string]*T{}
	t := v.cache.Table(table)
	if t == nil {
		return out
	}
	for uuid, row := range t.RowsShallow() {
		out[uuid] = row.(*T)
	}
	return out
}

func first[T any](v view, table string, is func(*T) bool) *T {
	for _, row := range rows[T](v, table) {
		if is(row) {
			return row
		}
	}
	return nil
}

func (v view) root() *rootRow {
	return first(v, rootTable, func(*rootRow) bool { return true })
}

func (v view) bridge(name string) *bridgeRow {
	return first(v, bridgeTable, func(r *bridgeRow) bool { return r.Name == name })
}

func (v view) port(name string) *portRow {
	return first(v, portTable, func(r *portRow) bool { return r.Name == name })
}

func (v view) iface(name string) *interfaceRow {
	return first(v, interfaceTable, func(r *interfaceRow) bool { return r.Name == name })
}

// ours returns a bridge that some cell of ours owns.
func (v view) ours(bridge string) (*bridgeRow, error) {
	row := v.bridge(bridge)
	if row == nil {
		return nil, fmt.Errorf("%w: bridge %q: is weft-agent running, and is this the bridge that it is configured for?", ErrNoBridge, bridge)
	}
	if row.ExternalIDs[KeyOwner] == "" {
		return nil, fmt.Errorf("%w: bridge %q has no external_ids:%s", ErrForeignBridge, bridge, KeyOwner)
	}
	return row, nil
}

// Ports lists the container ports on the bridge that are ours, sorted by name.
func (c *Client) Ports(bridge string) ([]Port, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	b := v.bridge(bridge)
	if b == nil {
		return nil, fmt.Errorf("%w: bridge %q", ErrNoBridge, bridge)
	}
	ports, ifaces := rows[portRow](v, portTable), rows[interfaceRow](v, interfaceTable)
	var out []Port
	for _, uuid := range b.Ports {
		// A row that is not there (yet) arrives with a later change.
		if p := ports[uuid]; p != nil && len(p.Interfaces) == 1 {
			if i := ifaces[p.Interfaces[0]]; i != nil && isContainer(i) {
				container := portOf(i)
				container.Limits = v.limits(p, i)
				out = append(out, container)
			}
		}
	}
	slices.SortFunc(out, func(a, b Port) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// isContainer tells a container's interface of ours from everything else.
func isContainer(i *interfaceRow) bool {
	return i.ExternalIDs[KeyOwner] == Owner && i.ExternalIDs[KeyContainer] != ""
}

// Status is what the database tells about the switch.
type Status struct {
	Connected       bool   // to ovsdb-server; if not, nothing below is set
	Bridge          bool   // the bridge exists
	Owner           string // the cell that owns it, "" if it is foreign
	DatapathType    string // "" or "system" for the kernel's, "netdev" for the userspace one
	DatapathID      string // 16 hex digits, "" until ovs-vswitchd has made the bridge
	CurCfg, NextCfg int    // ovs-vswitchd has caught up when they are equal
}

// Status reads the copy; it does no I/O.
func (c *Client) Status(bridge string) Status {
	v, err := c.view()
	if err != nil {
		return Status{}
	}
	s := Status{Connected: true}
	if root := v.root(); root != nil {
		s.CurCfg, s.NextCfg = root.CurCfg, root.NextCfg
	}
	if b := v.bridge(bridge); b != nil {
		s.Bridge, s.Owner = true, b.ExternalIDs[KeyOwner]
		s.DatapathType, s.DatapathID = b.DatapathType, deref(b.DatapathID)
	}
	return s
}
