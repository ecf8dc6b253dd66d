package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// hostile serves the external API on loopback. When the test ends it checks
// that the server has let go of everything that clients have begun.
func hostile(t *testing.T) (x *external, address string) {
	t.Helper()
	before := runtime.NumGoroutine()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x = newExternal()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- api.Server{Handler: x.handler, Log: slog.New(slog.DiscardHandler)}.Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				return
			}
		}
	})
	return x, listener.Addr().String()
}

// send writes raw bytes and returns all answers until the server closes.
func send(t *testing.T, address string, raw io.Reader) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(conn, raw) }() // the server may close before it has read all
	var answer bytes.Buffer
	for buffer := make([]byte, 64<<10); ; {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // fails only if conn is closed
		n, err := conn.Read(buffer)
		answer.Write(buffer[:n])
		if err != nil || bytes.Contains(answer.Bytes(), []byte("Connection: close")) && bytes.HasSuffix(answer.Bytes(), []byte("}")) {
			return answer.String()
		}
	}
}

func (x *external) wantNothing(t *testing.T) {
	t.Helper()
	if list, err := x.Policies(context.Background(), api.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("left %d policies, %v", len(list), err)
	}
}

// endless reads as the same text again and again.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// TestTooMuch: what is too long is refused with the contract's text, without
// reading more of it than the limit.
func TestTooMuch(t *testing.T) {
	x, address := hostile(t)
	const limit = 10 << 20
	head := "POST " + prefix + "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n"
	for path, text := range map[string]string{
		"/policies": `{"error": "failed reading request body"}`, "/policies/delete": `{"error": "invalid request body"}`,
	} {
		announced := fmt.Sprintf(head+"Content-Length: %d\r\n\r\n", path, limit+1)
		got := send(t, address, io.MultiReader(strings.NewReader(announced+catsToDogs), io.LimitReader(endless(" "), limit)))
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.HasSuffix(got, text) {
			t.Errorf("%s, a byte too long: %.300q", path, got)
		}
		chunks := fmt.Sprintf(head+"Transfer-Encoding: chunked\r\n\r\n", path)
		got = send(t, address, io.MultiReader(strings.NewReader(chunks), io.LimitReader(endless("4\r\n    \r\n"), 100<<20)))
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, text) {
			t.Errorf("%s, endless chunks: %.300q", path, got)
		}
	}
	got := send(t, address, strings.NewReader("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("a", 100_000)+"\r\n\r\n"))
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("a long header: %.300q", got)
	}
	x.wantNothing(t)
}

// TestExpensiveBodies: as long as they may be and as hard to parse as they can
// be, bodies are refused within seconds and within a fraction of a gigabyte.
func TestExpensiveBodies(t *testing.T) {
	x, address := hostile(t)
	const limit = 10 << 20
	fill := func(begin, again, end string) string {
		return begin + strings.Repeat(again, (limit-len(begin)-len(end))/len(again)) + end
	}
	for name, body := range map[string]string{
		"nested arrays":   fill("", "[", ""),
		"nested policies": fill(`{"policies":`, "[", ""),
		"nested objects":  fill("", `{"a":`, ""),
		"one long id":     fill(`{"policies":[{"source":{"id":"`, "x", `"}}]}`),
		"escapes":         fill(`{"policies":[{"source":{"id":"`, `\ud800`, `"}}]}`),
		"many keys":       fill(`{"policies":[{"source":{`, `"id":"a",`, `"id":"a"}}]}`),
		"a long number":   fill(`{"policies":[{"destination":{"ports":{"start":`, "1", `}}}]}`),
		"empty policies":  fill(`{"policies":[{}`, ",{}", `]}`),
		"spaces":          fill("", " ", ""),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		got := send(t, address, strings.NewReader(strings.Replace(post(len(body)), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)+body))
		took := time.Since(begin)
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %v, %d MiB", name, took, allocated)
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `{"error": "mapper: `) {
			t.Errorf("%s: %.300q", name, got)
		}
		if len(got) > 4<<10 {
			t.Errorf("%s: an answer of %d bytes", name, len(got))
		}
		if took > 10*time.Second || allocated > 512 {
			t.Errorf("%s: took %v and %d MiB", name, took, allocated)
		}
	}
	x.wantNothing(t)
}

// TestCompressedBody: nothing is ever decompressed, so nothing can blow up.
func TestCompressedBody(t *testing.T) {
	x, address := hostile(t)
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(zip, endless(" "), 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	head := strings.Replace(post(bomb.Len()), "Host: x", "Host: x\r\nContent-Encoding: gzip\r\nConnection: close", 1)
	got := send(t, address, io.MultiReader(strings.NewReader(head), &bomb))
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "mapper: unmarshal json: invalid character") {
		t.Errorf("got %q", got)
	}
	x.wantNothing(t)
}

// TestOneRequestIsOne: no way to state a body's length twice makes two
// requests of one, or one that its sender did not write.
func TestOneRequestIsOne(t *testing.T) {
	x, address := hostile(t)
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	auth := "Host: x\r\nAuthorization: Bearer " + token + "\r\n"
	line := "POST " + prefix + "/policies HTTP/1.1\r\n"
	for name, raw := range map[string]string{
		"two lengths":          line + auth + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + smuggled,
		"signed length":        line + auth + "Content-Length: +2\r\n\r\n{}" + smuggled,
		"unknown encoding":     line + auth + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"encoding twice":       line + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled,
		"space before colon":   line + auth + "Content-Length : 2\r\n\r\n{}" + smuggled,
		"folded header":        line + auth + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n{}" + smuggled,
		"no length in a chunk": line + auth + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" + smuggled,
	} {
		got := send(t, address, strings.NewReader(raw))
		if strings.Contains(got, "404 page not found") {
			t.Errorf("%s: the rest was taken for a request: %q", name, got)
		}
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") && !strings.HasPrefix(got, "HTTP/1.1 501 ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	// With both, the encoding decides, and the length means nothing.
	both := line + auth + fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", len(catsToDogs)+5) + catsToDogs
	if got := send(t, address, strings.NewReader(both)); !strings.Contains(got, "unexpected end of JSON input") {
		t.Errorf("both lengths: %q", got)
	}
	x.wantNothing(t)
}

// TestHalfClosed: who says that it will send no more still gets its answer;
// who leaves in the middle of a body has asked for nothing.
func TestHalfClosed(t *testing.T) {
	x, address := hostile(t)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, post(len(catsToDogs)+1)+catsToDogs); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if response.StatusCode != 400 || string(text) != `{"error": "failed reading request body"}` || err != nil {
		t.Errorf("half a body: %s %q, %v", response.Status, text, err)
	}
	x.wantNothing(t)

	whole, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if _, err := io.WriteString(whole, post(len(catsToDogs))+catsToDogs); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(whole.(*net.TCPConn).CloseWrite(), whole.SetReadDeadline(time.Now().Add(5*time.Second))); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(whole); err != nil || !strings.HasSuffix(string(answer), "\r\n\r\n{}") {
		t.Errorf("a whole body, then closed: %q, %v", answer, err)
	}
}
