package e2e

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed"
)

// The host's tracker outlives containers, their rules and their mappings. What
// it remembers is not for those who come after.

// Who is given the address of a container that had a connection to the outside
// hears nothing of it, and cannot use it.
func TestNextOwnerHearsNothing(t *testing.T) {
	bed := bed(t)
	cell, outside := bed.Cell(1), bed.Outside()
	old := cell.RunWith("old", testbed.Wants{Egress: "udp 172.31.0.240 8081"})
	client := bed.Push(old, outside, "udp/8081").Client()
	next := old.Inherit("next")

	arrivals := next.Sniff()
	time.Sleep(time.Second) // the server outside goes on, and so keeps the host's memory alive
	if frames := arrivals.Frames(); len(frames) > 0 {
		t.Errorf("the next owner of %s has %d frames of the last one's connection: %s", next.IP, len(frames), testbed.Describe(frames[0]))
	}

	word, left := []byte("by the last owner's connection"), outside.Sniff()
	for range 5 {
		next.SendRaw(testbed.Datagram{SrcMAC: flows.MACOf(next.IP), DstMAC: flows.GatewayMAC, Src: client, Dst: outside.Port("udp/8081"), Payload: word})
	}
	time.Sleep(500 * time.Millisecond)
	if n := carrying(left, word); n > 0 {
		t.Errorf("%d of 5 datagrams of a container without egress rules have left by the last owner's connection", n)
	}
}

// A client of a port mapping whose container has stopped does not reach the
// next owner of the address.
func TestClientOfAMappingMeetsNoOtherContainer(t *testing.T) {
	bed := bed(t)
	cell, outside := bed.Cell(1), bed.Outside()
	old := cell.RunWith("old", testbed.Wants{PortsUDP: [][2]uint16{{61100, 5353}}})
	old.Serve("udp/5353")
	client := outside.Dial(0, netip.AddrPortFrom(cell.VTEP(), 61100))
	if err := bed.Eventually(func() error { return answered(client, []byte("mapped?")) }); err != nil {
		t.Fatalf("the mapped port: %v", err)
	}
	next := old.Inherit("next")

	next.Serve("udp/5353")
	word, arrivals := []byte("still mapped?"), next.Sniff()
	for range 3 {
		if err := answered(client, word); err == nil {
			t.Error("the next owner of the address answers a client of the last one's mapping")
		}
	}
	if n := carrying(arrivals, word); n > 0 {
		t.Errorf("the next owner of the address, without a mapping, has seen %d of them", n)
	}
}

// A service on another cell that sends back what it gets is no way into the
// overlay: not even from the tunnels' own port, which is a port like others.
func TestEchoIsNoTunnel(t *testing.T) {
	bed := bed(t)
	evil, victim := bed.Cell(1).RunWith("evil", testbed.Wants{Egress: "udp 172.31.0.2 9999"}), bed.Cell(1).Run("victim")
	friend, host := bed.Cell(2).Run("friend"), bed.Cell(2).Host()
	bed.Allow(friend, victim, "udp/8080")
	bed.Reaches(friend, victim, "udp/8080")
	host.Serve("udp/9999")
	socket := evil.Dial(flows.DefaultVXLANPort, host.Port("udp/9999"))
	if err := bed.Eventually(func() error { return answered(socket, []byte("honest")) }); err != nil {
		t.Errorf("an honest request from port %d: %v", flows.DefaultVXLANPort, err)
	}

	word, arrivals := []byte("as if from a friend"), victim.Sniff()
	forged := testbed.Forge(bed.Group(friend), testbed.Datagram{SrcMAC: flows.MACOf(friend.IP), DstMAC: flows.GatewayMAC,
		Src: friend.Port("udp/40000"), Dst: victim.Port("udp/8080"), Payload: word})
	for range 3 {
		if err := answered(socket, forged.Payload()); err != nil {
			t.Errorf("a request with a tunnel's packet inside, which is the service's to read: %v", err)
		}
	}
	if n := carrying(arrivals, word); n > 0 {
		t.Errorf("%d frames have come of what an echo sent back, out of the tunnel and as if from a friend", n)
	}
}

// answered says a word and returns nil if it comes back. Answers to earlier
// words may come late.
func answered(socket net.Conn, word []byte) error {
	if err := socket.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := socket.Write(word); err != nil {
		return err
	}
	for answer := make([]byte, 2048); ; {
		n, err := socket.Read(answer)
		if err != nil || bytes.Equal(answer[:n], word) {
			return err
		}
	}
}

// carrying returns how many frames with the word have arrived.
func carrying(arrivals *testbed.Sniffer, word []byte) int {
	n := 0
	for _, frame := range arrivals.Frames() {
		if bytes.Contains(frame, word) {
			n++
		}
	}
	return n
}
