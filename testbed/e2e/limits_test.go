package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// A container's bandwidth is limited to what the runtime says, each way, and
// nobody else's is.
func TestBandwidth(t *testing.T) {
	bed := bed(t)
	const mbits = 8
	limited := bed.Cell(1).RunWith("limited", testbed.Wants{Mbits: mbits})
	free, far := bed.Cell(1).Run("free"), bed.Cell(2).Run("far")
	for _, pair := range [][2]*testbed.Container{{limited, far}, {far, limited}, {free, far}} {
		bed.Allow(pair[0], pair[1], "tcp/8080")
	}
	out, in, other := limited.Throughput(far, "tcp/8080"), far.Throughput(limited, "tcp/8080"), free.Throughput(far, "tcp/8080")
	fmt.Fprintf(os.Stderr, "limit of %d Mbit/s: %.1f out, %.1f in; without a limit %.1f\n", mbits, out, in, other)
	for way, got := range map[string]float64{"out": out, "in": in} {
		// The burst of a second's worth comes on top; policing makes TCP stumble.
		if got > 2*mbits || got < mbits/8.0 {
			t.Errorf("%s: %.1f Mbit/s, want about %d", way, got, mbits)
		}
	}
	if other < 3*mbits {
		t.Errorf("without a limit: %.1f Mbit/s, hardly more than with one", other)
	}
}

// New connections out of the overlay are limited per container and
// destination; what is beyond is refused and logged. A dry run only logs.
func TestOutboundConnectionLimit(t *testing.T) {
	bed := bed(t)
	outside := bed.Outside()
	outside.Serve("tcp/8080")
	outside.Serve("tcp/8081")
	const tries = 40 // the bed's limit is 5 a second and 10 at once
	open := testbed.Wants{Egress: "tcp 172.31.0.240 8080-8081"}
	attempts := func(c *testbed.Container, what string) (connected, refused int) {
		c.Ask(outside.Port(what), what)
		for range tries {
			switch got := c.Ask(outside.Port(what), what); got.Outcome {
			case testbed.Connected:
				connected++
			case testbed.Refused:
				refused++
			default:
				t.Errorf("%s: %v, want connected or refused", c.ID, got)
			}
		}
		return connected, refused
	}

	limited, other, dry := bed.Cell(3).RunWith("limited", open), bed.Cell(3).RunWith("other", open), bed.Cell(2).RunWith("dry", open)
	start := time.Now()
	connected, refused := attempts(limited, "tcp/8080")
	if most := 12 + int(5*time.Since(start).Seconds()); connected < 8 || connected > most || refused == 0 {
		t.Errorf("limited: %d connected and %d refused in %s, want about 10 connected and at most %d", connected, refused, time.Since(start), most)
	}
	bed.Reaches(limited, outside, "tcp/8081") // another destination
	bed.Reaches(other, outside, "tcp/8080")   // another container
	which := testbed.Event{Direction: "egress", Verdict: "limited", Reason: "outbound_connections", DestinationIP: outside.IP.String(), DestinationPort: 8080}
	mine := which
	mine.SourceApp = limited.App
	bed.Cell(3).AwaitLog(mine)

	if connected, refused := attempts(dry, "tcp/8080"); refused > 0 {
		t.Errorf("dry run: %d connected and %d refused, want all connected", connected, refused)
	}
	mine = which
	mine.SourceApp, mine.DryRun = dry.App, true
	bed.Cell(2).AwaitLog(mine)
}
