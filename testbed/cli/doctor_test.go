package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// startCell runs a controller and the agent of a cell alone, whose bridge is
// OVS's own dummy: nothing of this machine's network is touched. It returns the
// agent's socket.
func startCell(t *testing.T) (*dummyovs.Switch, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "controller")
	config, err := install(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(pki.Request{Dir: dir, Cells: []pki.Cell{{ID: "cell-1"}}, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })

	sw := dummyovs.StartOverride(t)
	cell := cellagent.DefaultConfig()
	cell.Cell, cell.UnderlayIP, cell.Datapath = "cell-1", "127.0.0.1", cellagent.DatapathAlone
	cell.Controller = "https://" + s.Internal.String()
	cell.TLS = cellagent.TLSFiles{CertFile: filepath.Join(dir, "cell-1.crt"), KeyFile: filepath.Join(dir, "cell-1.key"), CAFile: filepath.Join(dir, pki.AuthorityCert)}
	cell.OVSDB, cell.OVSRunDir = sw.DB(), sw.RunDir()
	cell.StateDir, cell.SubnetFile, cell.Socket = filepath.Join(sw.RunDir(), "state"), filepath.Join(sw.RunDir(), "subnet.json"), filepath.Join(sw.RunDir(), "agent.sock")
	cell.FlowLog.File = ""
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- cellagent.Run(ctx, cell, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("agent: %v", err)
		}
	})
	return sw, cell.Socket
}

// doctor runs weft doctor and returns its output, that of errors too, and its
// exit status.
func doctor(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "weft"), append([]string{"doctor"}, args...)...)
	cmd.Env = append(os.Environ(), "WEFT_API=http://127.0.0.1:1") // it asks no controller
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestDoctor: what a real agent finds, for people and for programs, and an exit
// status that scripts can use.
func TestDoctor(t *testing.T) {
	sw, socket := startCell(t)
	healthy := regexp.MustCompile(`(?m)^CHECK +LEVEL +FINDING
programs +ok +all that weft-agent runs are in its PATH
datapath +ok +bridge br-weft is on the userspace datapath, as the agent's file says
flow-restore-wait +ok +other_config:flow-restore-wait is not set
tunnel-port +ok +there is no tunnel: the cell is alone
underlay-mtu +ok +lo carries 127\.0\.0\.1; its MTU of 65536 bytes leaves 65485 for containers
offload +ok +.*
rp_filter +ok +no interface is concerned
ip_forward +ok +not needed: the host's side is off
notrack +ok +there is no tunnel to track
forward-policy +ok +not needed: the host's side is off
agent +ok +weft-agent does all that it has to do
$`)
	var out string
	var status int
	for end := time.Now().Add(20 * time.Second); !healthy.MatchString(out); time.Sleep(50 * time.Millisecond) {
		if out, status = doctor(t, "--socket", socket); time.Now().After(end) {
			t.Fatalf("after 20 s weft doctor still says\n%s", out)
		}
	}
	if status != 0 {
		t.Errorf("all is well, and the exit status is %d", status)
	}

	sw.Vsctl("--no-wait", "set", "open_vswitch", ".", "other_config:flow-restore-wait=true")
	for end := time.Now().Add(5 * time.Second); status == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, status = doctor(t, "--socket", socket)
	}
	if status != 1 || !strings.Contains(out, "\nflow-restore-wait  error  other_config:flow-restore-wait is set") ||
		!strings.Contains(out, "\n                          -> ovs-vsctl remove open_vswitch . other_config flow-restore-wait\n") || strings.Contains(out, "weft:") {
		t.Errorf("exit status %d\n%s", status, out)
	}
	if out, status = doctor(t, "--socket", socket, "-o", "json"); status != 1 || !strings.Contains(out, `"check": "flow-restore-wait",
      "level": "error",`) || !strings.HasPrefix(out, "{\n  \"cell\": \"cell-1\",") {
		t.Errorf("as JSON, exit status %d\n%s", status, out)
	}
}
