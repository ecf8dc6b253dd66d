package hostnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/weft-sdn/weft/flows"
)

// place is a cell, one container and one outsider, each in a network namespace
// of its own, with real packets between them. The test's thread is in the
// cell's.
//
//	container 10.255.1.2 ── br-weft  cell  under0 192.0.2.1 ── 192.0.2.9 outside
//	switch ──────────────── weftdeny
//
// A veth pair stands for the OVS bridge: it hands everything from br-weft to
// the container, and what the test sends from the switch comes out of weftdeny.
type place struct {
	t                                *testing.T
	cell, container, outside, bridge netns.NsHandle
	host                             *Host
}

const (
	containerIP = "10.255.1.2"
	cellIP      = "192.0.2.1"
	outsideIP   = "192.0.2.9"
)

func newPlace(t *testing.T) *place {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	p := &place{t: t, host: &Host{}}
	home, err := netns.Get()
	p.must(err)
	for _, h := range []*netns.NsHandle{&p.container, &p.outside, &p.bridge, &p.cell} {
		*h, err = netns.New()
		p.must(err)
		p.sh("ip link set lo up")
	}
	t.Cleanup(func() {
		_ = netns.Set(home)
		for _, h := range []netns.NsHandle{p.container, p.outside, p.bridge, p.cell, home} {
			h.Close()
		}
	})
	p.pair("br-weft", p.container, "eth0")
	p.pair("under0", p.outside, "eth0")
	p.pair(DenyDevice, p.bridge, DenyDevice)
	p.sh("ip addr add " + cellIP + "/24 dev under0; ip link set under0 up; ip link set br-weft address " + flows.GatewayMAC.String())
	p.in(p.outside, func() {
		p.sh("ip addr add " + outsideIP + "/24 dev eth0; ip addr add 10.0.0.9/32 dev lo; ip link set eth0 up; ip route add 10.255.0.0/16 via " + cellIP)
	})
	p.in(p.container, func() { // its MAC is where the host's neighbour entry points
		p.sh("ip link set eth0 address " + flows.GatewayMAC.String() + " up; ip addr add " + containerIP + "/32 dev eth0; ip route add default dev eth0")
		p.sh("ip neigh add 169.254.0.1 lladdr " + flows.GatewayMAC.String() + " dev eth0; ip route replace default via 169.254.0.1 dev eth0 onlink")
	})
	p.in(p.bridge, func() { p.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set " + DenyDevice + " up") })
	p.sh("ip route add 10.0.0.0/8 via " + outsideIP + "; ip link set br-weft up")
	for _, device := range []string{"br-weft", "under0"} { // a veth passes nothing until the kernel has noticed its carrier
		p.sh("until ip -o link show " + device + " | grep -q 'state UP'; do sleep 0.01; done")
	}
	return p
}

// pair makes a veth pair between the cell and another namespace.
func (p *place) pair(here string, there netns.NsHandle, peer string) {
	p.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = here
	p.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: netlink.NsFd(there)}))
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// in does something in another namespace. Sockets made there stay there.
func (p *place) in(space netns.NsHandle, do func()) {
	p.t.Helper()
	p.must(netns.Set(space))
	defer func() { p.must(netns.Set(p.cell)) }()
	do()
}

// sh runs a shell command in the present namespace.
func (p *place) sh(script string) string {
	p.t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// ensure makes the cell as wanted.
func (p *place) ensure(want State) []string {
	p.t.Helper()
	changed, err := p.host.Ensure(p.t.Context(), want)
	p.must(err)
	return changed
}

// echo serves on TCP and UDP: it says from where it was spoken to.
func (p *place) echo(space netns.NsHandle, address string) {
	p.t.Helper()
	p.in(space, func() {
		listener, err := net.Listen("tcp4", address)
		p.must(err)
		packets, err := net.ListenPacket("udp4", address)
		p.must(err)
		p.t.Cleanup(func() { listener.Close(); packets.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, conn.RemoteAddr().(*net.TCPAddr).IP.String())
				conn.Close()
			}
		}()
		go func() {
			buf := make([]byte, 64)
			for {
				_, from, err := packets.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = packets.WriteTo([]byte(from.(*net.UDPAddr).IP.String()), from)
			}
		}()
	})
}

// patience is how long a packet may take here.
const patience = 400 * time.Millisecond

// ask connects and returns what the server said, "refused" or "silence".
func (p *place) ask(from netns.NsHandle, network, address string) (answer string) {
	p.t.Helper()
	p.in(from, func() {
		ctx, cancel := context.WithTimeout(p.t.Context(), patience)
		defer cancel()
		target := netip.MustParseAddrPort(address)
		conn, err := dial(network, target)
		if err != nil {
			p.t.Fatal(err)
		}
		defer conn.Close()
		deadline, _ := ctx.Deadline()
		_ = conn.SetDeadline(deadline)
		if network == "udp4" {
			_, err = conn.Write([]byte("?"))
		}
		buf := make([]byte, 64)
		var n int
		if err == nil {
			n, err = conn.Read(buf)
		}
		var slow net.Error
		switch {
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
			answer = "refused"
		case errors.As(err, &slow) && slow.Timeout(), errors.Is(err, syscall.ETIMEDOUT):
			answer = "silence"
		case err != nil:
			answer = err.Error()
		default:
			answer = string(buf[:n])
		}
	})
	return answer
}

// expect is for tables of who reaches what.
func (p *place) expect(from netns.NsHandle, network, address, want, why string) {
	p.t.Helper()
	if got := p.ask(from, network, address); got != want {
		p.t.Errorf("%s to %s: %q, expected %q: %s", network, address, got, want, why)
	}
}

// count returns a counter.
func (p *place) count(counter string) uint64 {
	p.t.Helper()
	all, err := Counts(p.t.Context())
	p.must(err)
	n, there := all[counter]
	if !there {
		p.t.Fatalf("no counter %q in %v", counter, fmt.Sprint(all))
	}
	return n
}

// markReplies does what the bridge does with a container's answers to the host.
func (p *place) markReplies(port string) {
	p.sh(fmt.Sprintf(`nft 'table netdev switch { chain c { type filter hook ingress device "br-weft" priority 0;
		tcp sport %s meta mark set %#x; }; }'`, port, uint32(flows.ReplyMark)))
}
