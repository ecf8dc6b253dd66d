package weft

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
	"github.com/weft-sdn/weft/testbed/daemon"
)

// controller is a weft-controller process.
type controller struct {
	*daemon.Process
	dir      string // of certificates, configuration, log
	client   *api.Client
	external string // host:port
	internal string
}

// The overlay has room for the containers of every scene, and a UDP port that
// OVS's userspace does not lose.
const (
	network   = "10.128.0.0/9"
	vxlanPort = "4788"
)

// startPatience bounds the start of a program on a loaded machine.
const startPatience = time.Minute

// startController makes certificates for all cells of a scene and runs a
// controller that keeps its data in database; "" for SQLite in dir.
func startController(ctx context.Context, program, dir, database string, cells int) (*controller, error) {
	request := pki.Request{Dir: dir, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}
	for cell := range cells {
		request.Cells = append(request.Cells, pki.Cell{ID: flows.CellID(scene.CellID(cell)), Underlay: vtep(cell)})
	}
	if _, err := pki.Init(request); err != nil {
		return nil, err
	}
	if database == "" {
		database = "sqlite://" + filepath.Join(dir, "weft.db")
	}
	log, err := os.Create(filepath.Join(dir, "controller.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	process, err := daemon.Start(daemon.Program{Log: log, Argv: []string{program, "--config", filepath.Join(dir, pki.ControllerFile), "--database", database,
		"--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--network", network, "--vxlan-port", vxlanPort}})
	if err != nil {
		return nil, err
	}
	c := &controller{Process: process, dir: dir}
	if err := c.ready(ctx, log.Name()); err != nil {
		c.Kill()
		return nil, err
	}
	return c, nil
}

// ready waits for the log line that says where the controller listens.
func (c *controller) ready(ctx context.Context, log string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err := gauge.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		text, err := os.ReadFile(log)
		for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
			var line struct {
				Msg, Listen string
				Internal    string `json:"internal_listen"`
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				c.external, c.internal = line.Listen, line.Internal
				return true, nil
			}
		}
		if gauge.Ended(c.Process) {
			err = errors.Join(err, fmt.Errorf("it has ended: %s", text))
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("start of weft-controller: %w", err)
	}
	token, err := os.ReadFile(filepath.Join(c.dir, "token"))
	c.client = api.NewClient("http://"+c.external, strings.TrimSpace(string(token)))
	return err
}

// inStep waits until the measured cell's switch is known to hold everything.
func (c *controller) inStep(ctx context.Context) error {
	return c.untilCell(ctx, func(cell api.Cell) bool { return cell.Connected && cell.Applied > 0 && !cell.Behind })
}

// untilCell polls what the controller knows of the measured cell.
func (c *controller) untilCell(ctx context.Context, is func(api.Cell) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var last api.Cell
	err := gauge.Poll(ctx, time.Millisecond, func() (bool, error) {
		cells, err := c.client.Cells(ctx)
		for _, cell := range cells {
			if cell.Cell == scene.CellID(0) {
				last = cell
				return is(cell), nil
			}
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("the controller says of the measured cell %+v: %w", last, err)
	}
	return nil
}

// vtep is a cell's tunnel end. Only the measured cell's is an address of this
// host.
func vtep(cell int) netip.Addr {
	if cell == 0 {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrFrom4([4]byte{172, 31, byte(cell >> 8), byte(cell)})
}
