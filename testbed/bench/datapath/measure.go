package datapath

import (
	"fmt"

	"github.com/weft-sdn/weft/testbed"
)

// kind is one of the things that are measured.
type kind struct {
	name, unit   string
	lessIsBetter bool
}

var (
	throughput  = kind{name: "throughput", unit: "Mbit/s"}
	connections = kind{name: "connections", unit: "1/s"}
	roundTrip   = kind{name: "round trip", unit: "µs", lessIsBetter: true}
)

// sides take a sample each.
type sides struct{ weft, baseline func() (float64, error) }

// Options say how to measure.
type Options struct {
	Pairs   int                              // of samples per kind, at least 1
	Say     func(format string, args ...any) // told how it goes on
	Explain bool                             // tell the datapath's flows as well
	Wall    bool                             // the time is the emulator's, not that of counted instructions
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
	r := Result{Pairs: o.Pairs, Wall: o.Wall}
	if r.Throughput, err = o.throughput(weft, baseline); err != nil {
		return r, err
	}
	if r.CPS, err = o.compare(connections, weft, baseline, sides{weft.connections, baseline.connections}); err != nil {
		return r, err
	}
	if r.RTT, err = o.compare(roundTrip, weft, baseline, sides{weft.roundTrip, baseline.roundTrip}); err != nil {
		return r, err
	}
	r.Megaflows, err = countMegaflows(weft, baseline)
	o.Say("flows in the datapath for %d connections: %+v", r.Megaflows.Connections, r.Megaflows)
	return r, err
}

// throughput compares a stream of each.
func (o Options) throughput(weft, baseline pair) (Comparison, error) {
	ours, err := startStream(weft)
	if err != nil {
		return Comparison{}, err
	}
	defer ours.end()
	theirs, err := startStream(baseline)
	if err != nil {
		return Comparison{}, err
	}
	defer theirs.end()
	return o.compare(throughput, weft, baseline, sides{ours.sample, theirs.sample})
}

// compare takes the samples and explains, if that is wanted, what the
// datapaths made of them.
func (o Options) compare(k kind, weft, baseline pair, s sides) (Comparison, error) {
	c, err := o.alternate(k, s)
	if err != nil || !o.Explain {
		return c, err
	}
	if err := explain(k.name, weft, o.Say); err != nil {
		return c, err
	}
	return c, explain(k.name, baseline, o.Say)
}

// alternate takes the samples of a kind: A B, B A, A B … after one of each
// that does not count.
func (o Options) alternate(k kind, s sides) (Comparison, error) {
	ours, theirs := make([]float64, o.Pairs+1), make([]float64, o.Pairs+1)
	for i := range ours {
		first, second := s.weft, s.baseline
		into := [2]*float64{&ours[i], &theirs[i]}
		if i%2 != 0 {
			first, second = second, first
			into[0], into[1] = into[1], into[0]
		}
		for j, sample := range []func() (float64, error){first, second} {
			var err error
			if *into[j], err = sample(); err != nil {
				return Comparison{}, fmt.Errorf("measure %s: %w", k.name, err)
			}
		}
		if i > 0 && i%progressEvery == 0 {
			c := compare(k, ours[1:i+1], theirs[1:i+1])
			o.Say("%s, %d of %d: weft %.0f %s, hand-written %.0f %s, ratio %.3f",
				k.name, i, o.Pairs, c.Weft.Median, k.unit, c.Baseline.Median, k.unit, c.Ratio.Median)
		}
	}
	c := compare(k, ours[1:], theirs[1:])
	o.Say("%s: ratio %s", k.name, c.Ratio)
	return c, nil
}

// progressEvery is after how many pairs of samples we tell how it goes.
const progressEvery = 20
