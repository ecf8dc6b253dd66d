package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/solo"
)

func TestMain(m *testing.M) { solo.Main(m) }

// samples are durations of one step, of which percentiles are reported: a mean
// hides what people notice.
type samples []time.Duration

// time adds how long step took.
func (s *samples) time(step func()) {
	start := time.Now()
	step()
	*s = append(*s, time.Since(start))
}

// report adds a metric such as "add-p50-ms" for each percentile.
func (s samples) report(b *testing.B, name string, percentiles ...int) {
	slices.Sort(s)
	for _, p := range percentiles {
		at := s[min(len(s)-1, len(s)*p/100)]
		b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, p))
	}
}
