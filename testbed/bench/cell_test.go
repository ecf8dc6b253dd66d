package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// plugins is the folder of the compiled weft-cni.
var plugins string

// TestMain measures in network and mount namespaces of their own, so that
// nothing of the machine's network is in the way or left changed.
func TestMain(m *testing.M) {
	if os.Getenv("WEFT_BENCH") == "" {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), "WEFT_BENCH=inside")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
		}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "benchmarks need root:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(inside(m))
}

func inside(m *testing.M) int {
	dir, err := os.MkdirTemp("", "weft-bench")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	plugins = dir
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, "../../cni/cmd/weft-cni")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v: %s", err, out))
	}
	lo, err := netlink.LinkByName("lo")
	if err := errors.Join(err, netlink.LinkSetUp(lo),
		os.MkdirAll("/run/netns", 0o755), syscall.Mount("netns", "/run/netns", "tmpfs", 0, "")); err != nil {
		panic(err)
	}
	return m.Run()
}

// cell is a running cell with its controller.
type cell struct {
	b      *testing.B
	sw     *dummyovs.Switch
	dir    string
	client *api.Client
}

// startCell returns when the cell's switch holds its first table.
func startCell(b *testing.B) *cell {
	b.Helper()
	c := &cell{b: b, sw: dummyovs.Start(b), dir: b.TempDir()}
	ctx, cancel := context.WithCancel(b.Context())
	log := slog.New(slog.NewTextHandler(io.Discard, nil))

	loopback := netip.MustParseAddr("127.0.0.1")
	_, err := pki.Init(pki.Request{Dir: c.path("pki"), Cells: []pki.Cell{{ID: "cell-1", Underlay: loopback}},
		ControllerNames: []string{loopback.String()}, Now: time.Now()})
	c.must(err)
	control := server.Default()
	control.Listen, control.InternalListen = "127.0.0.1:0", "127.0.0.1:0"
	control.InternalTLS = api.KeyFiles{Cert: c.path("pki/controller.crt"), Key: c.path("pki/controller.key"), CA: c.path("pki/ca.crt")}
	control.VXLANPort = 4788 // OVS's userspace loses a GBP tunnel on 4789 at the next reconfiguration
	control.Database, control.Auth.TokenFile = "sqlite://"+c.path("weft.db"), c.path("token")
	s, err := server.Start(ctx, control, log)
	c.must(err)
	c.client = api.NewClient("http://"+s.External.String(), s.Token)

	agent := cellagent.DefaultConfig()
	agent.Cell, agent.UnderlayIP, agent.Controller = "cell-1", loopback.String(), "https://"+s.Internal.String()
	agent.TLS = cellagent.TLSFiles{CertFile: c.path("pki/cell-1.crt"), KeyFile: c.path("pki/cell-1.key"), CAFile: c.path("pki/ca.crt")}
	agent.OVSDB, agent.OVSRunDir = c.sw.DB(), c.sw.RunDir()
	agent.StateDir, agent.SubnetFile, agent.Socket = c.path("agent"), c.path("subnet.json"), c.path("agent.sock")
	done := make(chan error, 1)
	go func() { done <- cellagent.Run(ctx, agent, log) }()
	b.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Wait()); err != nil {
			b.Error(err)
		}
	})
	c.await(func() bool {
		cells, err := c.client.Cells(ctx)
		c.must(err)
		return len(cells) == 1 && cells[0].Connected && cells[0].Applied > 0
	})
	return c
}

func (c *cell) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cell) must(err error) {
	c.b.Helper()
	if err != nil {
		c.b.Fatal(err)
	}
}

func (c *cell) await(condition func() bool) {
	c.b.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.b.Fatal("the cell was not ready within 20 s")
		}
	}
}

// samples are durations of one step, of which percentiles are reported: a mean
// hides what people notice.
type samples []time.Duration

// time adds how long step took.
func (s *samples) time(step func()) {
	start := time.Now()
	step()
	*s = append(*s, time.Since(start))
}

// report adds a metric such as "add-p50-ms" for each percentile.
func (s samples) report(b *testing.B, name string, percentiles ...int) {
	slices.Sort(s)
	for _, p := range percentiles {
		at := s[min(len(s)-1, len(s)*p/100)]
		b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, p))
	}
}
