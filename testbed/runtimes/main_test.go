package runtimes

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed/lab"
)

var update = flag.Bool("update", false, "write the transcripts into docs/cni.md")

// limit bounds all tests together; they take half a minute.
const limit = 5 * time.Minute

func TestMain(m *testing.M) {
	lab.BecomeInit()
	if lab.Inside() {
		os.Exit(lab.RunTestsHere(furnished{m}, limit))
	}
	if err := errors.Join(missing(), build()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	there := runtimeCgroups()
	code := lab.RunTestsHere(m, limit)
	sweepCgroups(there)
	os.Exit(code)
}

// furnished runs the tests once the namespaces look like a cell.
type furnished struct{ m *testing.M }

// Run implements what lab runs.
func (f furnished) Run() int {
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "runtimes, as root:", err)
		return 1
	}
	return f.m.Run()
}

// Where the cell's programs are.
const (
	ourBin     = "../../bin"    // built by us
	debianCNI  = "/usr/lib/cni" // the standard plugins, of containernetworking-plugins
	pluginDir  = "/opt/cni/bin"
	networkDir = "/etc/cni/net.d"
)

// missing names what is not installed, and how to install it.
func missing() error {
	var packages []string
	for program, of := range map[string]string{
		"podman": "podman", "containerd": "containerd", "ctr": "containerd", "runc": "runc", "busybox": "busybox-static", "nft": "nftables",
		"ip": "iproute2", "iptables": "iptables", "ovs-vswitchd": "openvswitch-switch", filepath.Join(debianCNI, "portmap"): "containernetworking-plugins",
	} {
		if _, err := exec.LookPath(program); err != nil {
			packages = append(packages, of)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	slices.Sort(packages)
	return fmt.Errorf("runtimes: programs are missing: make deps, or apt-get install --no-install-recommends %s", strings.Join(slices.Compact(packages), " "))
}

// build brings bin/ up to date, with flags as in the Makefile: what is, is not
// linked again.
func build() error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", ourBin+"/",
		"../../cni/cmd/weft-cni", "../../cellagent/cmd/weft-agent", "../../controller/cmd/weft-controller", "../../api/cmd/weft",
		"github.com/containernetworking/cni/cnitool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("runtimes: go build: %w\n%s", err, out)
	}
	return buildCrictl()
}

// crictl is no package of Debian's, and too large a family of modules for go.mod.
const crictl = "sigs.k8s.io/cri-tools/cmd/crictl@v1.34.0"

// buildCrictl makes it once: that takes minutes.
func buildCrictl() error {
	bin, err := filepath.Abs(ourBin)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(bin, "crictl")); err == nil {
		return nil
	}
	cmd := exec.Command("go", "install", "-trimpath", "-ldflags", "-s -w", crictl)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("runtimes: go install %s: %w\n%s", crictl, err, out)
	}
	return nil
}

// overlay has what is written to a folder go to the namespaces' own /run.
func overlay(dir string) error {
	upper, work := "/run/over"+dir+"/upper", "/run/over"+dir+"/work"
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	if err := syscall.Mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("mount an overlay on %s: %w", dir, err)
	}
	return nil
}

// furnish has what runtimes write go nowhere, and puts the plugins where they
// look for them.
func furnish() error {
	bin, err := filepath.Abs(ourBin)
	if err != nil {
		return err
	}
	for _, dir := range []string{"/etc", "/opt", "/var"} {
		if err := overlay(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{pluginDir, networkDir, "/run/tmp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	plugins, err := filepath.Glob(debianCNI + "/*")
	if err != nil {
		return err
	}
	for _, plugin := range append(plugins, filepath.Join(bin, "weft-cni")) {
		if err := os.Symlink(plugin, filepath.Join(pluginDir, filepath.Base(plugin))); err != nil {
			return err
		}
	}
	return errors.Join(mountCgroups(), syscall.Sethostname([]byte("cell-1")), makeRoot(),
		os.Setenv("TMPDIR", "/run/tmp"), os.Setenv("PATH", bin+":"+os.Getenv("PATH")))
}
