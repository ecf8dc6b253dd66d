package runtimes

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const cgroupDir = "/sys/fs/cgroup"

// mountCgroups mounts the machine's hierarchies as it has them itself, be it one
// of version 2 or many: the namespaces' own /sys has none.
func mountCgroups() error {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	if strings.Count(string(text), "\n") <= 1 { // 0::/, version 2 alone; or none is mounted yet
		return mountCgroup(cgroupDir, "cgroup2", "")
	}
	if err := syscall.Mount("tmpfs", cgroupDir, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", cgroupDir, err)
	}
	for line := range strings.Lines(string(text)) { // 4:cpu,cpuacct:/…, 1:name=systemd:/…, 0::/…
		_, rest, _ := strings.Cut(line, ":")
		controllers, _, _ := strings.Cut(rest, ":")
		dir, kind, options := controllers, "cgroup", controllers
		if name, named := strings.CutPrefix(controllers, "name="); named {
			dir, options = name, "none,"+controllers
		} else if controllers == "" {
			dir, kind = "unified", "cgroup2"
		}
		if err := mountCgroup(filepath.Join(cgroupDir, dir), kind, options); err != nil {
			return err
		}
	}
	return nil
}

func mountCgroup(dir, kind, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("cgroup", dir, kind, 0, options); err != nil {
		return fmt.Errorf("mount %s (%s) on %s: %w", kind, options, dir, err)
	}
	return nil
}

// runtimeCgroups are the groups at the top that runtimes make: podman's and
// containerd's, of its default namespace and the kubelets'. A cgroup is no namespace's: what is left
// of them is left on the machine.
func runtimeCgroups() (all []string) {
	for _, pattern := range []string{cgroupDir + "/%s", cgroupDir + "/*/%s"} {
		for _, name := range []string{"libpod_parent", "default", "k8s.io"} {
			found, _ := filepath.Glob(fmt.Sprintf(pattern, name)) // the pattern is well formed
			all = append(all, found...)
		}
	}
	return all
}

// sweepCgroups removes those that were not there. What is somebody's has processes
// and cannot be removed.
func sweepCgroups(there []string) {
	for _, top := range runtimeCgroups() {
		if slices.Contains(there, top) {
			continue
		}
		var dirs []string
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) { // inner ones first
			_ = syscall.Rmdir(dir)
		}
	}
}
