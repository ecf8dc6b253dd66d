package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// envJob carries the job to process 1 of the namespaces.
const envJob = "WEFT_LAB_JOB"

// runDirect runs the job on this kernel. Its process 1 is that of a pid
// namespace: when it ends, or we do, the kernel kills everything in there, and
// the network namespaces and mounts go with it.
func runDirect(ctx context.Context, job Job) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("lab: find this binary: %w", err)
	}
	data, err := json.Marshal(job)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), envInit+"=direct", envJob+"="+string(data))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	err = runTied(cmd, job.Interactive)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return &ExitError{Code: exit.ExitCode()}
	}
	return err
}

// directInit is process 1 of the namespaces.
func directInit() (int, error) {
	var job Job
	if err := json.Unmarshal([]byte(os.Getenv(envJob)), &job); err != nil {
		return 0, fmt.Errorf("read the job: %w", err)
	}
	os.Unsetenv(envJob)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 0, fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}} {
		if err := mount(m.kind, m.dir, ""); err != nil {
			return 0, err
		}
	}
	job.Interactive = false  // the terminal is already ours
	job.CountedClock = false // nor can this kernel's clock be changed
	return runPayload(job, "TERM="+os.Getenv("TERM"))
}
