package e2e

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// Who is denied is told so at once, on one cell and across cells, on tcp and
// on udp; and the log of the receiver's cell names both apps, the sender's by
// its group id, which is all that its cell sends.
func TestDenialIsToldAndLogged(t *testing.T) {
	bed := bed(t)
	far, near, dogs := bed.Cell(1).Run("cats"), bed.Cell(2).Run("cats"), bed.Cell(2).Run("dogs")
	bed.Allow(far, dogs, "tcp/9999") // so that cats have a group id
	for _, cats := range []*testbed.Container{far, near} {
		for _, what := range []string{"tcp/8080", "udp/8080"} {
			var took []time.Duration
			for range 15 {
				took = append(took, bed.Refused(cats, dogs, what))
			}
			slices.Sort(took)
			fmt.Fprintf(os.Stderr, "%s on %s, denied on %s: refused after %.1f ms in the median, %.1f ms at most\n",
				cats.ID, cats.Cell.Name(), what, ms(took[len(took)/2]), ms(took[len(took)-1]))
		}
		e := bed.Cell(2).AwaitLog(testbed.Event{Cell: "cell-2", Direction: "ingress", Verdict: "denied", Reason: "policy", Table: "policy",
			Protocol: "tcp", SourceIP: cats.IP.String(), DestinationIP: dogs.IP.String(), DestinationPort: 8080,
			SourceApp: cats.App, SourceGroup: bed.Group(cats), DestinationApp: dogs.App, DestinationGroup: bed.Group(dogs), DestinationContainer: dogs.ID})
		if wantLocal := cats.Cell.Name() == "cell-2"; (e.SourceContainer == cats.ID) != wantLocal {
			t.Errorf("the sender's container is logged as %q, known here: %v", e.SourceContainer, wantLocal)
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// The log has a line a second of a container that is denied much more often,
// and says how many it has left out.
func TestDenialsAreLoggedInModeration(t *testing.T) {
	bed := bed(t)
	cats, dogs := bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs")
	bed.Allow(cats, dogs, "tcp/9999")
	start := time.Now()
	for range 40 {
		cats.SendRaw(cats.Datagram(dogs, 8080))
	}
	which := testbed.Event{Verdict: "denied", SourceIP: cats.IP.String(), DestinationIP: dogs.IP.String()}
	bed.Cell(2).AwaitLog(which)
	err := bed.Eventually(func() error {
		time.Sleep(300 * time.Millisecond) // until the next line may come
		cats.SendRaw(cats.Datagram(dogs, 8080))
		var left uint64
		for _, e := range bed.Cell(2).FlowLog(which) {
			left += e.Suppressed
		}
		if left == 0 {
			return fmt.Errorf("no line says that others were left out")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got, most := len(bed.Cell(2).FlowLog(which)), 2+int(time.Since(start).Seconds()); got > most {
		t.Errorf("%d lines in %s, want at most %d", got, time.Since(start), most)
	}
}

// A container that is denied all the time takes neither answers nor log lines
// from others, of its own cell or another's.
func TestNoisyContainerMutesNobody(t *testing.T) {
	bed := bed(t)
	noisy, dogs := bed.Cell(1).Run("noisy"), bed.Cell(2).Run("dogs")
	near, far := bed.Cell(1).Run("near"), bed.Cell(3).Run("far")
	stop := noisy.Flood(dogs, "udp/7000")
	for _, quiet := range []*testbed.Container{near, far} {
		for _, what := range []string{"tcp/8080", "udp/8080"} {
			bed.Refused(quiet, dogs, what)
		}
		bed.Cell(2).AwaitLog(testbed.Event{Verdict: "denied", SourceIP: quiet.IP.String(), DestinationIP: dogs.IP.String()})
	}
	sent := stop()
	fmt.Fprintf(os.Stderr, "noisy container: %d packets\n", sent)
	if sent < 300 {
		t.Errorf("the noisy container sent only %d packets: that mutes nobody anyway", sent)
	}
}

// Accepted connections are logged where that is switched on, at run time, and
// say by which policy.
func TestAcceptedLog(t *testing.T) {
	bed := bed(t)
	cats, dogs := bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs")
	bed.Allow(cats, dogs, "tcp/8080")
	which := testbed.Event{Direction: "ingress", Verdict: "accepted", Reason: "policy", Protocol: "tcp",
		SourceApp: cats.App, DestinationApp: dogs.App, DestinationContainer: dogs.ID, DestinationPort: 8080}
	bed.Reaches(cats, dogs, "tcp/8080")
	off := bed.LogAccepted(dogs)
	err := bed.Eventually(func() error {
		bed.Reaches(cats, dogs, "tcp/8080")
		if len(bed.Cell(2).FlowLog(which)) == 0 {
			return fmt.Errorf("no line of an accepted connection")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := bed.Cell(2).FlowLog(which)[0]; e.Policy == 0 && e.Cookie == "" {
		t.Errorf("the line does not say which policy accepts: %s", e.Line)
	}
	off()
	err = bed.Eventually(func() error {
		before := len(bed.Cell(2).FlowLog(which))
		bed.Reaches(cats, dogs, "tcp/8080")
		time.Sleep(300 * time.Millisecond)
		if len(bed.Cell(2).FlowLog(which)) > before {
			return fmt.Errorf("still logged")
		}
		return nil
	})
	if err != nil {
		t.Errorf("after it was switched off: %v", err)
	}
}
