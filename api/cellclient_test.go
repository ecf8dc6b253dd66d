package api_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// TestCellClient: what is on the socket is told apart: an agent, nobody, an
// agent that does not know the question, and something else.
func TestCellClient(t *testing.T) {
	dir, err := os.MkdirTemp("", "cell") // not t.TempDir: a socket's path has room for 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "agent.sock")
	client := api.NewCellClient(socket)
	if _, err := client.Checkup(t.Context()); !errors.Is(err, api.ErrUnavailable) ||
		err.Error() != "asking the agent at "+socket+": dial unix "+socket+": connect: no such file or directory" {
		t.Errorf("nobody there: %v", err)
	}

	want := api.Checkup{Cell: "cell-1", At: time.Date(2026, 1, 1, 2, 3, 4, 0, time.UTC), Findings: []api.Finding{{Check: "datapath", Level: api.LevelOK, Text: "fine"}}}
	answers := map[string]http.HandlerFunc{
		"agent": func(w http.ResponseWriter, r *http.Request) {
			if r.Method+" "+r.URL.Path != "GET /doctor" {
				t.Errorf("asked for %s %s", r.Method, r.URL)
			}
			_ = json.NewEncoder(w).Encode(want)
		},
		"older":     http.NotFound,
		"otherwise": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
	}
	for name, check := range map[string]func(api.Checkup, error) bool{
		"agent": func(got api.Checkup, err error) bool { return err == nil && reflect.DeepEqual(got, want) },
		"older": func(_ api.Checkup, err error) bool { return errors.Is(err, api.ErrNotFound) },
		"otherwise": func(_ api.Checkup, err error) bool {
			return err != nil && strings.Contains(err.Error(), "not the JSON expected")
		},
	} {
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: answers[name]}
		go func() { _ = server.Serve(listener) }()
		if got, err := client.Checkup(t.Context()); !check(got, err) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		server.Close()
	}
}

// TestWorst finding decides.
func TestWorst(t *testing.T) {
	all := func(levels ...api.Level) (c api.Checkup) {
		for _, level := range levels {
			c.Findings = append(c.Findings, api.Finding{Level: level})
		}
		return c
	}
	for want, checkups := range map[api.Level][]api.Checkup{
		api.LevelOK:      {all(), all(api.LevelOK)},
		api.LevelWarning: {all(api.LevelOK, api.LevelWarning), all(api.LevelWarning, api.LevelOK)},
		api.LevelError:   {all(api.LevelError, api.LevelWarning, api.LevelOK), all(api.LevelWarning, api.LevelError)},
	} {
		for _, c := range checkups {
			if got := c.Worst(); got != want {
				t.Errorf("%+v: %s, want %s", c.Findings, got, want)
			}
		}
	}
}
