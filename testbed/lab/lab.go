package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
)

// Job is a program to run on a kernel that has Open vSwitch.
type Job struct {
	Args        []string      // the program, an absolute path, and its arguments
	Dir         string        // its working directory, absolute
	Env         []string      // its environment, besides PATH, HOME, TERM and TMPDIR
	Limit       time.Duration // the run is killed after it; 0 for none
	Interactive bool          // connect the terminal, for a shell

	// Here is for a program that does without the kernel's Open vSwitch: it runs
	// on this machine's kernel, in namespaces of its own.
	Here bool

	// The emulated kernel's clock counts instructions, on one CPU: what is
	// measured by it depends neither on this machine nor on how well the emulator
	// translates which code. Means nothing on a kernel that is not emulated.
	CountedClock bool
}

// ExitError says that the payload ended with a status other than zero.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d in the lab", e.Code) }

const (
	envInit   = "WEFT_LAB_INIT" // set for process 1: "vm" or "direct"
	envInside = "WEFT_LAB"      // set for the payload: the kernel it runs on

	envCounted = "WEFT_LAB_COUNTED_CLOCK" // set for the payload if it is so
)

// Inside reports whether this process already runs in the lab.
func Inside() bool { return os.Getenv(envInside) != "" }

// CountedClock reports whether this process runs in a lab whose clock counts
// instructions: Job.CountedClock was asked for, and the kernel is emulated.
func CountedClock() bool { return os.Getenv(envCounted) != "" }

// Run runs the job and returns when it has ended: nil for exit status zero, an
// *ExitError for another one, any other error when it could not be run or was
// killed. Its output goes to standard output as it is written.
func Run(ctx context.Context, job Job) error {
	if job.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, job.Limit, fmt.Errorf("killed after its time limit of %s", job.Limit))
		defer cancel()
	}
	run := runDirect
	if !job.Here && !KernelHasOpenvswitch() {
		fmt.Fprintln(os.Stderr, "lab: booting an emulated kernel with openvswitch; this machine's has none (some 10 s)")
		run = boot
	}
	err := run(ctx, job)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return fmt.Errorf("lab: %w", cause)
	}
	return err
}

// RunTests runs a test binary's tests in the lab; TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, 5*time.Minute)) }
//
// Outside the lab it boots it, with this same binary and arguments inside; once
// more, if the emulated kernel hangs.
func RunTests(m interface{ Run() int }, limit time.Duration) int {
	return runTests(m, Job{Limit: limit})
}

// RunTestsHere is RunTests for tests that do without the kernel's Open vSwitch:
// they run on this machine's kernel, in namespaces of their own.
func RunTestsHere(m interface{ Run() int }, limit time.Duration) int {
	return runTests(m, Job{Limit: limit, Here: true})
}

func runTests(m interface{ Run() int }, job Job) int {
	BecomeInit()
	if Inside() {
		return m.Run()
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: find the test binary:", err)
		return 1
	}
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: find the working directory:", err)
		return 1
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { cancel(parentEnds()) }()
	job.Args, job.Dir = append([]string{self}, os.Args[1:]...), dir
	err = Run(ctx, job)
	if errors.Is(err, errHung) {
		fmt.Fprintln(os.Stderr, err)
		fmt.Fprintln(os.Stderr, "lab: all tests once more, from the start")
		err = Run(ctx, job)
	}
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// parentEnds returns when our parent has: go test, killed, leaves its test
// binaries running.
func parentEnds() error {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(500 * time.Millisecond)
	}
	return errors.New("the parent process has ended")
}

// KernelHasOpenvswitch reports whether this kernel can run Open vSwitch's
// kernel datapath with VXLAN tunnels, loading the modules if it offers them.
func KernelHasOpenvswitch() bool {
	if os.Geteuid() != 0 {
		return false
	}
	// It may fail because they are built in; or absent, or not ours to load.
	modprobe := exec.Command("modprobe", "-q", "-a", "openvswitch", "vport_vxlan").Run()
	if _, err := netlink.GenlFamilyGet("ovs_datapath"); err != nil {
		return false
	}
	_, err := os.Stat("/sys/module/vport_vxlan")
	return modprobe == nil || err == nil
}

// CacheDir is where the lab keeps its kernel: weft-lab in the user's cache.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory for the lab kernel: %w", err)
	}
	return filepath.Join(base, "weft-lab"), nil
}
