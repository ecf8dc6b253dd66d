package hostnet

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// flow is a UDP socket that goes on with what it has begun.
type flow struct {
	place *place
	conn  net.Conn
}

func (p *place) flow(dial func() (net.Conn, error)) flow {
	f := flow{place: p}
	conn, err := dial()
	p.must(err)
	p.t.Cleanup(func() { conn.Close() })
	f.conn = conn
	return f
}

// answered reports whether what it sends is answered.
func (f flow) answered() bool {
	f.place.must(f.conn.SetDeadline(time.Now().Add(300 * time.Millisecond)))
	if _, err := f.conn.Write([]byte("?")); err != nil {
		return false
	}
	_, err := f.conn.Read(make([]byte, 64))
	return err == nil
}

// TestRemovedMappingEnds for those who used it too: the next owner of the
// address must not get their packets.
func TestRemovedMappingEnds(t *testing.T) {
	p := newPlace(t)
	p.echo(p.container, ":8080")
	want := plain()
	want.Mappings = []Mapping{
		{flows.UDP, 61001, netip.MustParseAddrPort(containerIP + ":8080")},
		{flows.UDP, 61002, netip.MustParseAddrPort(containerIP + ":9090")},
	}
	p.ensure(want)
	var client flow
	p.in(p.outside, func() {
		client = p.flow(func() (net.Conn, error) { return net.Dial("udp4", cellIP+":61001") })
	})
	if !client.answered() {
		t.Fatal("a mapped port does not answer")
	}
	want.Mappings = want.Mappings[1:]
	p.must(p.host.SetMappings(t.Context(), want))
	if client.answered() {
		t.Error("a client goes on by a mapping that is gone")
	}
}

// TestAnswersAreMarked: the bridge must be able to tell them from what opens a
// connection.
func TestAnswersAreMarked(t *testing.T) {
	p := newPlace(t)
	p.echo(p.outside, ":80")
	p.echo(p.container, ":8080")
	p.sh(`nft 'table inet other { counter answers { }; counter questions { }
		chain late { type filter hook postrouting priority 10; oifname "br-weft" udp sport 80 meta mark & 0x06000000 == 0x06000000 counter name answers
			oifname "br-weft" udp dport 8080 meta mark & 0x06000000 == 0x04000000 counter name questions; }
	}'`)
	want := plain()
	want.Mappings = []Mapping{{flows.UDP, 61001, netip.MustParseAddrPort(containerIP + ":8080")}}
	p.ensure(want)
	p.expect(p.container, "udp4", outsideIP+":80", cellIP, "egress")
	p.expect(p.outside, "udp4", cellIP+":61001", outsideIP, "a mapping")
	if got := p.sh("nft list counters table inet other"); strings.Contains(got, "packets 0 ") {
		t.Errorf("marks are not as the bridge wants them:\n%s", got)
	}
}

// TestNobodyLeavesByTheTunnelsPort: an answer to it would be read as a tunnel's
// packet. The answer arrives all the same.
func TestNobodyLeavesByTheTunnelsPort(t *testing.T) {
	p := newPlace(t)
	p.ensure(plain())
	var server net.PacketConn
	var client flow
	p.in(p.outside, func() {
		var err error
		server, err = net.ListenPacket("udp4", outsideIP+":80")
		p.must(err)
	})
	defer server.Close()
	var port int
	go func() {
		buf := make([]byte, 64)
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			return
		}
		port = from.(*net.UDPAddr).Port
		_, _ = server.WriteTo(buf[:n], from)
	}()
	p.in(p.container, func() {
		client = p.flow(func() (net.Conn, error) {
			return net.DialUDP("udp4", &net.UDPAddr{Port: flows.DefaultVXLANPort}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(outsideIP+":80")))
		})
	})
	if !client.answered() {
		t.Error("no answer")
	}
	if port == 0 || port == flows.DefaultVXLANPort {
		t.Errorf("it left by port %d", port)
	}
}
