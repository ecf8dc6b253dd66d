package mirror

import (
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/cache"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// view reads the copy of the database. Rows are looked up by a scan, not by
// libovsdb's index: one row.Update that deletes a name and adds it again can leave
// that index without it. Rows are shared: they must not be written.
type view struct{ cache *cache.TableCache }

func (v view) valid() bool { return v.cache != nil }

func rows[T any](v view, table string) map[string]*T {
	out := map[string]*T{}
	t := v.cache.Table(table)
	if t == nil {
		return out
	}
	for uuid, each := range t.RowsShallow() {
		out[uuid] = each.(*T)
	}
	return out
}

func first[T any](v view, table string, is func(*T) bool) *T {
	for _, each := range rows[T](v, table) {
		if is(each) {
			return each
		}
	}
	return nil
}

func (v view) root() *row.Root {
	return first(v, row.RootTable, func(*row.Root) bool { return true })
}

func (v view) bridge(name string) *row.Bridge {
	return first(v, row.BridgeTable, func(r *row.Bridge) bool { return r.Name == name })
}

func (v view) port(name string) *row.Port {
	return first(v, row.PortTable, func(r *row.Port) bool { return r.Name == name })
}

func (v view) iface(name string) *row.Interface {
	return first(v, row.InterfaceTable, func(r *row.Interface) bool { return r.Name == name })
}

// ours returns a bridge that some cell of ours owns.
func (v view) ours(bridge string) (*row.Bridge, error) {
	b := v.bridge(bridge)
	if b == nil {
		return nil, fmt.Errorf("%w: bridge %q: is weft-agent running, and is this the bridge that it is configured for?", ovsdb.ErrNoBridge, bridge)
	}
	if b.ExternalIDs[ovsdb.KeyOwner] == "" {
		return nil, fmt.Errorf("%w: bridge %q has no external_ids:%s", ovsdb.ErrForeignBridge, bridge, ovsdb.KeyOwner)
	}
	return b, nil
}

// Status reads the copy; it does no I/O.
func (c *Client) Status(bridge string) ovsdb.Status {
	v, err := c.view()
	if err != nil {
		return ovsdb.Status{}
	}
	s := ovsdb.Status{Connected: true}
	if root := v.root(); root != nil {
		s.CurCfg, s.NextCfg = root.CurCfg, root.NextCfg
		s.FlowRestoreWait = root.OtherConfig[row.FlowRestoreWait] == "true"
	}
	if b := v.bridge(bridge); b != nil {
		s.Bridge, s.Owner = true, b.ExternalIDs[ovsdb.KeyOwner]
		s.DatapathType, s.DatapathID = b.DatapathType, row.Deref(b.DatapathID)
	}
	return s
}
