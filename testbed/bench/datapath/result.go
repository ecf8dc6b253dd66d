package datapath

import (
	"fmt"
	"slices"
)

// Result is everything that one run measured.
type Result struct {
	Pairs      int        `json:"pairs"` // of samples, per kind
	Wall       bool       `json:"wall"`  // not by the clock that counts instructions
	Throughput Comparison `json:"throughput"`
	CPS        Comparison `json:"cps"`
	RTT        Comparison `json:"rtt"`
	Megaflows  Megaflows  `json:"megaflows"`
}

// Comparison is one kind of sample through Weft and through the hand-written
// flows.
type Comparison struct {
	Unit     string `json:"unit"`
	Weft     Spread `json:"weft"`
	Baseline Spread `json:"baseline"`
	Ratio    Spread `json:"ratio"` // of neighbours in time; more is better for Weft
}

// Spread describes a sorted set of numbers.
type Spread struct {
	Min    float64 `json:"min"`
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
}

// Megaflows is how many flows a cell's datapath holds for the packets of
// one app pair, after many connections.
type Megaflows struct {
	Connections      int `json:"connections"`
	Sender           int `json:"sender"`   // the client's cell
	Receiver         int `json:"receiver"` // the server's cell
	BaselineSender   int `json:"baseline_sender"`
	BaselineReceiver int `json:"baseline_receiver"`
}

// Line is the result in one line, for programs: the medians of the ratios, and
// Weft's megaflows on both cells together.
func (r Result) Line() string {
	return fmt.Sprintf("throughput_ratio=%.3f cps_ratio=%.3f rtt_ratio=%.3f megaflows=%d",
		r.Throughput.Ratio.Median, r.CPS.Ratio.Median, r.RTT.Ratio.Median, r.Megaflows.Sender+r.Megaflows.Receiver)
}

func (s Spread) String() string {
	return fmt.Sprintf("%.3f (quartiles %.3f to %.3f, extremes %.3f to %.3f)", s.Median, s.Q1, s.Q3, s.Min, s.Max)
}

// compare makes the comparison of neighbouring samples: weft[i] and
// baseline[i] were measured one right after the other.
func compare(k kind, weft, baseline []float64) Comparison {
	ratios := make([]float64, len(weft))
	for i := range weft {
		ratios[i] = weft[i] / baseline[i]
		if k.lessIsBetter {
			ratios[i] = baseline[i] / weft[i]
		}
	}
	return Comparison{Unit: k.unit, Weft: spreadOf(weft), Baseline: spreadOf(baseline), Ratio: spreadOf(ratios)}
}

// spreadOf describes at least one number.
func spreadOf(numbers []float64) Spread {
	sorted := slices.Sorted(slices.Values(numbers))
	at := func(q float64) float64 { return quantile(sorted, q) }
	return Spread{Min: at(0), Q1: at(0.25), Median: at(0.5), Q3: at(0.75), Max: at(1)}
}

// quantile interpolates between the sorted numbers' neighbours; q is 0 to 1.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
