package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/api/internal/memory"
	"github.com/weft-sdn/weft/flows"
)

// token is what the test's controller accepts.
const token = "s3cret-token"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft": main})
}

// TestScripts runs testdata/*.txtar, each against a controller of its own that
// WEFT_API leads to. WEFT_TOKEN_FILE is set; $TOKEN is the token itself, $CF a
// Cloud Controller whose UAA is at $CF/uaa, and $NOBODY an address where nobody
// listens.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("WEFT_GOLDEN") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			nobody, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer nobody.Close()
			cf := newPlatform()
			env.Defer(cf.Close)
			x := controller(filepath.Base(env.WorkDir))
			server := httptest.NewServer(api.NewExternal(api.External{
				TagDigits: 4, Sets: x, Cells: x,
				Policies: x, Fleet: x, Auth: cf, Log: slog.New(slog.DiscardHandler), Started: time.Now(),
			}))
			env.Defer(server.Close)
			file := filepath.Join(env.WorkDir, "token")
			env.Setenv("WEFT_API", server.URL)
			env.Setenv("WEFT_TOKEN_FILE", file)
			env.Setenv("TOKEN", token)
			env.Setenv("CF", cf.URL)
			env.Setenv("NOBODY", "http://"+nobody.Addr().String())
			return os.WriteFile(file, []byte(token+"\n"), 0o600)
		},
	})
}

// controller is the state that a script finds, by the script's name.
func controller(script string) *memory.Controller {
	x := memory.New()
	switch name := strings.TrimPrefix(script, "script-"); name {
	case "listings":
		x.Cellular = []api.Cell{
			{Cell: "cell-1", VTEP: "192.0.2.1", Subnet: "10.255.1.0/24", Connected: true, Applied: 12, Endpoints: 2},
			{Cell: "cell-2", VTEP: "192.0.2.2", Subnet: "10.255.3.0/24", Connected: true, Applied: 11, Behind: true},
			{Cell: "cell-10", VTEP: "192.0.2.10", Subnet: "10.255.2.0/24", Applied: 9, Error: "bundle refused"},
		}
		x.Attached = []api.Endpoint{
			{Container: "c1", App: "cats", IP: "10.255.1.2", OFPort: 7, Cell: "cell-1", Group: 101, Log: true, Egress: "tcp 10.0.0.1-10.0.0.9 443; udp 10.0.0.2 53; icmp 10.0.0.1 8/0"},
			{Container: strings.Repeat("0123456789abcdef", 4), IP: "10.255.1.3", OFPort: 8, Cell: "cell-1", Egress: "all 192.0.2.7"},
		}
	case "cells":
		x.Cellular = []api.Cell{
			{Cell: "cell-1", VTEP: "192.0.2.1", Subnet: "10.255.1.0/24", Connected: true, Applied: 12, Endpoints: 2},
			{Cell: "cell-2", VTEP: "192.0.2.2", Subnet: "10.255.2.0/24", Applied: 11},
			{Cell: "cell-3", VTEP: "192.0.2.3", Subnet: "10.255.3.0/24", State: api.CellExpired},
			{Cell: "cell-4", VTEP: "192.0.2.4", Subnet: "10.255.4.0/24", State: api.CellReturning, Connected: true},
			{Cell: "cell-5", State: api.CellDrained},
			{Cell: "router-1", VTEP: "192.0.2.6", Subnet: "10.255.0.1/32", SingleIP: true, Connected: true, Applied: 12},
		}
	case "groups":
		until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		x.Freed = []api.Group{{Group: 7, Tag: "0007", App: "gone", Type: "app", State: api.GroupQuarantined, Until: &until}}
	case "late":
		x.Late = []flows.CellID{"cell-2"}
		x.Away = []flows.CellID{"cell-3"}
	case "exhausted":
		x.Failure = api.Exhausted("all 65535 group ids are in use")
	case "full":
		x.Failure = api.Unavailable("database: disk is full")
	case "broken":
		x.Failure = errors.New("secret")
	}
	return x
}
