package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestDebugListens: where the configuration says, and nowhere without it.
func TestDebugListens(t *testing.T) {
	_, config := install(t)
	if s := run(t, config); s.Debug != nil {
		t.Errorf("listens on %s without being told", s.Debug)
	}
	_, config = install(t)
	config.DebugListen = "127.0.0.1:0"
	answer, err := http.Get("http://" + run(t, config).Debug.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(text), "process_resident_memory_bytes") {
		t.Errorf("%v:\n%.300s", err, text)
	}
}
