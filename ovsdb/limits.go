package ovsdb

import (
	"fmt"
	"strconv"

	rfc7047 "github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/ovsdb/internal/row"
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
	port["qos"] = row.UUIDSet(newQoS)
	owner, rate := row.StringMap(map[string]string{KeyOwner: Owner, KeyPort: name}), kilo(in.RateKbps)
	// Queue 0 takes all that no flow puts elsewhere. It keeps to the rate by
	// itself (min-rate): what it borrows of the whole has no burst.
	return []rfc7047.Operation{
		row.Insert(row.QueueTable, newQueue, rfc7047.Row{"external_ids": owner, "other_config": row.StringMap(map[string]string{
			"min-rate": rate, "max-rate": rate, "burst": kilo(in.BurstKb),
		})}),
		row.Insert(row.QoSTable, newQoS, rfc7047.Row{"type": htb, "external_ids": owner,
			"other_config": row.StringMap(map[string]string{"max-rate": rate}),
			"queues":       rfc7047.OvsMap{GoMap: map[any]any{0: rfc7047.UUID{GoUUID: newQueue}}},
		}),
	}
}

func kilo(n uint32) string { return strconv.FormatUint(uint64(n)*1000, 10) }

// LimitsOf is the inverse of police and shape, for rows that may hold anything.
// qos is nil for a port without, and its queue nil where it has none.
func LimitsOf(i *row.Interface, qos *row.QoS, queue *row.Queue) Limits {
	out := Limit{RateKbps: uint32(i.PolicingRate), BurstKb: uint32(i.PolicingBurst)}
	if out.RateKbps == 0 {
		out = Limit{}
	}
	if qos == nil || qos.Type != htb {
		return Limits{Out: out}
	}
	in := Limit{RateKbps: kilos(qos.OtherConfig["max-rate"])}
	if queue != nil {
		in.BurstKb = kilos(queue.OtherConfig["burst"])
	}
	return Limits{In: in, Out: out}
}

func kilos(bits string) uint32 {
	n, _ := strconv.ParseUint(bits, 10, 64) // anything else: no limit
	return uint32(n / 1000)
}
