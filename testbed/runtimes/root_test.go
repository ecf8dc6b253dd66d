package runtimes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// containerRoot is the root file system of all containers: one static busybox.
const containerRoot = "/run/rootfs"

// makeRoot makes it from the machine's busybox, with a page for its httpd.
func makeRoot() error {
	for _, dir := range []string{"bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"} {
		if err := os.MkdirAll(filepath.Join(containerRoot, dir), 0o755); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(containerRoot, "bin/busybox"), program, 0o755); err != nil {
		return err
	}
	for _, applet := range []string{"httpd", "ip", "sh", "sleep", "timeout", "true", "wget"} {
		if err := os.Symlink("busybox", filepath.Join(containerRoot, "bin", applet)); err != nil {
			return fmt.Errorf("make the containers' root: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(containerRoot, "www/index.html"), []byte("hello\n"), 0o644)
}
