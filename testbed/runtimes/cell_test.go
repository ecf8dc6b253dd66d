package runtimes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/dummyovs"
)

const (
	cellIP    = "192.0.2.1" // underlay
	outsideIP = "192.0.2.9" // of netns outside, which is no cell
	bridge    = "br-weft"

	// patience is how long something may take on a loaded machine.
	patience = 20 * time.Second
)

// cell is one cell with its controller, for one test. Its files are where a
// cell's are by default.
type cell struct {
	*testing.T
	sw  *dummyovs.Switch
	dir string // of configuration and logs
}

// newCell returns when containers can be attached.
func newCell(t *testing.T) *cell {
	t.Helper()
	c := &cell{T: t, dir: t.TempDir()}
	t.Cleanup(c.clear)
	c.must(`ip netns add outside; ip link add under0 type veth peer name eth0 netns outside
		ip addr add ` + cellIP + `/24 dev under0; ip link set under0 up
		ip -n outside addr add ` + outsideIP + `/24 dev eth0; ip -n outside link set eth0 up; ip -n outside link set lo up`)
	c.sw = dummyovs.StartUserspace(t)
	if err := os.Symlink(c.sw.RunDir(), "/run/openvswitch"); err != nil {
		t.Fatal(err)
	}
	c.startController()
	c.startAgent()
	c.carryMarks()
	return c
}

func (c *cell) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cell) startController() {
	c.Helper()
	c.must("weft-controller init --dir " + c.path("pki") + " --cells cell-1=" + cellIP + " --controller-names 127.0.0.1")
	c.write(c.path("weft-controller.yaml"), fmt.Sprintf(`listen: 127.0.0.1:4002
internal_listen: 127.0.0.1:4003
internal_tls: {cert_file: %[1]s/pki/controller.crt, key_file: %[1]s/pki/controller.key, ca_file: %[1]s/pki/ca.crt}
database: sqlite://%[1]s/weft.db
auth: {mode: token, token_file: %[1]s/token}
`, c.dir))
	c.start("weft-controller", "--config", c.path("weft-controller.yaml"))
	c.eventually("the controller answers", func() error { return c.try("weft cells") })
}

// startAgent returns when weft-cni's STATUS would.
func (c *cell) startAgent() {
	c.Helper()
	// The bridge is not compared again by itself: see carryMarks.
	c.write(c.path("weft-agent.yaml"), fmt.Sprintf(`cell: cell-1
underlay_ip: %[2]s
controller: https://127.0.0.1:4003
tls: {cert_file: %[1]s/pki/cell-1.crt, key_file: %[1]s/pki/cell-1.key, ca_file: %[1]s/pki/ca.crt}
datapath: netdev
reconcile_interval: 1h
`, c.dir, cellIP))
	c.start("weft-agent", "--config", c.path("weft-agent.yaml"))
	c.eventually("the host's side is made", func() error {
		return c.try("weft-agent status | grep -q 'host  *in step' && test -e /run/weft/subnet.json && weft cells | grep -q connected")
	})
}

// start runs a program until the test ends; what it says is shown if that fails.
func (c *cell) start(program string, args ...string) {
	c.Helper()
	file, err := os.Create(c.path(program + ".log"))
	if err != nil {
		c.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // the signal's
		if text, err := os.ReadFile(file.Name()); c.Failed() {
			c.Logf("%s (%v):\n%s", program, err, text)
		}
	})
}

// clear takes away what is not a process's, as far as there is any.
func (c *cell) clear() {
	c.must(`rm -rf /run/weft /run/openvswitch /var/lib/weft /var/lib/cni /etc/cni/net.d/*
		nft flush ruleset; ip netns del outside || true
		for link in under0 weftreject; do ip link del $link || true; done`)
}

func (c *cell) write(path, text string) {
	c.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.Fatal(err)
	}
}

// network makes the cell's only network of the plugins.
func (c *cell) network(version string, plugins string) {
	c.Helper()
	c.write(networkDir+"/10-weft.conflist", fmt.Sprintf("{\n  \"cniVersion\": %q,\n  \"name\": \"weft\",\n  \"plugins\": [%s]\n}\n", version, plugins))
}

// command is a shell script with the environment that people have on a cell.
func (c *cell) command(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Env = append(os.Environ(), "WEFT_API=http://127.0.0.1:4002", "WEFT_TOKEN_FILE="+c.path("token"), "CNI_PATH="+pluginDir)
	cmd.WaitDelay = time.Second // for what it may have left running with its output
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return string(out), fmt.Errorf("%s: %w\n%s%s", script, err, out, complaints.String())
	}
	return string(out), nil
}

// must runs a script that has to succeed, and returns what it printed.
func (c *cell) must(script string) string {
	c.Helper()
	out, err := c.command(script)
	if err != nil {
		c.Fatal(err)
	}
	return out
}

func (c *cell) try(script string) error {
	_, err := c.command(script)
	return err
}

// eventually polls.
func (c *cell) eventually(what string, condition func() error) {
	c.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("not within %s: %s: %v", patience, what, err)
		}
	}
}
