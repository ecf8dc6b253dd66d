package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a stream whose messages come at their times.
type scripted chan Message

func (s scripted) Next(ctx context.Context) (Message, error) {
	select {
	case m, open := <-s:
		if !open {
			return Message{}, Gone("over")
		}
		return m, nil
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

func (scripted) Close() {}

// TestIdleStreamIsPinged every 5 s, so that a silent one is a dead one.
func TestIdleStreamIsPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := httptest.NewRecorder()
		stream := make(scripted)
		go func() {
			time.Sleep(12 * time.Second)
			stream <- Message{Type: TypeSnapshot, Seq: 1}
			time.Sleep(9 * time.Second)
			close(stream)
		}()
		err := pump(t.Context(), stream, &lineWriter{out: newMessageWriter(out), control: http.NewResponseController(out)})
		if !errors.Is(err, ErrGone) {
			t.Errorf("ended with %v", err)
		}
		var types []string
		for line := range strings.Lines(out.Body.String()) {
			types = append(types, strings.Split(line, `"`)[3])
		}
		// at once, at 5 and 10 s; the snapshot at 12 s; at 15 and 20 s
		if got := strings.Join(types, " "); got != "ping ping ping snapshot ping ping" {
			t.Errorf("wrote %s", got)
		}
	})
}

// TestPumpLetsGo: when the agent does not read, or the request ends, nothing
// of the stream is left running (synctest fails on a goroutine that is).
func TestPumpLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		out := httptest.NewRecorder()
		if err := pump(ctx, make(scripted), &lineWriter{out: newMessageWriter(out), control: http.NewResponseController(out)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("request ended: %v", err)
		}
		broken := &lineWriter{out: newMessageWriter(brokenWriter{}), control: http.NewResponseController(out)}
		if err := pump(t.Context(), make(scripted), broken); !errors.Is(err, errBroken) {
			t.Errorf("agent is gone: %v", err)
		}
	})
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestLongMessages: a line longer than the reader's buffer is one message.
func TestLongMessages(t *testing.T) {
	long := Message{Type: TypeSnapshot, Set: []Fragment{{Key: strings.Repeat("k", 1<<20)}}}
	s := streamOf(encode(long) + "\n" + encode(Message{Type: TypePing}) + "\n" + encode(Message{Type: TypeDelta, Seq: 2}) + "\n" + `{"type":"del`)
	defer s.Close()
	if m, err := s.Next(); err != nil || m.Set[0].Key != long.Set[0].Key {
		t.Errorf("long message: %v", err)
	}
	if m, err := s.Next(); err != nil || m.Seq != 2 {
		t.Errorf("after a ping: %+v, %v", m, err)
	}
	if _, err := s.Next(); !errors.Is(err, ErrGone) {
		t.Errorf("half a message: %v", err)
	}
	s = streamOf("banana\n")
	defer s.Close()
	if _, err := s.Next(); err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("not JSON: %v", err)
	}
}

// TestBusyAgentIsNotASilentController: only a Next that waits counts silence.
func TestBusyAgentIsNotASilentController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s := &AgentStream{body: r, lines: bufio.NewReader(r), silence: silenceLimit}
		s.cancel = func() { _ = r.Close() }
		s.watchdog = time.AfterFunc(silenceLimit, s.silent)
		s.watchdog.Stop()
		defer s.Close()
		go func() {
			time.Sleep(4 * silenceLimit)
			for range 4 { // pings, each just in time
				_, _ = io.WriteString(w, encode(Message{Type: TypePing})+"\n")
				time.Sleep(silenceLimit - time.Second)
			}
			_, _ = io.WriteString(w, encode(Message{Type: TypeDelta, Seq: 7})+"\n")
		}()
		time.Sleep(4 * silenceLimit) // applying a large table
		if m, err := s.Next(); err != nil || m.Seq != 7 {
			t.Errorf("after being busy: %+v, %v", m, err)
		}
		begin := time.Now()
		_, err := s.Next()
		if took := time.Since(begin); !errors.Is(err, ErrUnavailable) || took != silenceLimit {
			t.Errorf("after %v of silence: %v", took, err)
		}
	})
}

// streamOf returns a stream that carries these bytes.
func streamOf(text string) *AgentStream {
	return &AgentStream{
		lines: bufio.NewReader(strings.NewReader(text)), cancel: func() {},
		watchdog: time.AfterFunc(time.Hour, func() {}), silence: time.Hour,
	}
}
