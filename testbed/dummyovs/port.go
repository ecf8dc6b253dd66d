package dummyovs

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"time"
)

// Port is a port of a Bridge; the test is what is plugged into it.
type Port struct {
	Name   string
	OFPort int
	bridge *Bridge
	frames chan []byte
}

// queued bounds the frames that a port holds for the test.
const queued = 4096

// receiveTimeout is for frames that must come, on a loaded machine.
const receiveTimeout = 10 * time.Second

// AddPort adds a port with the given OpenFlow number.
func (b *Bridge) AddPort(name string, ofport int) *Port {
	b.t.Helper()
	socket := b.path(name + ".port")
	b.Vsctl("add-port", b.Name, name, "--", "set", "interface", name, "type=dummy",
		fmt.Sprintf("ofport_request=%d", ofport), "options:pstream=punix:"+socket)
	if err := waitFor(socket); err != nil {
		b.t.Fatalf("port %s: %v", name, err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		b.t.Fatalf("port %s: %v", name, err)
	}
	p := &Port{Name: name, OFPort: ofport, bridge: b, frames: make(chan []byte, queued)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.read(conn)
	}()
	b.t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return p
}

// read takes frames as lib/netdev-dummy.c writes them: a 16-bit length in
// network order, then the frame.
func (p *Port) read(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		var size uint16
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		select {
		case p.frames <- frame:
		default: // the test does not look; OVS drops at a full queue as well
		}
	}
}

// Send gives frames to the bridge as if the container had sent them, in order.
// The bridge handles them soon after; at most 50 at once are surely kept.
func (p *Port) Send(frames ...[]byte) {
	p.bridge.t.Helper()
	args := make([]string, 0, 1+len(frames))
	args = append(args, p.Name)
	for _, f := range frames {
		args = append(args, hex.EncodeToString(f))
	}
	p.bridge.Appctl("netdev-dummy/receive", args...)
}

// Receive returns the next frame that the bridge delivers, and fails the test
// if none comes.
func (p *Port) Receive() []byte {
	p.bridge.t.Helper()
	select {
	case f := <-p.frames:
		return f
	case <-time.After(receiveTimeout):
		p.bridge.t.Fatalf("port %s: no frame within %v", p.Name, receiveTimeout)
		return nil
	}
}

// Poll returns the next frame that the bridge has delivered, if there is one.
func (p *Port) Poll() ([]byte, bool) {
	select {
	case f := <-p.frames:
		return f, true
	default:
		return nil, false
	}
}
