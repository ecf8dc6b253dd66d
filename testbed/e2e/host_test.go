package e2e

import (
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// A mapped port of the cell is the container's, for clients outside, who keep
// their address. Nothing else of it can be reached from there.
func TestPortMappings(t *testing.T) {
	bed := bed(t)
	cell, outside := bed.Cell(1), bed.Outside()
	wants := testbed.Wants{Ports: [][2]uint16{{61000, 8080}, {61001, 2222}}, PortsUDP: [][2]uint16{{61000, 5353}}}
	back, neighbour := cell.RunWith("back", wants), cell.Run("neighbour")
	front := cell.Host()
	web := back.Serve("tcp/8080")
	for what, port := range map[string]string{"tcp/8080": "tcp/61000", "tcp/2222": "tcp/61001", "udp/5353": "udp/61000"} {
		back.Serve(what)
		if err := bed.Eventually(func() error { return outside.Probe(front, port) }); err != nil {
			t.Errorf("outside to the cell's %s, which is %s of the container: %v", port, what, err)
		}
	}
	if web.Received(outside.IP) == 0 || web.Total() != web.Received(outside.IP) {
		t.Errorf("the container has seen %d connections, %d of them with the client's address, want all", web.Total(), web.Received(outside.IP))
	}

	back.Serve("tcp/8081")
	time.Sleep(300 * time.Millisecond) // until those connections have ended
	arrivals := back.Sniff()
	for _, to := range []struct {
		station testbed.Party
		what    string
	}{{front, "tcp/8080"}, {front, "tcp/8081"}, {front, "tcp/61002"}, {back, "tcp/8080"}, {back, "tcp/8081"}, {back, "udp/5353"}} {
		if err := outside.Probe(to.station, to.what); err == nil {
			t.Errorf("outside reaches %s", to.what)
		}
	}
	if n := len(arrivals.Frames()); n > 0 {
		t.Errorf("%d frames of what is not mapped have reached the container: %s", n, testbed.Describe(arrivals.Frames()[0]))
	}
	// Mappings are for outside: within, apps are reached by policy.
	if err := neighbour.Probe(front, "tcp/61000"); err == nil {
		t.Errorf("a container of the same cell reaches the mapped port")
	}

	back.Stop()
	if err := outside.Probe(front, "tcp/61000"); err == nil {
		t.Errorf("the mapped port is open after its container has stopped")
	}
	next := cell.RunWith("next", testbed.Wants{Ports: [][2]uint16{{61000, 9090}}})
	next.Serve("tcp/9090")
	if err := bed.Eventually(func() error { return outside.Probe(front, "tcp/61000") }); err != nil {
		t.Errorf("the next container with that host port: %v", err)
	}
}

// The host reaches its own containers without a policy, as its health checks
// must, and those of no other cell.
func TestHostReachesItsContainers(t *testing.T) {
	bed := bed(t)
	near, far := bed.Cell(1).Run("app"), bed.Cell(2).Run("app")
	host := bed.Cell(1).Host()
	bed.Reaches(host, near, "tcp/8080")
	bed.Reaches(host, near, "udp/8080")
	bed.Blocked(host, far, "tcp/8080")
	bed.Blocked(host, far, "udp/8080")
}

// A host is closed to its containers, whatever their egress rules, but for the
// services that it is there to give. Those need no rule.
func TestHostIsClosedToItsContainers(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(1)
	open := cell.RunWith("open", testbed.Wants{Egress: "all 0.0.0.0-255.255.255.255"})
	plain, host := cell.Run("plain"), cell.Host()
	dns, service := cell.DNS(), cell.Service()
	for _, c := range []*testbed.Container{open, plain} {
		bed.Reaches(c, dns, "udp/53")
		bed.Reaches(c, dns, "tcp/53")
		bed.Reaches(c, service, "tcp/8301")
		bed.Refused(c, host, "tcp/9000")
		bed.Refused(c, host, "udp/9000")
		bed.Refused(c, dns, "tcp/8301")
		bed.Refused(c, service, "udp/8301")
	}
}
