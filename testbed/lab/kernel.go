package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// kernel is an unpacked Debian kernel package. Nothing of it is installed: no
// boot loader, no hooks.
type kernel struct {
	image   string // bzImage
	root    string // what modprobe -d expects: it holds lib/modules
	release string // of uname -r
}

// Fetch makes sure that the lab kernel is in the cache: it downloads Debian's
// current one (70 MB) the first time.
func Fetch(ctx context.Context) error {
	_, err := ensureKernel(ctx)
	return err
}

func ensureKernel(ctx context.Context) (kernel, error) {
	cache, err := CacheDir()
	if err != nil {
		return kernel{}, err
	}
	root := filepath.Join(cache, "kernel")
	if k, err := openKernel(root); err == nil {
		return k, nil
	}
	if err := download(ctx, cache, root); err != nil {
		return kernel{}, fmt.Errorf("get a kernel for the lab: %w", err)
	}
	return openKernel(root)
}

func openKernel(root string) (kernel, error) {
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(images) == 0 {
		return kernel{}, fmt.Errorf("no kernel in %s", root)
	}
	release := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	return kernel{image: images[0], root: root, release: release}, nil
}

var imagePackage = regexp.MustCompile(`linux-image-[0-9]\S*-amd64`)

// download unpacks the package beside its place and renames it into it, so
// that a killed download leaves no half kernel.
func download(ctx context.Context, cache, root string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	depends, err := output(ctx, cache, "apt-cache", "depends", "linux-image-amd64")
	if err != nil {
		return err
	}
	pkg := imagePackage.FindString(depends)
	if pkg == "" {
		return fmt.Errorf("apt knows no kernel package of linux-image-amd64: run apt-get update (or make deps)")
	}
	tmp, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fmt.Fprintf(os.Stderr, "lab: downloading %s (70 MB, once; unpacked into %s, not installed)\n", pkg, root)
	if _, err := output(ctx, tmp, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages, want 1", pkg, len(debs))
	}
	unpacked := filepath.Join(tmp, "root")
	if _, err := output(ctx, tmp, "dpkg-deb", "-x", debs[0], unpacked); err != nil {
		return err
	}
	k, err := openKernel(unpacked)
	if err != nil {
		return err
	}
	if _, err := output(ctx, tmp, "depmod", "-b", unpacked, k.release); err != nil {
		return err
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	return os.Rename(unpacked, root)
}

// insertionOrder lists the module files to insert, in order, so that all of
// the named modules are loaded.
func (k kernel) insertionOrder(ctx context.Context, modules ...string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	for _, m := range modules {
		text, err := output(ctx, "/", "modprobe", "-d", k.root, "-S", k.release, "--show-depends", m)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) >= 2 && f[0] == "insmod" && !seen[f[1]] {
				seen[f[1]] = true
				order = append(order, f[1])
			}
		}
	}
	return order, nil
}

// output runs a command in dir and returns what it printed; its errors carry
// the command's own words.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+systemPath, "LC_ALL=C")
	if path, err := exec.LookPath(name); err == nil {
		cmd.Path = path
	} else if path := filepath.Join("/usr/sbin", name); fileExists(path) {
		cmd.Path, cmd.Err = path, nil // a user's PATH may lack sbin
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
