// Package daemon runs programs that must not outlive the test that starts them.
package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Program says what to run.
type Program struct {
	Argv []string
	Env  []string // besides ours
	Dir  string   // "" for ours
	Log  *os.File // takes what it writes to standard error; nil: nobody does. The caller closes it
}

// Process is a program that runs. It ends with its standard input, and so with
// us, however we end.
type Process struct {
	PID   int
	shell *exec.Cmd // supervises it
	stdin io.Closer
}

// supervise prints the program's process id and waits for the end of its
// standard input. Pdeathsig would be shorter, but it follows the thread that
// forked, and Go's threads may end.
const supervise = `"$@" </dev/null >/dev/null & echo $!; read -r _; kill -9 $!; wait`

// Start starts a program in our namespaces.
func Start(p Program) (*Process, error) {
	cmd := exec.Command("sh", append([]string{"-c", supervise, "sh"}, p.Argv...)...)
	cmd.Env, cmd.Dir = append(os.Environ(), p.Env...), p.Dir
	if p.Log != nil {
		cmd.Stderr = p.Log
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Argv[0], err)
	}
	started := &Process{shell: cmd, stdin: stdin}
	if _, err := fmt.Fscan(stdout, &started.PID); err != nil {
		started.Kill()
		return nil, fmt.Errorf("process id of %s: %w", p.Argv[0], err)
	}
	return started, nil
}

// Kill ends the program by SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	p.stdin.Close()
	_ = p.shell.Wait() // the shell's status is that of kill
}

// Signal sends the program a signal.
func (p *Process) Signal(signal syscall.Signal) error {
	if err := syscall.Kill(p.PID, signal); err != nil {
		return fmt.Errorf("%v to process %d: %w", signal, p.PID, err)
	}
	return nil
}

// Await returns when somebody listens on a unix socket, or with the last error.
func Await(ctx context.Context, socket string) error {
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Millisecond):
		}
	}
}
