package policyapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// controller is a weft-controller process.
type controller struct {
	cmd    *exec.Cmd
	url    string // of the external API
	token  string
	client *http.Client
	log    *os.File
	ended  chan struct{} // closed when the process is gone
}

// start makes certificates and starts a controller that keeps its data in the
// database. What it logs is in a file of the folder.
func (o Options) start(ctx context.Context, name, database string) (*controller, error) {
	dir := filepath.Join(o.Dir, name)
	if out, err := exec.CommandContext(ctx, o.Controller, "init", "--dir", dir, "--cells", "cell-1").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("weft-controller init: %w: %s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	c := &controller{
		log:    log,
		ended:  make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}},
	}
	c.cmd = exec.CommandContext(ctx, o.Controller, "--config", filepath.Join(dir, "weft-controller.yaml"), "--database", database,
		"--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0")
	c.cmd.Stderr = log
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		_ = c.cmd.Wait() // how it ended is in its log
		close(c.ended)
	}()
	if err := c.ready(dir); err != nil {
		return nil, c.stop(err)
	}
	return c, nil
}

// ready waits for the log line that says where the controller listens.
func (c *controller) ready(dir string) error {
	for deadline := time.Now().Add(startupPatient); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		listen, err := readyLine(c.log.Name())
		if err != nil {
			return err
		}
		if listen != "" {
			token, err := os.ReadFile(filepath.Join(dir, "token"))
			c.url, c.token = "http://"+listen+"/networking/v1/external", strings.TrimSpace(string(token))
			return err
		}
		select {
		case <-c.ended:
			text, _ := os.ReadFile(c.log.Name()) // for the error only
			return fmt.Errorf("weft-controller has ended: %s", text)
		default:
		}
	}
	return fmt.Errorf("weft-controller is not ready after %v: see %s", startupPatient, c.log.Name())
}

// readyLine returns the address in the log's line "ready", "" before there is one.
func readyLine(path string) (listen string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct{ Msg, Listen string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			return line.Listen, nil
		}
	}
	return "", nil
}

// peak returns the most memory that the process has had at any moment, in MiB.
func (c *controller) peak() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, is := strings.CutPrefix(line, "VmHWM:"); is {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")))
			return float64(n) / 1024, err
		}
	}
	return 0, fmt.Errorf("the kernel does not say VmHWM of process %d", c.cmd.Process.Pid)
}

// stop ends the process and returns err, the reason to stop, with what went
// wrong meanwhile.
func (c *controller) stop(err error) error {
	c.client.CloseIdleConnections()
	if failed := c.cmd.Process.Signal(syscall.SIGTERM); failed != nil && !errors.Is(failed, os.ErrProcessDone) {
		err = errors.Join(err, failed)
	}
	<-c.ended // the context kills one that does not obey
	return errors.Join(err, c.log.Close())
}
