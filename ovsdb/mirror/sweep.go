package mirror

import (
	"context"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/internal/row"
)

// Sweep deletes the rows that limited ports which somebody else has deleted:
// their tables have no garbage collection. Without such rows it does no I/O. It
// may take a port that is just appearing in the copy for gone; then the server
// refuses, and the rows wait for the next time.
func (c *Client) Sweep(ctx context.Context) error {
	v, err := c.view()
	if err != nil {
		return err
	}
	ops := v.orphans()
	if len(ops) == 0 {
		return nil
	}
	_, err = c.transact(ctx, "delete what limited ports that are gone", ops...)
	return err
}

// orphans deletes the rows of ours to which nothing refers: while something
// does the server refuses to.
func (v view) orphans() []rfc7047.Operation {
	shapers, queues := rows[row.QoS](v, row.QoSTable), rows[row.Queue](v, row.QueueTable)
	if len(shapers)+len(queues) == 0 {
		return nil
	}
	inUse := map[string]bool{}
	for _, p := range rows[row.Port](v, row.PortTable) {
		inUse[row.Deref(p.QoS)] = true
	}
	var ops []rfc7047.Operation
	gone := func(uuid string, ids map[string]string) bool {
		return ids[ovsdb.KeyOwner] == ovsdb.Owner && !inUse[uuid]
	}
	for uuid, qos := range shapers {
		if gone(uuid, qos.ExternalIDs) {
			ops = append(ops, row.Delete(row.QoSTable, uuid))
			continue
		}
		for _, queue := range qos.Queues {
			inUse[queue] = true
		}
	}
	for uuid, queue := range queues {
		if gone(uuid, queue.ExternalIDs) {
			ops = append(ops, row.Delete(row.QueueTable, uuid))
		}
	}
	return ops
}
