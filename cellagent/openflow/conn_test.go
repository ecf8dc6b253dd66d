package openflow

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// TestHangIsAnError: a switch that takes connections and bytes and does not
// answer is an error within the deadline, whatever it leaves unanswered, and the
// end of the connection.
func TestHangIsAnError(t *testing.T) {
	r := newRig(t)
	for what, table := range map[string]flows.Table{"one flow": plain(1), "more than the socket takes": plain(100000)} {
		t.Run(what, func(t *testing.T) {
			r.t = t
			c := r.dial()
			r.PauseVswitchd()
			defer r.ResumeVswitchd()
			start := time.Now()
			err := c.Apply(r.within(200*time.Millisecond), table, nil)
			var refused *RefusedError
			if err == nil || !strings.Contains(err.Error(), "the switch does not answer") || !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &refused) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v, the deadline was 200 ms", took)
			}
			isLost(t, c, "does not answer")
		})
	}
	t.Run("the greeting", func(t *testing.T) {
		r.PauseVswitchd()
		defer r.ResumeVswitchd()
		if _, err := Dial(r.within(200*time.Millisecond), r.socket()); err == nil || errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "greet the switch: the switch does not answer") {
			t.Errorf("error %v", err)
		}
	})
	r.t = t
	r.apply(r.dial(), plain(3), nil)
	r.holds(plain(3))
}

// isLost waits for the end of a connection, with that reason, and sees that
// nothing more goes over it.
func isLost(t *testing.T, c *Conn, why string) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(testPatience):
		t.Fatal("the connection stands")
	}
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("it ended with %v, want %q", err, why)
	}
	if err := c.Apply(context.Background(), plain(1), nil); err == nil || !strings.Contains(err.Error(), "OpenFlow connection lost") {
		t.Errorf("a bundle after its end: %v", err)
	}
}

// TestSilenceIsNoticed: also while nobody asks anything of the switch.
func TestSilenceIsNoticed(t *testing.T) {
	r := newRig(t)
	quick := patience{ask: 20 * time.Millisecond, silence: time.Second}
	c := r.dialBy(r.socket(), quick)
	select {
	case <-c.Done():
		t.Fatalf("a living switch was given up: %v", c.Err())
	case <-time.After(quick.silence + quick.silence/2):
	}
	r.eventually("it has answered", func() bool { return c.Unanswered() == 0 })
	r.PauseVswitchd()
	defer r.ResumeVswitchd()
	r.eventually("it is known to be silent while the connection stands", func() bool { return c.Unanswered() > quick.silence/2 && c.Err() == nil })
	isLost(t, c, "timeout")
}

// TestKilledSwitchIsNoticedAtOnce: before anything else could tell.
func TestKilledSwitchIsNoticedAtOnce(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	r.KillVswitchd()
	select {
	case <-c.Done():
	case <-time.After(usual.silence / 3): // it takes a millisecond; the machine may be loaded
		t.Error("not noticed at once")
	}
	isLost(t, c, "EOF")
	r.eventually("nobody listens where it did", func() bool {
		_, err := Dial(r.within(testPatience), r.socket())
		return errors.Is(err, ErrAbsent)
	})
	r.StartVswitchd()
	r.apply(r.dial(), plain(3), nil)
	r.holds(plain(3))
}

// TestKillAmidABundle: kill -9 while a large bundle is on its way.
func TestKillAmidABundle(t *testing.T) {
	r := newRig(t)
	var seen atomic.Int32
	amid := make(chan struct{})
	line := r.line(func(m message, _ net.Conn) bool {
		if m.kind == kindBundleAdd && seen.Add(1) == 20000 {
			close(amid)
		}
		return true
	})
	c := r.dialBy(line.socket, usual)
	done := make(chan error, 1)
	go func() { done <- c.Apply(r.within(testPatience), plain(100000), nil) }()
	<-amid
	r.KillVswitchd()
	err := <-done
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "OpenFlow connection lost") {
		t.Errorf("error %v", err)
	}
	if n := seen.Load(); n > 99000 {
		t.Errorf("all %d flows were sent before the kill", n)
	}
	r.StartVswitchd()
	r.apply(r.dial(), plain(3), nil)
	r.holds(plain(3))
}

// TestEchoesAmidABundle: the switch's echo requests are answered, each with its
// own body, while a bundle is written.
func TestEchoesAmidABundle(t *testing.T) {
	r := newRig(t)
	const every, total = 5000, 100000
	var flowMods, asked, answered atomic.Int32
	body := []byte("are you there?")
	line := r.line(func(m message, client net.Conn) bool {
		switch {
		case m.kind == kindBundleAdd && flowMods.Add(1)%every == 0:
			if _, err := client.Write(appendMessage(nil, kindEchoRequest, uint32(7000+asked.Add(1)), body...)); err != nil {
				t.Error(err)
			}
		case m.kind == kindEchoReply:
			if n := answered.Add(1); m.xid != uint32(7000+n) || !bytes.Equal(m.body, body) {
				t.Errorf("echo %d is answered as %d with %q", 7000+n, m.xid, m.body)
			}
			return false // the switch has not asked
		}
		return true
	})
	c := r.dialBy(line.socket, usual)
	r.apply(c, plain(total), nil)
	r.eventually("all are answered", func() bool { return answered.Load() == total/every })
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

// TestStrayAnswerEndsTheConnection: what was not asked for, from a switch that
// counts otherwise than we do, must not pass for an answer.
func TestStrayAnswerEndsTheConnection(t *testing.T) {
	for what, stray := range map[string][]byte{
		"error":          appendMessage(nil, kindError, 99, 0, 4, 0, 9),
		"bundle reply":   appendBundleControl(nil, bundleCommit+1, 99, 99),
		"other version":  {4, byte(kindEchoReply), 0, 8, 0, 0, 0, 1},
		"short message":  {version, byte(kindEchoReply), 0, 7, 0, 0, 0, 1},
		"silent closing": nil,
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			clients := make(chan net.Conn, 1)
			line := r.line(func(m message, client net.Conn) bool {
				if m.kind == kindHello {
					clients <- client
				}
				return true
			})
			c := r.dialBy(line.socket, usual)
			if client := <-clients; stray == nil {
				client.Close()
			} else if _, err := client.Write(stray); err != nil {
				t.Fatal(err)
			}
			isLost(t, c, map[string]string{
				"error": "OFPBMC_BAD_PREREQ, which answers nothing", "bundle reply": "type 33, transaction 99, which answers nothing",
				"other version": "OpenFlow version 4", "short message": "message of 7 bytes", "silent closing": "EOF",
			}[what])
		})
	}
}

// TestOtherVersionIsRefusedWithAReason: a bridge that somebody has restricted.
func TestOtherVersionIsRefusedWithAReason(t *testing.T) {
	r := newRig(t)
	r.Vsctl("set", "bridge", r.Name, "protocols=OpenFlow13")
	_, err := Dial(r.within(testPatience), r.socket())
	if err == nil || errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "column protocols must have OpenFlow14") {
		t.Errorf("error %v", err)
	}
}

// TestCloseIsAnEnd: for its owner too.
func TestCloseIsAnEnd(t *testing.T) {
	r := newRig(t)
	c := r.dial()
	c.Close()
	c.Close()
	isLost(t, c, "closed")
}
