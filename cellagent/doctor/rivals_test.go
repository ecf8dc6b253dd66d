package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/ovsdb/mirror"
	"github.com/weft-sdn/weft/testbed/dummyovs"
	"github.com/weft-sdn/weft/testbed/ownnet"
)

// database starts OVS with the cell's bridge.
func database(t *testing.T) (*dummyovs.Switch, *mirror.Client) {
	t.Helper()
	sw := dummyovs.Start(t)
	db, err := mirror.Dial(t.Context(), sw.DB())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.EnsureBridge(t.Context(), mirror.Bridge{Name: "br-weft", Cell: "cell-1"}); err != nil {
		t.Fatal(err)
	}
	return sw, db
}

// ovsTunnel makes the kernel's interface of a GBP tunnel as ovs-vswitchd does,
// says whether that works, and removes it.
func ovsTunnel() bool {
	make := `ip link add vxlan_sys_4789 type vxlan external dstport 4789 gbp udp6zerocsumrx nolearning && ip link set vxlan_sys_4789 up`
	works := exec.Command("sh", "-c", make).Run() == nil
	_ = exec.Command("ip", "link", "del", "vxlan_sys_4789").Run() // if it was made at all
	return works
}

// otherNetwork is a process in a network namespace of its own.
func otherNetwork(t *testing.T) (pid string, end func()) {
	t.Helper()
	other := exec.Command("unshare", "-n", "sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	pid = strconv.Itoa(other.Process.Pid)
	waitFor(t, "it has a network of its own", func() bool {
		here, err1 := os.Readlink("/proc/self/ns/net")
		there, err2 := os.Readlink("/proc/" + pid + "/ns/net")
		return err1 == nil && err2 == nil && here != there
	})
	return pid, func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}
}

// TestWhoHasTheTunnelsPort: somebody is named exactly when the kernel refuses
// the tunnel.
func TestWhoHasTheTunnelsPort(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	_, db := database(t)
	for _, c := range []struct {
		name, script string
		by           string // "" for nobody
	}{
		{"nobody", "true", ""},
		{"a VXLAN interface", "ip link add x type vxlan id 5 dstport 4789; ip link set x up", "the kernel's VXLAN interface x"},
		{"one with group policy", "ip link add x type vxlan id 5 dstport 4789 gbp; ip link set x up", "the kernel's VXLAN interface x"},
		{"one of IPv6", "ip link add x type vxlan id 5 dstport 4789 local ::1 remote ::2 dev lo; ip link set x up", "the kernel's VXLAN interface x"},
		{"one on another address", "ip link add x type vxlan id 5 dstport 4789 local 198.51.100.1 dev under1; ip link set x up", "the kernel's VXLAN interface x"},
		{"one like OVS's", "ip link add x type vxlan external dstport 4789 gbp udp6zerocsumrx", "the kernel's VXLAN interface x"},
		{"one that is down", "ip link add x type vxlan id 5 dstport 4789", ""},
		{"one on another port", "ip link add x type vxlan id 5 dstport 8472; ip link set x up", ""},
		{"one that moved away", "ip link add x type vxlan id 5 dstport 4789; ip link set x netns $OTHER; nsenter -t $OTHER -n ip link set x up", "another network namespace"},
	} {
		other, end := otherNetwork(t)
		sh(t, "OTHER="+other+"; "+c.script)
		holdsWhatItSays(t, cell, db, c.name, c.by)
		_ = exec.Command("ip", "link", "del", "x").Run() // where it has not moved away
		end()
		waitFor(t, "x is gone with its namespace", func() bool { return ovsTunnel() })
	}
	socket, err := net.ListenPacket("udp4", "127.0.0.1:4789")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	holdsWhatItSays(t, cell, db, "a process", fmt.Sprintf("process exe (pid %d), which listens on 127.0.0.1:4789", os.Getpid()))
}

