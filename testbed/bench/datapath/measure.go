package datapath

import (
	"fmt"

	"github.com/weft-sdn/weft/testbed"
)

// kind is one of the things that are measured.
type kind struct {
	name, unit   string
	lessIsBetter bool
	sample       func(pair) (float64, error)
}

var (
	throughput  = kind{name: "throughput", unit: "Mbit/s", sample: pair.throughput}
	connections = kind{name: "connections", unit: "1/s", sample: pair.connections}
	roundTrip   = kind{name: "round trip", unit: "µs", lessIsBetter: true, sample: pair.roundTrip}
)

// Options say how to measure.
type Options struct {
	Pairs   int                              // of samples per kind, at least 1
	Say     func(format string, args ...any) // told how it goes on
	Explain bool                             // tell the datapath's flows as well
}

// Measure runs everything on a bed of two cells or more, in the lab.
func Measure(bed *testbed.Bed, o Options) (Result, error) {
	// In this order: ip(8) mounts /run/netns over itself, and what was there
	// before could no longer be deleted.
	baseline, err := buildBaseline(bed.Dir())
	if err != nil {
		return Result{}, err
	}
	o.Say("two more cells are up, with hand-written flows")
	weft := buildWeft(bed)
	for _, p := range []pair{weft, baseline} {
		if err := p.serve(); err != nil {
			return Result{}, err
		}
	}
	r := Result{Pairs: o.Pairs}
	for _, m := range []struct {
		kind
		into *Comparison
	}{{throughput, &r.Throughput}, {connections, &r.CPS}, {roundTrip, &r.RTT}} {
		if *m.into, err = alternate(m.kind, weft, baseline, o); err != nil {
			return r, err
		}
		if !o.Explain {
			continue
		}
		if err := explain(m.name, weft, o.Say); err != nil {
			return r, err
		}
		if err := explain(m.name, baseline, o.Say); err != nil {
			return r, err
		}
	}
	r.Megaflows, err = countMegaflows(weft, baseline)
	o.Say("flows in the datapath for %d connections: %+v", r.Megaflows.Connections, r.Megaflows)
	return r, err
}

// alternate takes the samples of a kind: A B, B A, A B … after one of each
// that does not count.
func alternate(k kind, weft, baseline pair, o Options) (Comparison, error) {
	ours, theirs := make([]float64, o.Pairs), make([]float64, o.Pairs)
	for i := -1; i < o.Pairs; i++ {
		order := []pair{weft, baseline}
		if i%2 != 0 {
			order = []pair{baseline, weft}
		}
		for _, p := range order {
			value, err := k.sample(p)
			if err != nil {
				return Comparison{}, fmt.Errorf("measure %s: %w", k.name, err)
			}
			switch {
			case i < 0:
			case p.name == weft.name:
				ours[i] = value
			default:
				theirs[i] = value
			}
		}
		if i >= 0 {
			c := compare(k, ours[i:i+1], theirs[i:i+1])
			o.Say("%s %2d of %d: weft %8.1f %s, hand-written %8.1f %s, ratio %.3f",
				k.name, i+1, o.Pairs, ours[i], k.unit, theirs[i], k.unit, c.Ratio.Median)
		}
	}
	c := compare(k, ours, theirs)
	o.Say("%s: ratio %s", k.name, c.Ratio.format("%.3f"))
	return c, nil
}
