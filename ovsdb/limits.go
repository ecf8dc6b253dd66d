package ovsdb

import (
	"context"
	"fmt"
	"strconv"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// Limit bounds what a container sends or receives. The zero value does not.
type Limit struct {
	RateKbps uint32 // kbit/s, 1 kbit = 1000 bits; 0: no limit; at most MaxLimit
	BurstKb  uint32 // kbit that may come at once after a silence; at most MaxLimit
}

// MaxLimit is the highest rate and burst, in kbit: Open vSwitch counts bytes
// in 32 bits.
const MaxLimit = 1<<32*8/1000 - 1

const (
	// maxBurst is how long a burst may last at the rate, in seconds: the kernel
	// counts them in 32 bits of 64 ns, OVS takes a kbit for 1024 bits where it
	// polices, and what does not fit wraps around to next to nothing.
	maxBurst = 260
	// minPolice is the least burst from a container, in kbit. A container sends
	// segments of up to 64 KiB, 524 kbit, for the kernel to cut: one that is
	// larger than the burst would never pass. minPoliceRate fills it in maxBurst.
	minPolice     = 1000
	minPoliceRate = 4
)

// Limits are those of one container. The zero value limits nothing.
//
// What it receives is shaped by a linux-htb queue of its Port: packets above
// the rate wait. What it sends is policed on its Interface: packets above the
// rate are lost, which is all that can be done to packets that have arrived.
type Limits struct {
	In  Limit // to the container
	Out Limit // from the container
}

// String is for people: to it 10000 kbit/s, burst 2000 kbit; from it no limit.
func (l Limits) String() string { return "to it " + l.In.String() + "; from it " + l.Out.String() }

// String is for people: 10000 kbit/s, burst 2000 kbit.
func (l Limit) String() string {
	if l.RateKbps == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%d kbit/s, burst %d kbit", l.RateKbps, l.BurstKb)
}

// Possible returns the limits as the kernel can keep them. A burst that would
// last longer than 260 s at its rate is cut to that. From the container the rate
// is at least 4 kbit/s and the burst at least 1000 kbit.
func (l Limits) Possible() Limits {
	if l.Out.RateKbps != 0 {
		l.Out.RateKbps, l.Out.BurstKb = max(l.Out.RateKbps, minPoliceRate), max(l.Out.BurstKb, minPolice)
	}
	return Limits{In: l.In.cut(), Out: l.Out.cut()}
}

func (l Limit) cut() Limit {
	l.BurstKb = uint32(min(uint64(l.BurstKb), maxBurst*uint64(l.RateKbps)))
	return l
}

// htb is the type of QoS that OVS makes with the kernel's queue of that name.
const htb = "linux-htb"

// Names of rows within the transaction that adds a port.
const (
	newQoS   = "weft_qos"
	newQueue = "weft_queue"
)

// police is what limits the container's sending, for its Interface row.
func (l Limits) police(iface rfc7047.Row) {
	if out := l.Possible().Out; out.RateKbps != 0 {
		iface["ingress_policing_rate"], iface["ingress_policing_burst"] = int(out.RateKbps), int(out.BurstKb)
	}
}

// shape is what limits the container's receiving: rows of their own, to which
// its Port row refers. Those tables have no garbage collection, so that the
// rows say whose they are, for sweep.
func (l Limits) shape(port rfc7047.Row, name string) []rfc7047.Operation {
	in := l.Possible().In
	if in.RateKbps == 0 {
		return nil
	}
	port["qos"] = uuidSet(newQoS)
	owner, rate := stringMap(map[string]string{KeyOwner: Owner, KeyPort: name}), kilo(in.RateKbps)
	// Queue 0 takes all that no flow puts elsewhere. It keeps to the rate by
	// itself (min-rate): what it borrows of the whole has no burst.
	return []rfc7047.Operation{
		insert(queueTable, newQueue, rfc7047.Row{"external_ids": owner, "other_config": stringMap(map[string]string{
			"min-rate": rate, "max-rate": rate, "burst": kilo(in.BurstKb),
		})}),
		insert(qosTable, newQoS, rfc7047.Row{"type": htb, "external_ids": owner,
			"other_config": stringMap(map[string]string{"max-rate": rate}),
			"queues":       rfc7047.OvsMap{GoMap: map[any]any{0: rfc7047.UUID{GoUUID: newQueue}}},
		}),
	}
}

func kilo(n uint32) string { return strconv.FormatUint(uint64(n)*1000, 10) }

// limits is the inverse of police and shape, for rows that may hold anything.
func (v view) limits(p *portRow, i *interfaceRow) Limits {
	out := Limit{RateKbps: uint32(i.PolicingRate), BurstKb: uint32(i.PolicingBurst)}
	if out.RateKbps == 0 {
		out = Limit{}
	}
	qos := rows[qosRow](v, qosTable)[deref(p.QoS)]
	if qos == nil || qos.Type != htb {
		return Limits{Out: out}
	}
	in := Limit{RateKbps: kilos(qos.OtherConfig["max-rate"])}
	if queue := rows[queueRow](v, queueTable)[qos.Queues[0]]; queue != nil {
		in.BurstKb = kilos(queue.OtherConfig["burst"])
	}
	return Limits{In: in, Out: out}
}

func kilos(bits string) uint32 {
	n, _ := strconv.ParseUint(bits, 10, 64) // anything else: no limit
	return uint32(n / 1000)
}

// sweep deletes the rows that limited ports which somebody else has deleted. It
// may take a port that is just appearing in the copy for gone; then the server
// refuses, and the rows that it should have taken wait for the next sweep.
func (c *Client) sweep(ctx context.Context) {
	if v, err := c.view(); err == nil {
		if ops := v.orphans(); len(ops) != 0 {
			_, _ = c.transact(ctx, "delete what limited ports that are gone", ops...)
		}
	}
}

// orphans deletes the rows of ours whose port is gone.
func (v view) orphans() []rfc7047.Operation {
	return v.unused(rows[qosRow](v, qosTable), rows[queueRow](v, queueTable), "")
}

// unshape deletes the rows of ours that shape this port and nothing else.
func (v view) unshape(port *portRow) []rfc7047.Operation {
	qos := rows[qosRow](v, qosTable)[deref(port.QoS)]
	if qos == nil {
		return nil
	}
	queues, all := map[string]*queueRow{}, rows[queueRow](v, queueTable)
	for _, uuid := range qos.Queues {
		if queue := all[uuid]; queue != nil {
			queues[uuid] = queue
		}
	}
	// The server looks at references before it collects the Port row.
	return append(v.unused(map[string]*qosRow{qos.UUID: qos}, queues, port.UUID),
		update(portTable, port.UUID, rfc7047.Row{"qos": rfc7047.OvsSet{GoSet: []any{}}}))
}

// unused deletes those of the rows that are ours and to which nothing refers
// but the port given: while something does the server refuses to.
func (v view) unused(qos map[string]*qosRow, queues map[string]*queueRow, port string) []rfc7047.Operation {
	inUse := map[string]bool{}
	for uuid, p := range rows[portRow](v, portTable) {
		inUse[deref(p.QoS)] = inUse[deref(p.QoS)] || uuid != port
	}
	var ops []rfc7047.Operation
	gone := func(uuid string, ids map[string]string) bool { return ids[KeyOwner] == Owner && !inUse[uuid] }
	for uuid, row := range qos {
		if gone(uuid, row.ExternalIDs) {
			ops = append(ops, remove(qosTable, uuid))
		}
	}
	for uuid, row := range rows[qosRow](v, qosTable) {
		for _, queue := range row.Queues {
			inUse[queue] = inUse[queue] || qos[uuid] == nil || !gone(uuid, row.ExternalIDs)
		}
	}
	for uuid, row := range queues {
		if gone(uuid, row.ExternalIDs) {
			ops = append(ops, remove(queueTable, uuid))
		}
	}
	return ops
}

func remove(table, uuid string) rfc7047.Operation {
	return rfc7047.Operation{Op: rfc7047.OperationDelete, Table: table, Where: withUUID(uuid)}
}
