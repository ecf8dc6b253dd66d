package hostnet

import (
	"net/netip"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestStrictReversePathFilterDoesNoHarm: the route of the lease leads where
// containers' packets come from, so whatever rp_filter is, mapped ports,
// masquerading and the host's own connections work. Package doctor judges by
// that.
func TestStrictReversePathFilterDoesNoHarm(t *testing.T) {
	p := newPlace(t)
	p.echo(p.outside, ":80")
	p.echo(p.container, ":8080")
	p.markReplies("8080")
	want := plain()
	want.Mappings = []Mapping{{flows.TCP, 61000, netip.MustParseAddrPort(containerIP + ":8080")}}
	p.ensure(want)
	for _, filter := range []string{"0", "1", "2"} {
		p.sh("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo " + filter + " > $f; done")
		p.expect(p.outside, "tcp4", cellIP+":61000", outsideIP, "a mapped port, with rp_filter "+filter)
		p.expect(p.container, "tcp4", outsideIP+":80", cellIP, "a container to the outside, with rp_filter "+filter)
		p.expect(p.cell, "tcp4", containerIP+":8080", cellIP, "the host to a container, with rp_filter "+filter)
	}
	filtered := func() string {
		return p.sh(`awk '/^TcpExt/ { for (i = 2; i <= NF; i++) if (!seen) name[i] = $i; else if (name[i] == "IPReversePathFilter") print $i; seen = 1 }' /proc/net/netstat`)
	}
	if n := filtered(); n != "0" {
		t.Errorf("the filter dropped %s packets", n)
	}
	p.sh("ip route del 10.255.1.0/24; echo 1 > /proc/sys/net/ipv4/conf/br-weft/rp_filter")
	p.expect(p.container, "udp4", outsideIP+":80", "silence", "without that route, what containers send is dropped")
	if n := filtered(); n == "0" {
		t.Error("it was not the filter that dropped it")
	}
}
