package gauge

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weft-sdn/weft/testbed/daemon"
)

// tick is the unit of CPU times in /proc (proc(5), sysconf(_SC_CLK_TCK)), the
// same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// CPU is the CPU time that these processes have used, in user and kernel mode.
func CPU(pids ...int) (time.Duration, error) {
	var ticks int
	for _, pid := range pids {
		fields, err := stat(pid)
		if err != nil {
			return 0, err
		}
		for _, field := range fields[11:13] { // utime, stime
			n, err := strconv.Atoi(field)
			if err != nil {
				return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}

// stat returns the fields of /proc/PID/stat from the third, the state, on: the
// second is the program's name, which may hold anything.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("process %d (has it ended? its log says why): %w", pid, err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields after the name: %s", pid, len(fields), text)
	}
	return fields, nil
}

// Memory is what a process holds in RAM, in MiB.
type Memory struct {
	RSS  float64 `json:"rss_mb"`  // now
	Peak float64 `json:"peak_mb"` // the most that it ever was
}

// MemoryOf reads VmRSS and VmHWM of a process (proc(5)).
func MemoryOf(pid int) (Memory, error) {
	var m Memory
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		for key, value := range map[string]*float64{"VmRSS:": &m.RSS, "VmHWM:": &m.Peak} {
			var kib float64
			if _, err := fmt.Sscanf(line, key+" %f kB", &kib); err == nil {
				*value = kib / 1024
				found++
			}
		}
	}
	if found != 2 {
		return m, fmt.Errorf("the kernel does not say VmRSS and VmHWM of process %d: has it ended?", pid)
	}
	return m, nil
}

// Stop asks a program to end, as an init system does, and returns when it is
// gone. At the end of ctx it is killed.
func Stop(ctx context.Context, p *daemon.Process) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return Reap(ctx, p)
}

// Reap returns when a program that was told to end is gone. At the end of ctx
// it is killed.
func Reap(ctx context.Context, p *daemon.Process) error {
	defer p.Kill() // also ends what supervises it
	err := Poll(ctx, time.Millisecond, func() (bool, error) { return Ended(p), nil })
	if err != nil {
		return fmt.Errorf("process %d does not end: %w", p.PID, err)
	}
	return nil
}

// Ended tells whether a program has.
func Ended(p *daemon.Process) bool {
	fields, err := stat(p.PID)
	return err != nil || fields[0] == "Z" // a zombie: nobody has asked for its status
}

// Poll calls done until it says so, it fails, or ctx ends.
func Poll(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(interval):
		}
	}
}
