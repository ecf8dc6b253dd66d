package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Files of the share between machine and lab.
const (
	shareDir   = "/run/weft-lab" // where the lab mounts it
	jobFile    = "job.json"      // written outside, read by process 1
	resultFile = "result.json"   // written by process 1 when the payload has ended
)

// order is the content of jobFile.
type order struct {
	Job
	ModuleRoot    string // for modprobe -d
	Term          string
	Rows, Columns uint16 // of the terminal; 0 if there is none
}

// result is the content of resultFile.
type result struct {
	Code  int
	Error string // why the payload could not be started
}

// errHung says that the emulated kernel stood still, with both CPUs busy in it
// for good, as was seen once in many hours of tests. The kernel notices, says
// where, and ends.
var errHung = errors.New("lab: the emulated kernel hung")

// boot runs the job on the lab kernel.
func boot(ctx context.Context, job Job) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("lab: this kernel has no openvswitch and the lab kernel is for amd64, not %s", runtime.GOARCH)
	}
	k, err := ensureKernel(ctx)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("lab: find this binary: %w", err)
	}
	dir, release, err := runDir()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer release()
	initramfs, err := buildInitramfs(ctx, k, self, dir)
	if err != nil {
		return fmt.Errorf("build the lab's initramfs: %w", err)
	}
	share := filepath.Join(dir, "share")
	if err := writeOrder(share, job, k); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	console := filepath.Join(dir, "console.log")
	emulator := exec.CommandContext(ctx, "qemu-system-x86_64", qemuArgs(k, initramfs, share, console, job)...)
	qemuErr := runTied(emulator, job.Interactive)
	res, err := readResult(share)
	switch {
	case err != nil && strings.Contains(tail(console, 400), "soft lockup"):
		return fmt.Errorf("%w\n%s", errHung, tail(console, 60))
	case err != nil:
		return fmt.Errorf("the lab ended without a result (qemu: %v): %w\n%s", qemuErr, err, tail(console, 40))
	case res.Error != "":
		return fmt.Errorf("lab: %s", res.Error)
	case res.Code != 0:
		return &ExitError{Code: res.Code}
	}
	return nil
}

// qemuArgs describes the lab: two emulated CPUs, or one whose clock counts
// instructions (KVM is absent or hangs on the machines this is for), no devices but the disk shares and the consoles, no
// network. The kernel's own messages go to a file, the payload's to our
// standard output over a virtio console, which is faster than a serial port.
func qemuArgs(k kernel, initramfs, share, console string, job Job) []string {
	stdio := "stdio,id=terminal,signal=on"
	if job.Interactive {
		stdio = "stdio,id=terminal,signal=off" // ^C belongs to the shell inside
	}
	cpus := []string{"-accel", "tcg,thread=multi,tb-size=512", "-smp", "2"}
	if job.CountedClock { // an instruction takes 2 ns; with two CPUs QEMU 7.2 does not get through the boot
		cpus = []string{"-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=1", "-smp", "1"}
	}
	return append(cpus,
		"-cpu", "max", "-m", "3072",
		"-nodefaults", "-display", "none", "-no-reboot",
		"-serial", "file:"+console,
		"-chardev", stdio, "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=terminal",
		"-kernel", k.image, "-initrd", initramfs,
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off audit=0 softlockup_panic=1 watchdog_thresh=20 "+envInit+"=vm",
		"-virtfs", "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap",
		"-virtfs", "local,path="+share+",mount_tag=share,security_model=none",
	)
}

// runTied runs cmd so that it cannot outlive this process: the kernel kills it
// when the thread that started it is gone, whatever ended us.
func runTied(cmd *exec.Cmd, interactive bool) error {
	runtime.LockOSThread() // the parent-death signal belongs to this thread
	defer runtime.UnlockOSThread()
	if interactive {
		cmd.Stdin = os.Stdin
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Run()
}

// runDir makes a directory for this run in the cache and removes those of runs
// that were killed: a run holds a lock on its directory while it lives.
func runDir() (dir string, release func(), err error) {
	cache, err := CacheDir()
	if err != nil {
		return "", nil, err
	}
	old, err := filepath.Glob(filepath.Join(cache, "run-*"))
	if err != nil {
		return "", nil, err
	}
	for _, d := range old {
		if f, err := lockDir(d); err == nil {
			os.RemoveAll(d)
			f.Close()
		}
	}
	if dir, err = os.MkdirTemp(cache, "run-"); err != nil {
		return "", nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return "", nil, err
	}
	return dir, func() { os.RemoveAll(dir); lock.Close() }, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

func writeOrder(share string, job Job, k kernel) error {
	if err := os.Mkdir(share, 0o755); err != nil {
		return err
	}
	o := order{Job: job, ModuleRoot: k.root, Term: os.Getenv("TERM")}
	if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil {
		o.Rows, o.Columns = size.Row, size.Col
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(share, jobFile), data, 0o644)
}

func readResult(share string) (result, error) {
	var res result
	data, err := os.ReadFile(filepath.Join(share, resultFile))
	if errors.Is(err, os.ErrNotExist) {
		return res, errors.New("the payload never reported its exit status")
	}
	if err != nil {
		return res, err
	}
	return res, json.Unmarshal(data, &res)
}

// tail returns the last n lines of a file, for a failure's report.
func tail(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
