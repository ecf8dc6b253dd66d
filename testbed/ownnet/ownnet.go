// Package ownnet gives a test the kernel's real network, conntrack and netfilter
// included, without touching the machine's: it runs the test again as a process
// in a network namespace of its own. It takes no root, only user namespaces.
package ownnet

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Inside runs the rest of the test in a network namespace of its own, in a
// process of its own; it returns false in the process that waits for it, which
// has nothing left to do.
func Inside(t *testing.T) bool {
	t.Helper()
	const key = "WEFT_TEST_IN_NAMESPACE"
	if os.Getenv(key) == t.Name() {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), key+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{Size: 1, HostID: os.Getuid()}},
		GidMappings: []syscall.SysProcIDMap{{Size: 1, HostID: os.Getgid()}},
	}
	out, err := cmd.CombinedOutput()
	t.Logf("in its namespace:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}
