package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// bootModules are what it takes to mount the machine's root over virtio-9p,
// with a layer in memory for what is written, and to speak to the terminal.
var bootModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console"}

// initScript is the initramfs's /init. %s is the binary that becomes process 1.
const initScript = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read module; do /bin/busybox insmod /modules/$module; done < /modules/order
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000,ro machine /machine
/bin/busybox mount -t tmpfs -o size=75%% memory /memory
/bin/busybox mkdir /memory/upper /memory/work
/bin/busybox mount -t overlay -o lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work root /root
exec /bin/busybox switch_root /root '%s'
`

// buildInitramfs writes the compressed initramfs to a file in dir.
func buildInitramfs(ctx context.Context, k kernel, self, dir string) (string, error) {
	if strings.ContainsRune(self, '\'') {
		return "", fmt.Errorf("the lab cannot start %q: its path has a quote", self)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return "", fmt.Errorf("busybox is missing: run make deps: %w", err)
	}
	tree := filepath.Join(dir, "initramfs")
	for _, d := range []string{"bin", "modules", "dev", "machine", "memory", "root"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			return "", err
		}
	}
	if err := copyFile(busybox, filepath.Join(tree, "bin", "busybox")); err != nil {
		return "", err
	}
	modules, err := k.insertionOrder(ctx, bootModules...)
	if err != nil {
		return "", err
	}
	var order strings.Builder
	for _, m := range modules {
		if err := copyFile(m, filepath.Join(tree, "modules", filepath.Base(m))); err != nil {
			return "", err
		}
		fmt.Fprintln(&order, filepath.Base(m))
	}
	if err := os.WriteFile(filepath.Join(tree, "modules", "order"), []byte(order.String()), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(tree, "init"), fmt.Appendf(nil, initScript, self), 0o755); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "initramfs.gz")
	_, err = output(ctx, tree, "sh", "-c", "find . | cpio --quiet -o -H newc | gzip -1 > ../initramfs.gz")
	return archive, err
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}
