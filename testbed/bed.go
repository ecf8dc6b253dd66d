package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/lab"
)

// T is what a play reports to: a *testing.T, or the demo's narrator.
type T interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// Options describe a bed. The zero value is three cells.
type Options struct {
	Cells    int       // 1 to 200; 0 for 3
	Dir      string    // for everything the bed writes; "" for /run/weft-testbed
	Bin      string    // where our programs are; "" for the checkout's bin/
	Progress io.Writer // told what comes up; nil for nobody
}

// Bed is an underlay with a controller and cells, as one test sees it: what
// fails is that test's failure, what is created ends with that test.
type Bed struct {
	T
	*world
}

// world is what all tests that share a bed share.
type world struct {
	dir, bin   string
	progress   io.Writer
	pki        string // folder that weft-controller init filled
	controller *process
	cells      []*cell
	outside    ns.NetNS
	client     *api.Client
	token      string
	mu         sync.Mutex     // guards numbers
	numbers    map[string]int // of the last container of each name
}

// The underlay. Cell n has the address 172.31.0.n.
var (
	labAddress        = netip.MustParsePrefix("172.31.0.254/24")
	controllerAddress = netip.MustParsePrefix("172.31.0.250/24")
)

const (
	bridgeName   = "br-weft"
	overlay      = "10.255.0.0/16"
	externalPort = 4002
	internalPort = 4003
)

func vtep(n int) netip.Addr { return netip.AddrFrom4([4]byte{172, 31, 0, byte(n)}) }

// Start builds a bed: underlay, controller, and cells with their switch and
// agent. It returns when every agent is connected and its switch configured.
// It works inside the lab only, once per process.
func Start(o Options) (*Bed, error) {
	if !lab.Inside() {
		return nil, errors.New("a bed needs the lab: run it with lab.Run or lab.RunTests")
	}
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	if o.Cells == 0 {
		o.Cells = 3
	}
	if err := w.build(o.Cells); err != nil {
		return nil, fmt.Errorf("build the testbed: %w", err)
	}
	return &Bed{world: w}, nil
}

func newWorld(o Options) (*world, error) {
	w := &world{dir: o.Dir, bin: o.Bin, progress: o.Progress, numbers: map[string]int{}}
	if w.dir == "" {
		w.dir = "/run/weft-testbed"
	}
	if w.progress == nil {
		w.progress = io.Discard
	}
	if w.bin == "" {
		bin, err := findBin()
		if err != nil {
			return nil, err
		}
		w.bin = bin
	}
	return w, os.MkdirAll(filepath.Join(w.dir, "log"), 0o755)
}

// findBin looks for the checkout's bin/ from the working directory upwards.
func findBin() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			bin := filepath.Join(d, "bin")
			if _, err := os.Stat(filepath.Join(bin, "weft-agent")); err != nil {
				return "", fmt.Errorf("the testbed runs our real programs: build them first with make build: %w", err)
			}
			return bin, nil
		}
	}
	return "", fmt.Errorf("no go.mod above %s: give Options.Bin", dir)
}

// build makes everything in the order in which it is needed.
func (w *world) build(cells int) error {
	if err := makeUnderlay(labAddress); err != nil {
		return err
	}
	if err := w.emptyDatabase(); err != nil {
		return err
	}
	var names []string
	for n := range cells {
		names = append(names, fmt.Sprintf("cell-%d", n+1))
	}
	if err := w.startController(names); err != nil {
		return err
	}
	w.sayf("controller is up")
	if err := w.makeOutside(); err != nil {
		return err
	}
	for n, name := range names {
		c, err := w.newCell(name, vtep(n+1))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		w.cells = append(w.cells, c)
		// One after the other, so that cell-2 has the second lease.
		if err := c.awaitListed(func(api.Cell) bool { return true }); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, c := range w.cells {
		if err := c.awaitConnected(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		w.sayf("%s is up: Open vSwitch on the kernel datapath, agent connected", c.name)
	}
	return nil
}

func (w *world) sayf(format string, args ...any) {
	fmt.Fprintf(w.progress, format+"\n", args...)
}

// For returns the bed as the test t sees it. When the test fails, the story of
// controller and agents is printed with it.
func (b *Bed) For(t T) *Bed {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", b.world.logs())
		}
	})
	return &Bed{T: t, world: b.world}
}

// Cell returns the nth cell, from 1.
func (b *Bed) Cell(n int) *Cell { return &Cell{bed: b, cell: b.cells[n-1]} }

// Cells returns all cells.
func (b *Bed) Cells() []*Cell {
	var all []*Cell
	for n := range b.cells {
		all = append(all, b.Cell(n+1))
	}
	return all
}

// Client returns the client of the controller's external API.
func (b *Bed) Client() *api.Client { return b.client }

// Token returns the bearer token that the controller created.
func (b *Bed) Token() string { return b.token }

// URL returns the address of the controller's external API.
func (b *Bed) URL() string {
	return fmt.Sprintf("http://%s:%d", controllerAddress.Addr(), externalPort)
}

// Dir returns the folder of everything that the bed writes.
func (b *Bed) Dir() string { return b.dir }

// Bin returns the path of one of our programs.
func (b *Bed) Bin(name string) string { return filepath.Join(b.bin, name) }

// Environment returns what the weft command line needs to reach the controller.
func (b *Bed) Environment() []string {
	return []string{"WEFT_API=" + b.URL(), "WEFT_TOKEN=" + b.token, "PATH=" + b.bin + ":" + os.Getenv("PATH")}
}

// Close stops every process, agents first. Namespaces and files end with the lab.
func (b *Bed) Close() error {
	var errs []error
	for _, c := range b.cells {
		errs = append(errs, c.agent.stop(syscall.SIGTERM), c.ovs.vswitchd.stop(syscall.SIGTERM), c.ovs.db.stop(syscall.SIGTERM))
	}
	return errors.Join(append(errs, b.controller.stop(syscall.SIGTERM))...)
}

// must fails the test on an error.
func (b *Bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("%v", err)
	}
}

// background is the context of the bed's own requests: the client and the lab
// have time limits.
func background() context.Context { return context.Background() }
