package debug

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestServe: profiles and metrics are there, and end with the context.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- Serve(ctx, listener) }()
	for path, want := range map[string]string{
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "TestServe",
		"/debug/pprof/cmdline":           "debug.test",
		"/metrics":                       "go_gc_heap_live_bytes",
	} {
		answer, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s, %v, without %q:\n%.300s", path, answer.Status, err, want, text)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + listener.Addr().String() + "/metrics"); err == nil {
		t.Error("still served after its end")
	}
}

// TestOnlyThisHost: nobody else is listened to.
func TestOnlyThisHost(t *testing.T) {
	for address, local := range map[string]bool{
		"127.0.0.1:0": true, "[::1]:0": true, "0.0.0.0:6060": false, "192.0.2.1:6060": false, ":6060": false, "localhost:6060": false, "127.0.0.1": false, "": false,
	} {
		listener, err := Listen(address)
		if err == nil {
			listener.Close()
		}
		if (err == nil) != local || err != nil && !strings.Contains(err.Error(), Must) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
