package solo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/containernetworking/plugins/pkg/netlinksafe"
	"github.com/vishvananda/netlink"
)

// bootIDFile is where the kernel says which boot this is (random(4)).
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// Reboot is what is left of a cell after its host was switched off and on: the
// disk, with the switch's database. All processes, devices, rules and what is in
// /run are gone, and the kernel has another boot id. The caller ends the
// containers' namespaces before.
func (c *Cell) Reboot() {
	c.Helper()
	c.KillAgent()
	c.Switch.KillVswitchd()
	c.Switch.KillServer()
	links, err := netlinksafe.LinkList()
	c.Must(err)
	for _, l := range links {
		if l.Attrs().Name != "lo" {
			if err := netlink.LinkDel(l); err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) && !errors.Is(err, syscall.ENODEV) {
				c.Fatalf("link %s: %v", l.Attrs().Name, err)
			}
		}
	}
	c.Must(exec.Command("nft", "flush", "ruleset").Run())
	for _, file := range []string{"subnet.json", "agent.sock"} {
		c.Must(os.Remove(c.Path(file)))
	}
	c.Must(c.newBootID())
	c.Switch.StartServer()
	c.Switch.StartVswitchd()
	c.StartAgent()
	c.InStep()
}

// newBootID has the kernel, as far as our mount namespace goes, say another one.
func (c *Cell) newBootID() error {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", random[:4], random[4:6], random[6:8], random[8:10], random[10:])
	path := c.Path("boot_id")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount(path, bootIDFile, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("another boot id: %w", err)
	}
	c.Cleanup(func() {
		if err := syscall.Unmount(bootIDFile, 0); err != nil {
			c.Errorf("the kernel's own boot id: %v", err)
		}
	})
	got, err := os.ReadFile(bootIDFile)
	if err == nil && strings.TrimSpace(string(got)) != strings.TrimSpace(text) {
		err = errors.New("the kernel still says the old boot id")
	}
	return err
}
