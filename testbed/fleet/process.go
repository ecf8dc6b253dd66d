package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// Process is a fleet in a process of its own, which ends with its standard input
// and so with us. Its methods are Fleet's; it does one thing at a time.
type Process struct {
	PID int

	killed sync.Once

	mu      sync.Mutex
	cmd     *exec.Cmd
	stdin   io.Closer
	tell    *json.Encoder
	answers *json.Decoder
}

// Start starts a program that calls Serve. What it writes to standard error is
// ours.
func Start(argv ...string) (*Process, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the fleet: %w", err)
	}
	return &Process{PID: cmd.Process.Pid, cmd: cmd, stdin: stdin, tell: json.NewEncoder(stdin), answers: json.NewDecoder(stdout)}, nil
}

// New makes the agents.
func (p *Process) New(o Options) error {
	_, err := p.ask(command{New: &o})
	return err
}

// Lease asks for all leases.
func (p *Process) Lease() error {
	_, err := p.ask(command{Lease: true})
	return err
}

// Connect has every agent open its stream.
func (p *Process) Connect() error {
	_, err := p.ask(command{Connect: true})
	return err
}

// Status counts what the fleet has seen and is.
func (p *Process) Status() (Status, error) {
	a, err := p.ask(command{Status: true})
	if err != nil {
		return Status{}, err
	}
	return *a.Status, nil
}

// Behave changes the manner of some cells' agents.
func (p *Process) Behave(cells []int, m Manner) error {
	_, err := p.ask(command{Behave: &m, Cells: cells})
	return err
}

// Churn changes containers, and returns what became of it.
func (p *Process) Churn(c Churn) (Churned, error) {
	a, err := p.ask(command{Churn: &c})
	if err != nil {
		return Churned{}, err
	}
	return *a.Churned, nil
}

// Restart replaces all containers of some cells, so many times.
func (p *Process) Restart(cells []int, times int) error {
	_, err := p.ask(command{Restart: times, Cells: cells})
	return err
}

// Kill ends the process and returns when it is gone. What it was asked fails.
func (p *Process) Kill() {
	p.killed.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // the status is that of the signal
		p.stdin.Close()
	})
}

func (p *Process) ask(c command) (answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.tell.Encode(c); err != nil {
		return answer{}, fmt.Errorf("tell the fleet: %w", err)
	}
	var a answer
	if err := p.answers.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("hear of the fleet: %w", err)
	}
	if a.Error != "" {
		return a, errors.New("fleet: " + a.Error)
	}
	return a, nil
}
