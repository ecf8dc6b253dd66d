package cellagent

import (
	"log/slog"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// TestAskersShareALook: there is one look at a time, and whoever asks gets one
// that began after he asked, together with all others who wait for it.
func TestAskersShareALook(t *testing.T) {
	a := &Agent{cfg: DefaultConfig(), log: slog.New(slog.DiscardHandler), lifetime: t.Context(), events: make(chan func(), 1), started: time.Now()}
	a.cfg.UnderlayIP = "127.0.0.1"
	ask := func() <-chan api.Checkup {
		answer := make(chan api.Checkup, 1)
		a.checkup.asked = append(a.checkup.asked, answer)
		a.examine()
		return answer
	}
	first, second, third := ask(), ask(), ask()
	if len(a.checkup.asked) != 2 {
		t.Fatalf("%d wait while a look is under way, want two", len(a.checkup.asked))
	}
	(<-a.events)()
	early := <-first
	if len(second)+len(third) != 0 {
		t.Error("who asked during a look got its findings")
	}
	a.examine()
	(<-a.events)()
	x, y := <-second, <-third
	if !x.At.Equal(y.At) || !x.At.After(early.At) || len(x.Findings) == 0 || len(a.checkup.wrong) == len(x.Findings) {
		t.Errorf("at %v and %v, after %v: %+v; wrong %+v", x.At, y.At, early.At, x.Findings, a.checkup.wrong)
	}
	a.running.Wait()
}