// holdsWhatItSays compares what is said with what the kernel does.
func holdsWhatItSays(t *testing.T, cell Cell, db *mirror.Client, name, want string) {
	t.Helper()
	port, err := LookTunnelPort(db, cell)
	if err != nil {
		t.Fatal(err)
	}
	by, remedy := port.Taken()
	if !strings.Contains(by, want) || (by == "") != (want == "") || (remedy == "") != (want == "") {
		t.Errorf("%s: taken by %q, remedy %q, want %q (%+v)", name, by, remedy, want, port)
	}
	if works := ovsTunnel(); works != (want == "") {
		t.Errorf("%s: the kernel lets OVS have its tunnel: %v", name, works)
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 5 s: %s", what)
		}
	}
}

// TestOwnInterfaceIsNobodysRival: what OVS made in the kernel is the tunnel.
func TestOwnInterfaceIsNobodysRival(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	_, db := database(t)
	sh(t, "ip link add vxlan_sys_4789 type vxlan external dstport 4789 gbp udp6zerocsumrx nolearning; ip link set vxlan_sys_4789 up")
	port, err := LookTunnelPort(db, cell)
	if by, _ := port.Taken(); err != nil || by != "" {
		t.Errorf("taken by %q, %v", by, err)
	}
}

// TestRivalsInTheDatabase: of two tunnels on one UDP port, ovs-vswitchd makes
// one; whose is told, as is who waits for his turn.
func TestRivalsInTheDatabase(t *testing.T) {
	if !ownnet.Inside(t) {
		return
	}
	cell := host(t)
	cell.UDPPort = 4788 // OVS's userspace loses a GBP tunnel on 4789 at the next reconfiguration
	sw, db := database(t)
	sw.AddBridge("br-other")
	rival := func() {
		_, _ = sw.Try("", "ovs-vsctl", "--db="+sw.DB(), "--timeout=5", "add-port", "br-other", "vx9", "--", "set", "interface", "vx9", "type=vxlan",
			"options:remote_ip=192.0.2.9", "options:dst_port=4788") // fails, in the database, when its turn has not come
	}
	ours := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return db.EnsureTunnel(ctx, cell.Bridge, mirror.Tunnel{Name: cell.Tunnel, OFPort: 1, UDPPort: cell.UDPPort})
	}
	said := func(what string, is func(TunnelPort) bool) {
		t.Helper()
		var last TunnelPort
		waitFor(t, what, func() bool {
			var err error
			if last, err = LookTunnelPort(db, cell); err != nil {
				t.Fatal(err)
			}
			return is(last)
		})
	}
	taken := func(p TunnelPort) bool {
		by, remedy := p.Taken()
		return strings.Contains(by, "port vx9 of bridge br-other") && strings.Contains(remedy, "ovs-vsctl del-port br-other vx9")
	}
	rival()
	said("the other is named", taken)
	if err := ours(); err == nil {
		t.Error("ovs-vswitchd makes both: is it wrong that one must go?")
	}
	said("the other is named while ours is refused", func(p TunnelPort) bool { return taken(p) && p.Error != "" })
	sw.Vsctl("del-port", "vx9")
	said("nobody is named when it is gone", func(p TunnelPort) bool { by, _ := p.Taken(); return by == "" && !p.Made })
	if err := ours(); err != nil {
		t.Fatal(err)
	}
	rival()
	said("ours is made, and the other waits", func(p TunnelPort) bool {
		by, _ := p.Taken()
		waits, _ := p.wanted()
		return p.Made && by == "" && strings.Contains(waits, "vx9 of bridge br-other")
	})
}

// TestParseSocket: lines of /proc/net/udp and udp6, on a little-endian machine.
func TestParseSocket(t *testing.T) {
	for line, want := range map[string]string{
		" 6452: 0100007F:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 299143 2 0000000047aab5ac 0":                                      "127.0.0.1:4789",
		" 6452: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 299143 2 0000000047aab5ac 0":                                      "0.0.0.0:4789",
		" 6452: 00000000000000000000000001000000:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 299143 2 00000000679c5729 0": "[::1]:4789",
		"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops":                                          "",
		" 1: 0100007F:XYZ 0 0 0 0 0 0 0 1": "", "": "", " 1: 00:12B5 0 0 0 0 0 0 0 1": "",
	} {
		local, inode, ok := parseSocket(line)
		if ok != (want != "") || (ok && (local.String() != want || inode != "299143")) {
			t.Errorf("%q: %v, %q, %v, want %q", line, local, inode, ok, want)
		}
	}
}
