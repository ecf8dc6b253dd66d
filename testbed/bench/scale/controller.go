package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed/daemon"
)

const (
	startupPatience = 60 * time.Second
	// network has room for 32,767 cells, and vtep is outside of it.
	network = "10.0.0.0/9"
)

// controller is a weft-controller process that can be started again with the same
// addresses and database.
type controller struct {
	binary, dir string
	starts      int
	listen      string // of the external API; with a free port until it has one
	internal    string // where agents connect
	client      *api.Client
	process     *daemon.Process // nil: not running
}

// start starts the process and returns when it listens.
func (c *controller) start(ctx context.Context) error {
	c.starts++
	log, err := os.Create(filepath.Join(c.dir, fmt.Sprintf("controller-%d.log", c.starts)))
	if err != nil {
		return err
	}
	defer log.Close()
	c.process, err = daemon.Start(daemon.Program{Log: log, Argv: []string{
		c.binary, "--config", filepath.Join(c.dir, "weft-controller.yaml"), "--database", "sqlite://" + filepath.Join(c.dir, "weft.db"),
		"--network", network, "--listen", c.listen, "--internal-listen", c.internal,
	}})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(startupPatience); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if c.ready(log.Name()) {
			token, err := os.ReadFile(filepath.Join(c.dir, "token"))
			c.client = api.NewClient("http://"+c.listen, strings.TrimSpace(string(token)))
			return err
		}
	}
	text, _ := os.ReadFile(log.Name()) // for the error only
	return fmt.Errorf("weft-controller is not ready after %v: %.2000s", startupPatience, text)
}

// ready looks for the log's line that says where the controller listens.
func (c *controller) ready(log string) bool {
	file, err := os.Open(log)
	if err != nil {
		return false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			Msg, Listen string
			Internal    string `json:"internal_listen"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			c.listen, c.internal = line.Listen, line.Internal
			return true
		}
	}
	return false
}

// kill ends the process at once.
func (c *controller) kill() {
	if c.process != nil {
		c.process.Kill()
		c.process = nil
	}
}
