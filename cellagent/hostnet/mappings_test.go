package hostnet

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/weft-sdn/weft/flows"
)

// theirs maps port 8000 of the cell to the container's 8080, as CNI's portmap
// or an administrator does.
const theirs = `nft 'table ip theirs { chain c { type nat hook prerouting priority dstnat;
	tcp dport 8000 dnat to 10.255.1.2:8080; udp dport 8000 dnat to 10.255.1.2:8080;
}; }'`

// TestPortsThatOthersMapAreOpen: a rule of others on the host leads clients
// outside to a container. Nothing else opens with it, and it ends with it.
func TestPortsThatOthersMapAreOpen(t *testing.T) {
	p := newPlace(t)
	p.echo(p.container, ":8080")
	want := plain()
	want.Mappings = []Mapping{{flows.TCP, 61000, netip.MustParseAddrPort(containerIP + ":8080")}}
	p.ensure(want)
	p.expect(p.outside, "tcp4", cellIP+":8000", "refused", "nobody maps it yet")
	p.sh(theirs)
	p.expect(p.outside, "tcp4", cellIP+":8000", outsideIP, "a mapping of others keeps the client's address")
	p.expect(p.outside, "udp4", cellIP+":8000", outsideIP, "a mapping of others keeps the client's address")
	p.expect(p.outside, "tcp4", cellIP+":61000", outsideIP, "ours works beside it")
	p.expect(p.outside, "tcp4", containerIP+":8080", "silence", "containers' own addresses stay closed")
	p.expect(p.outside, "udp4", containerIP+":8080", "silence", "containers' own addresses stay closed")
	p.expect(p.container, "tcp4", cellIP+":8000", "refused", "mappings are not for containers of the cell")
	p.sh("nft delete table ip theirs")
	p.expect(p.outside, "tcp4", cellIP+":8000", "refused", "the rule is gone")
}

// TestNoContainerGoesThroughWhatOthersMap: not to another one of the cell, by
// whatever address the rule takes, nor to the host's loopback where portmap has
// made that routable.
func TestNoContainerGoesThroughWhatOthersMap(t *testing.T) {
	p := newPlace(t)
	p.ensure(plain())
	p.sh(strings.ReplaceAll(theirs, "10.255.1.2", "10.255.1.3") + "; sysctl -qw net.ipv4.conf.br-weft.route_localnet=1")
	p.echo(p.cell, "127.0.0.1:9")
	before := p.count("inet closed")
	p.expect(p.container, "tcp4", outsideIP+":8000", "silence", "it would lead back to the overlay")
	p.expect(p.container, "udp4", outsideIP+":8000", "silence", "it would lead back to the overlay")
	if p.count("inet closed") < before+2 {
		t.Error("what was closed is not counted")
	}
	p.in(p.container, func() {
		p.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route del local 127.0.0.0/8 table local; ip route del local 127.0.0.1 table local")
	})
	p.expect(p.container, "udp4", "127.0.0.1:9", "refused", "loopback is the host's own")
}

// TestEndedMappingIsNotTakenForTheirs: the tracker remembers a connection that
// led to a container; whether it goes on depends on whose mapping that was.
func TestEndedMappingIsNotTakenForTheirs(t *testing.T) {
	p := newPlace(t)
	p.echo(p.container, ":8080")
	want := plain()
	want.Mappings = []Mapping{{flows.UDP, 61000, netip.MustParseAddrPort(containerIP + ":8080")}}
	p.ensure(want)
	p.sh(theirs)
	ours, others := p.talk(p.outside, cellIP+":61000"), p.talk(p.outside, cellIP+":8000")
	if !ours() || !others() {
		t.Fatal("the mappings do not work")
	}
	want.Mappings = nil
	p.must(p.host.SetMappings(t.Context(), want))
	if ours() {
		t.Error("a mapping that ended is still open to who used it")
	}
	if !others() {
		t.Error("a mapping of others ended with ours")
	}
}

// TestForgottenHostPortsComeBack: the set that says which ports are ours is
// repaired as the map is.
func TestForgottenHostPortsComeBack(t *testing.T) {
	p := newPlace(t)
	want := full()
	p.ensure(want)
	for _, harm := range []string{
		"nft flush set inet weft tcp_mapped", "nft 'add element inet weft udp_mapped { 7 }'", "nft flush set inet weft tcp_open",
	} {
		p.sh(harm)
		if changed := p.ensure(want); len(changed) != 1 || changed[0] != "port mappings" {
			t.Errorf("%s: repaired %q", harm, changed)
		}
		if again := p.ensure(want); len(again) != 0 {
			t.Errorf("%s: after the repair it still changes %q", harm, again)
		}
	}
}

// talk returns a function that asks from one and the same socket, and reports
// whether it was answered.
func (p *place) talk(from netns.NsHandle, address string) func() bool {
	p.t.Helper()
	var conn net.Conn
	p.in(from, func() {
		var err error
		conn, err = dial("udp4", netip.MustParseAddrPort(address))
		p.must(err)
	})
	p.t.Cleanup(func() { conn.Close() })
	return func() bool {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write([]byte("?")); err != nil {
			p.t.Fatal(err)
		}
		_, err := conn.Read(make([]byte, 64))
		return err == nil
	}
}
