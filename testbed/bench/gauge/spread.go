package gauge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Spread describes how long something took, in milliseconds, N times. The zero
// value: it was not measured.
type Spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"` // of few samples close to Max
	Min float64 `json:"min_ms"`
	Max float64 `json:"max_ms"`
}

// SpreadOf describes durations, in any order. Between two samples it
// interpolates.
func SpreadOf(samples []time.Duration) Spread {
	if len(samples) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := func(q float64) float64 {
		place := q * float64(len(sorted)-1)
		below := int(place)
		above := min(below+1, len(sorted)-1)
		return Milliseconds(sorted[below]) + (place-float64(below))*Milliseconds(sorted[above]-sorted[below])
	}
	return Spread{N: len(sorted), P50: at(0.5), P99: at(0.99), Min: at(0), Max: at(1)}
}

func (s Spread) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f (%d from %.2f to %.2f)", s.P50, s.P99, s.N, s.Min, s.Max)
}

// Milliseconds is a duration with its fraction.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Bounds say how often to sample: until there are Most, or at least Least and
// Budget is spent.
type Bounds struct {
	Least, Most int
	Budget      time.Duration
}

// Each calls step with 0, 1, 2 … within the bounds, until it fails.
func (b Bounds) Each(ctx context.Context, step func(i int) error) error {
	begin := time.Now()
	for i := 0; i < b.Most && (i < b.Least || time.Since(begin) < b.Budget); i++ {
		if err := errors.Join(context.Cause(ctx), step(i)); err != nil {
			return err
		}
	}
	return nil
}
