package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// labModules are what the payload needs of the kernel. All by name: the kernel
// looks for modules where the machine has its own, and so loads none by itself.
var labModules = []string{
	"openvswitch", "vport_vxlan", "veth", "tun", "bridge", "dummy", "af_packet",
	// What the host's own rules use: to answer and log what is denied, and to
	// translate what leaves and enters the overlay.
	"nf_tables", "nf_conntrack", "nf_conntrack_netlink", "nfnetlink_log",
	"nft_ct", "nft_objref", "nft_limit", "nft_log", "nft_hash", "nft_fib", "nft_fib_ipv4", "nft_fib_inet",
	"nft_nat", "nft_chain_nat", "nft_masq", "nft_redir",
	"nft_reject", "nft_reject_inet", "nft_reject_ipv4", "nft_reject_bridge", "nft_meta_bridge",
	// What Open vSwitch limits bandwidth with.
	"sch_htb", "sch_ingress", "cls_basic", "cls_matchall", "cls_u32", "act_police",
}

// BecomeInit turns this process into process 1 of the lab and never returns,
// if the lab started it as that. Otherwise it does nothing. Programs that use
// the lab call it first.
func BecomeInit() {
	mode := os.Getenv(envInit)
	if os.Getpid() != 1 || mode == "" {
		return
	}
	os.Unsetenv(envInit)
	if mode == "direct" {
		code, err := directInit()
		if err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			code = 1
		}
		os.Exit(code)
	}
	code, err := vmInit()
	report(code, err)
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // qemu ends with it
	select {}
}

// vmInit is process 1 of the lab kernel: it makes a usable system, runs the
// payload and returns its status.
func vmInit() (int, error) {
	os.Setenv("PATH", systemPath)
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/dev/shm"}, {"devpts", "/dev/pts"},
	} {
		if err := mount(m.kind, m.dir, ""); err != nil {
			return 0, err
		}
	}
	if err := os.Symlink("/proc/self/fd", "/dev/fd"); err != nil { // a shell's <(command) wants it
		return 0, err
	}
	if err := mountShare(); err != nil {
		return 0, err
	}
	var o order
	data, err := os.ReadFile(filepath.Join(shareDir, jobFile))
	if err != nil {
		return 0, fmt.Errorf("read the job: %w", err)
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return 0, fmt.Errorf("read the job: %w", err)
	}
	if err := openTerminal(o); err != nil {
		return 0, err
	}
	modprobe := exec.Command("modprobe", append([]string{"-d", o.ModuleRoot, "-a"}, labModules...)...)
	if text, err := modprobe.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("load the lab's modules: %w: %s", err, text)
	}
	return runPayload(o.Job, "TERM="+o.Term)
}

func mount(kind, dir, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	if err := unix.Mount(kind, dir, kind, 0, options); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s on %s: %w", kind, dir, err)
	}
	return nil
}

func mountShare() error {
	if err := os.MkdirAll(shareDir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("share", shareDir, "9p", 0, "trans=virtio,version=9p2000.L"); err != nil {
		return fmt.Errorf("mount the share: %w", err)
	}
	return nil
}

// openTerminal makes the virtio console our standard input and output. Unless
// a person sits before it, it passes every byte as it is.
func openTerminal(o order) error {
	tty, err := unix.Open("/dev/hvc0", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open the lab's console: %w", err)
	}
	if !o.Interactive {
		mode, err := unix.IoctlGetTermios(tty, unix.TCGETS)
		if err != nil {
			return fmt.Errorf("read the console's mode: %w", err)
		}
		mode.Oflag &^= unix.OPOST
		mode.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(tty, unix.TCSETS, mode); err != nil {
			return fmt.Errorf("set the console's mode: %w", err)
		}
	} else if o.Rows > 0 {
		size := &unix.Winsize{Row: o.Rows, Col: o.Columns}
		if err := unix.IoctlSetWinsize(tty, unix.TIOCSWINSZ, size); err != nil {
			return fmt.Errorf("set the console's size: %w", err)
		}
	}
	for fd := range 3 {
		if err := unix.Dup2(tty, fd); err != nil {
			return fmt.Errorf("connect the console: %w", err)
		}
	}
	return nil
}

// runPayload starts the job and reaps every orphan until it has ended, as
// process 1 must.
func runPayload(job Job, env ...string) (int, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return 0, fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return 0, fmt.Errorf("set lo up: %w", err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return 0, err
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return 0, fmt.Errorf("uname: %w", err)
	}
	env = append(env, "PATH="+systemPath, "HOME="+homeDir(), "TMPDIR=/tmp", envInside+"="+unix.ByteSliceToString(uts.Release[:]))
	if job.CountedClock {
		env = append(env, envCounted+"=1")
	}
	attr := &os.ProcAttr{Dir: job.Dir, Env: append(env, job.Env...), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}}
	if job.Interactive {
		attr.Sys = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	}
	p, err := os.StartProcess(job.Args[0], job.Args, attr)
	if err != nil {
		return 0, fmt.Errorf("start the payload: %w", err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the payload: %w", err)
		case pid == p.Pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case pid == p.Pid && status.Exited():
			return status.ExitStatus(), nil
		}
	}
}

func homeDir() string {
	if home, err := os.UserHomeDir(); err == nil && home != "/" {
		return home
	}
	return "/root"
}

func report(code int, err error) {
	res := result{Code: code}
	if err != nil {
		res.Error = err.Error()
	}
	data, _ := json.Marshal(res)
	if err := os.WriteFile(filepath.Join(shareDir, resultFile), data, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "lab: report the result:", err)
	}
}

// ovsUptime is how long the kernel must have run before ovs-vswitchd starts:
// version 3.1.0 counts the CPUs only once the clock has passed 10 s, and before
// that makes no handlers at all and loses every packet. (A time namespace cannot help:
// the datapath stamps its flows with the kernel's own clock, so that vswitchd
// would take every flow for long idle and delete it.)
const ovsUptime = 11 * time.Second

// WaitForOVS returns when ovs-vswitchd may be started: on a kernel that has
// just booted, after ovsUptime.
func WaitForOVS() error {
	for {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			return fmt.Errorf("read the uptime: %w", err)
		}
		left := ovsUptime - time.Duration(info.Uptime)*time.Second
		if left <= 0 {
			return nil
		}
		time.Sleep(min(left, 200*time.Millisecond))
	}
}
