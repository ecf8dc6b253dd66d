package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/weft-sdn/weft/cni"
	"github.com/weft-sdn/weft/testbed/solo"
)

// What tells weft-cni to die or to wait. Runtimes hand their environment on to
// plugins.
const (
	dieAfter  = "WEFT_TEST_DIE_AFTER"  // a step's name
	dieWithin = "WEFT_TEST_DIE_WITHIN" // a duration
	waitAfter = "WEFT_TEST_WAIT_AFTER" // a step's name
	meeting   = "WEFT_TEST_MEETING"    // folder where a plugin that waits and the test meet
	journal   = "WEFT_TEST_JOURNAL"    // file that gets the name of each step
)

// TestMain is weft-cni, too, if it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "weft-cni" {
		plugin()
		return
	}
	solo.Main(m)
}

func plugin() {
	if text := os.Getenv(dieWithin); text != "" {
		within, err := time.ParseDuration(text)
		if err != nil {
			panic(err)
		}
		time.AfterFunc(within, die)
	}
	p := cni.Plugin{Stdout: os.Stdout, After: after}
	if err := skel.PluginMainFuncsWithError(p.Funcs(), cni.Versions, ""); err != nil {
		_ = err.Print()
		os.Exit(1)
	}
}

// after is called after each step.
func after(step string) {
	if path := os.Getenv(journal); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintln(file, step)
			file.Close()
		}
		if err != nil {
			panic(err)
		}
	}
	switch step {
	case os.Getenv(dieAfter):
		die()
	case os.Getenv(waitAfter):
		folder := os.Getenv(meeting)
		if err := os.WriteFile(filepath.Join(folder, "waits"), nil, 0o600); err != nil {
			panic(err)
		}
		for !exists(filepath.Join(folder, "goes on")) {
			if !exists(folder) {
				die() // the test has failed
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal comes
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mortal is a container whose weft-cni is this program.
type mortal struct {
	*solo.Container
	t *testing.T
}

// belongings is a runtimeConfig with one of everything that a container can ask
// for: each is something more that could be left behind.
func belongings(hostPort int) map[string]any {
	return map[string]any{
		"portMappings": []any{map[string]any{"hostPort": hostPort, "containerPort": solo.Port, "protocol": "tcp"}},
		"bandwidth":    map[string]any{"ingressRate": 1e8, "ingressBurst": 1e8, "egressRate": 1e8, "egressBurst": 1e8},
		"netOutRules": []any{map[string]any{
			"protocol": 1, "networks": []any{map[string]any{"start": "198.51.100.7"}}, "ports": []any{map[string]any{"start": 443}},
		}},
	}
}

// newMortal makes a container that asks for everything; nothing is attached.
func newMortal(t *testing.T, c *solo.Cell, id string) *mortal {
	t.Helper()
	folder := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(folder, "weft-cni"))
	}
	if err != nil {
		t.Fatal(err)
	}
	x := &mortal{c.Container(id, "cats"), t}
	x.Plugins, x.Keys["runtimeConfig"] = folder, belongings(61000)
	return x
}

// killed runs what calls the plugin, which dies after the step.
func (x *mortal) killed(step string, call func() error) {
	x.t.Helper()
	x.t.Setenv(dieAfter, step)
	defer os.Unsetenv(dieAfter)
	if err := call(); err == nil || !died(err) {
		x.t.Fatalf("killed after %q: %v", step, err)
	}
}

// died reports whether the plugin was killed. Of one that has written its result
// libcni shows that instead of why it ended, and it holds no error.
func died(err error) bool {
	return strings.Contains(err.Error(), "killed") || strings.HasSuffix(err.Error(), "failed (add): ")
}

// killedWithin runs what calls the plugin, which dies at some moment, or has ended
// before.
func (x *mortal) killedWithin(moment time.Duration, call func() error) {
	x.t.Helper()
	x.t.Setenv(dieWithin, moment.String())
	defer os.Unsetenv(dieWithin)
	if err := call(); err != nil && !died(err) {
		x.t.Errorf("killed within %v: %v", moment, err)
	}
}

// held runs what calls the plugin, and something else while the plugin is held
// after the step. It returns what the call returned.
func (x *mortal) held(step string, call func() error, meanwhile func()) error {
	x.t.Helper()
	folder := x.t.TempDir()
	x.t.Setenv(waitAfter, step)
	x.t.Setenv(meeting, folder)
	defer os.Unsetenv(waitAfter)
	done := make(chan error, 1)
	go func() { done <- call() }()
	for !exists(filepath.Join(folder, "waits")) {
		select {
		case err := <-done:
			x.t.Fatalf("it ended before %q: %v", step, err)
		case <-time.After(time.Millisecond):
		}
	}
	meanwhile()
	if err := os.WriteFile(filepath.Join(folder, "goes on"), nil, 0o600); err != nil {
		x.t.Fatal(err)
	}
	return <-done
}

// steps are those of what call has the plugin do, in order.
func (x *mortal) steps(call func() error) ([]string, error) {
	x.t.Helper()
	path := filepath.Join(x.t.TempDir(), "steps")
	x.t.Setenv(journal, path)
	defer os.Unsetenv(journal)
	called := call()
	text, err := os.ReadFile(path)
	if err != nil {
		x.t.Fatal(err)
	}
	return slices.Collect(strings.Lines(strings.TrimSpace(string(text)))), called
}
