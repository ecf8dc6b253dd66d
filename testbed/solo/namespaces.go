package solo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// programs is the folder of the compiled programs.
var programs string

// inside is the environment variable of the process that is in the namespaces.
const inside = "WEFT_SOLO"

// Main is a package's TestMain: it runs the tests in network and mount
// namespaces of their own, with the programs built, and ends the process. It
// takes root.
func Main(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(again())
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// again runs this process once more, in the namespaces.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "tests of a whole cell, as root in namespaces of their own:", err)
		return 1
	}
	return 0
}

func run(m *testing.M) (code int, err error) {
	if programs, err = os.MkdirTemp("", "weft-solo"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(programs)
	lo, err := netlink.LinkByName("lo")
	err = errors.Join(err,
		build(filepath.Join(programs, "weft-cni"), "github.com/weft-sdn/weft/cni/cmd/weft-cni"),
		build(filepath.Join(programs, "weft-agent"), "github.com/weft-sdn/weft/cellagent/cmd/weft-agent"),
		os.MkdirAll("/run/netns", 0o755), syscall.Mount("netns", "/run/netns", "tmpfs", 0, ""))
	if err != nil {
		return 1, err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// build compiles a program as a release has it.
func build(path, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return nil
}

// Programs is the folder of the compiled weft-cni and weft-agent.
func Programs() string { return programs }
