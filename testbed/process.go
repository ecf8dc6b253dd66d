package testbed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
)

// process is a program that the bed started. What it prints goes to a file.
type process struct {
	name string
	log  string // path
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; then err is set
	err  error
}

// program says what to start.
type program struct {
	name string   // of the process and its log
	in   ns.NetNS // network namespace; nil for the lab's own
	env  []string // besides our environment
	argv []string
}

// start starts a program; its log is appended to, so that a restart keeps the
// story. The lab's process 1 ends it with the lab, however we end.
func (w *world) start(p program) (*process, error) {
	path := filepath.Join(w.dir, "log", p.name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := inNS(p.in, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	proc := &process{name: p.name, log: path, cmd: cmd, done: make(chan struct{})}
	go func() {
		proc.err = cmd.Wait()
		close(proc.done)
	}()
	return proc, nil
}

// output runs a short command and returns what it printed, on both its outputs.
func output(p program) (string, error) {
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	var out []byte
	err := inNS(p.in, func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(p.argv, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// run is output in the lab's own namespace.
func run(argv ...string) (string, error) { return output(program{argv: argv}) }

// inNS calls f on a thread that is in the namespace: a process or socket that
// it makes belongs there.
func inNS(space ns.NetNS, f func() error) error {
	if space == nil {
		return f()
	}
	return space.Do(func(ns.NetNS) error { return f() })
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop ends the process with the signal and waits until it is gone.
func (p *process) stop(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		return fmt.Errorf("stop %s: still there 20s after %s; killed it", p.name, signal)
	}
}

// lastLines returns the end of the process's log.
func (p *process) lastLines(n int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// await polls until the condition holds. It fails with the condition's last
// error, or at once when the process that should bring it about has ended.
func await(limit time.Duration, owner *process, condition func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := condition()
		switch {
		case err == nil:
			return nil
		case owner != nil && !owner.running():
			return fmt.Errorf("%s has ended (%v): %w\n%s", owner.name, owner.err, err, owner.lastLines(20))
		case time.Now().After(deadline):
			if owner != nil {
				return fmt.Errorf("not within %s: %w\n%s", limit, err, owner.lastLines(20))
			}
			return fmt.Errorf("not within %s: %w", limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
