package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// pipes is a listener whose connections are pipes, so that time can be the
// bubble's: a minute of a slow client takes no time. A pipe has no buffer, so
// who does not read stops the writer at once.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.dialed <- theirs
	return ours
}

// slowly runs a test against the server in a bubble. The bubble itself fails
// if anything of a client that is gone is left running.
func slowly(t *testing.T, test func(t *testing.T, x *external, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		x, p := newExternal(), newPipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- api.Server{Handler: x.handler, Log: slog.New(slog.DiscardHandler)}.Serve(ctx, p)
		}()
		test(t, x, p)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// answers fails the test unless the server answers somebody else at once.
func answers(t *testing.T, p *pipes) {
	t.Helper()
	begin := time.Now()
	client := http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil },
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://controller/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("others are not answered: %v", err)
	}
	_ = response.Body.Close()
	if took := time.Since(begin); response.StatusCode != http.StatusOK || took > time.Second {
		t.Errorf("others are answered %s after %v", response.Status, took)
	}
}

// drip writes a byte each second until the other side has closed, and returns
// how long that took.
func drip(conn net.Conn, text string) time.Duration {
	begin := time.Now()
	go func() { _, _ = io.Copy(io.Discard, conn) }() // an answer, if any, is read
	for i := range text {
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			break
		}
		time.Sleep(time.Second)
	}
	return time.Since(begin)
}

// post is the beginning of a create, up to its body.
func post(length int) string {
	return fmt.Sprintf("POST %s/policies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", prefix, token, length)
}

// TestSlowHeader: whoever needs more than 10 s to say what it wants is cut off.
func TestSlowHeader(t *testing.T) {
	slowly(t, func(t *testing.T, _ *external, p *pipes) {
		conn := p.dial()
		defer conn.Close()
		var took time.Duration
		done := make(chan struct{})
		go func() {
			took = drip(conn, "GET /"+strings.Repeat("a", 1000)+" HTTP/1.1\r\nHost: x\r\n\r\n")
			close(done)
		}()
		time.Sleep(5 * time.Second)
		answers(t, p)
		<-done
		if took > 12*time.Second {
			t.Errorf("held a connection for %v without a request", took)
		}
	})
}

// TestSlowBody: a body may take a minute; one that takes longer changes nothing.
func TestSlowBody(t *testing.T) {
	slowly(t, func(t *testing.T, x *external, p *pipes) {
		conn := p.dial()
		defer conn.Close()
		body := catsToDogs + strings.Repeat(" ", 1000)
		if _, err := io.WriteString(conn, post(len(body))); err != nil {
			t.Fatal(err)
		}
		if took := drip(conn, body); took > 70*time.Second {
			t.Errorf("held a connection for %v with a slow body", took)
		}
		answers(t, p)
		if list, err := x.Policies(t.Context(), api.Filter{}); err != nil || len(list) != 0 {
			t.Errorf("half a request left %v, %v", list, err)
		}
	})
}

// TestUnreadAnswer: whoever does not read its answer for a minute is cut off.
func TestUnreadAnswer(t *testing.T) {
	slowly(t, func(t *testing.T, x *external, p *pipes) {
		var some []api.Policy
		for port := range uint16(2000) {
			some = append(some, api.Policy{From: "cats", To: "dogs", Protocol: flows.TCP, Ports: flows.PortRange{First: port + 1, Last: port + 1}})
		}
		if _, err := x.AddPolicies(t.Context(), some, api.Order{}); err != nil {
			t.Fatal(err)
		}
		conn := p.dial()
		defer conn.Close()
		request := fmt.Sprintf("GET %s/policies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", prefix, token)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("answer begins with %q, %v", line, err)
		}
		time.Sleep(30 * time.Second)
		answers(t, p)
		time.Sleep(40 * time.Second)
		rest, err := io.ReadAll(conn)
		if err != nil || len(rest) > 200_000 {
			t.Errorf("after 70s of not reading there were %d bytes more, %v", len(rest), err)
		}
	})
}

// TestIdleConnections: a thousand of them disturb nobody, and end after two minutes.
func TestIdleConnections(t *testing.T) {
	slowly(t, func(t *testing.T, _ *external, p *pipes) {
		var all sync.WaitGroup
		for range 1000 {
			conn := p.dial()
			all.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn) // until the server closes it
			})
		}
		time.Sleep(time.Minute)
		answers(t, p)
		begin := time.Now()
		all.Wait()
		if took := time.Since(begin); took > 70*time.Second {
			t.Errorf("idle connections were open for another %v", took)
		}
	})
}

// TestGoneWhileWaiting: a wait for switches ends with its client.
func TestGoneWhileWaiting(t *testing.T) {
	slowly(t, func(t *testing.T, x *external, p *pipes) {
		x.Late = []flows.CellID{"cell-1"}
		conn := p.dial()
		request := strings.Replace(post(len(catsToDogs)), "/policies ", "/policies?wait=applied&timeout=10m ", 1)
		if _, err := io.WriteString(conn, request+catsToDogs); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // all that is left of the bubble's goroutines stands still
		if n := strings.Count(x.log.String(), "/policies"); n != 1 {
			t.Errorf("the request has ended %d times in the log", n)
		}
		answers(t, p)
	})
}
