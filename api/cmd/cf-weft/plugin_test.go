package main

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/api/internal/memory"
)

const token = "users-token"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cf-weft": main})
}

// TestScripts runs testdata/*.txtar as cf would: with its port $CF. At $LOST
// is one whose Cloud Controller knows no network policies, at $OUT one where
// nobody is logged in.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("WEFT_GOLDEN") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			x := memory.New()
			server := httptest.NewServer(api.NewExternal(api.External{
				TagDigits: 4, Policies: x, Fleet: x, Auth: api.TokenAuth(token), Log: slog.New(slog.DiscardHandler), Started: time.Now(),
			}))
			env.Defer(server.Close)
			links := fmt.Sprintf("{\"links\": {\n\"network_policy_v1\": {\"href\": \"%s/networking/v1/external\"}}}", server.URL)
			for name, c := range map[string]*cf{
				"CF": {token: token, links: links}, "LOST": {token: token, links: `{"links": {}}`}, "OUT": {links: links},
			} {
				port, stop, err := c.start()
				if err != nil {
					return err
				}
				env.Defer(stop)
				env.Setenv(name, port)
			}
			env.Setenv("URL", server.URL)
			return nil
		},
	})
}

// TestMetadata: cf learns the commands when it installs the plugin.
func TestMetadata(t *testing.T) {
	c := &cf{}
	port, stop, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	path, err := exec.LookPath("cf-weft") // testscript.Main puts it there
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), path, port, "SendMetadata").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, command := range c.metadata.Commands {
		names = append(names, command.Name)
	}
	if got := fmt.Sprint(c.metadata.Name, names); got != "weft[allow-access deny-access list-access]" {
		t.Errorf("the plugin says it is %s", got)
	}
}
