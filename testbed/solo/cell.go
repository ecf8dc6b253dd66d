package solo

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/daemon"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// Bridge is the name of the cell's bridge.
const Bridge = "br-weft"

// VXLANPort is the overlay's UDP port: OVS's userspace loses a GBP tunnel on 4789
// at the next reconfiguration.
const VXLANPort = 4788

// loopback is the cell's only underlay.
var loopback = netip.MustParseAddr("127.0.0.1")

// Cell is a running cell with its controller. Its methods fail the test on any
// error, unless they return it.
type Cell struct {
	testing.TB
	Switch *dummyovs.Switch
	Client *api.Client // of the controller, as an admin

	dir      string
	datapath string // of the agent's configuration
	server   *server.Server
	agent    *daemon.Process
}

// Start starts a cell on OVS's userspace datapath. It returns when its switch
// holds its first table; the cell ends with the test.
func Start(t testing.TB) *Cell {
	t.Helper()
	return start(t, dummyovs.StartUserspace(t), "netdev")
}

// StartDummy starts one whose datapath forwards nothing, and costs nothing.
func StartDummy(t testing.TB) *Cell {
	t.Helper()
	return start(t, dummyovs.Start(t), "")
}

func start(t testing.TB, sw *dummyovs.Switch, datapath string) *Cell {
	t.Helper()
	// Not t.TempDir: a unix socket's path has room for 107 bytes.
	dir, err := os.MkdirTemp("", "cell")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cell{TB: t, Switch: sw, dir: dir, datapath: datapath}
	t.Cleanup(c.end)
	c.startController()
	c.Must(c.configureAgent(0))
	c.StartAgent()
	c.InStep()
	return c
}

// end stops what still runs and removes what it wrote.
func (c *Cell) end() {
	if c.agent != nil {
		c.agent.Kill()
	}
	if c.Failed() {
		c.Logf("weft-agent's log:\n%s", tail(c.Path("agent.log"), 200))
	}
	os.RemoveAll(c.dir)
}

// startController makes the certificates and runs the server in this process.
func (c *Cell) startController() {
	c.Helper()
	_, err := pki.Init(pki.Request{Dir: c.Path("pki"), Cells: []pki.Cell{{ID: "cell-1", Underlay: loopback}},
		ControllerNames: []string{loopback.String()}, Now: time.Now()})
	c.Must(err)
	control := server.Default()
	control.Listen, control.InternalListen = "127.0.0.1:0", "127.0.0.1:0"
	control.InternalTLS = api.KeyFiles{Cert: c.Path("pki/controller.crt"), Key: c.Path("pki/controller.key"), CA: c.Path("pki/ca.crt")}
	control.VXLANPort = VXLANPort
	control.Database, control.Auth.TokenFile = "sqlite://"+c.Path("weft.db"), c.Path("token")
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.Start(ctx, control, slog.New(slog.NewTextHandler(io.Discard, nil)))
	c.Must(err)
	c.Cleanup(func() {
		cancel()
		if err := s.Wait(); err != nil {
			c.Error(err)
		}
	})
	c.server = s
	c.Client = api.NewClient("http://"+s.External.String(), s.Token)
}

// Path is that of a file in the cell's folder.
func (c *Cell) Path(name string) string { return filepath.Join(c.dir, name) }

// Must fails the test if there is an error.
func (c *Cell) Must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// patience bounds what a loaded machine may take.
const patience = 30 * time.Second

// Eventually polls until the condition holds.
func (c *Cell) Eventually(what string, is func() bool) {
	c.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// InStep waits until the cell is connected, its switch holds all that the
// controller wants, and the host's side is made.
func (c *Cell) InStep() {
	c.Helper()
	c.Eventually("the cell is connected and in step", func() bool {
		cells, err := c.Client.Cells(c.Context())
		c.Must(err)
		return len(cells) == 1 && cells[0].Connected && cells[0].Applied > 0 && !cells[0].Behind
	})
	c.Eventually("the agent says so", func() bool {
		s, err := c.Status() // which fails while the agent is about to listen
		return err == nil && s.InStep && (s.Host.On || s.Host.Reason != "" && c.datapath == "")
	})
}
