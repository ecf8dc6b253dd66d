package dummyovs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// Tunnel is what the tunnel header of an injected packet said.
type Tunnel struct {
	InPort   int // the tunnel port
	ID       uint64
	Src, Dst netip.Addr // of the outer packet, IPv4
	GBPID    uint16
	GBPFlags uint8
}

// Host is the bridge's own port, LOCAL, by which the host sends.
type Host struct {
	Mark uint32 // the packet's mark (SO_MARK, nftables' meta mark)
}

// Entrance is where an injected packet comes from: a Tunnel or the Host.
type Entrance interface {
	oxm() []byte    // struct ofp_match
	before() []byte // actions on the packet before the tables see it
}

// PacketOut sends frames through the bridge's tables as if they had come in
// there. It returns when the bridge has handled them.
func (b *Bridge) PacketOut(from Entrance, frames ...[]byte) {
	b.t.Helper()
	if b.of == nil {
		of, err := dialOpenflow(b.path(b.Name + ".mgmt"))
		if err != nil {
			b.t.Fatalf("connect to bridge %s: %v", b.Name, err)
		}
		b.t.Cleanup(func() { of.conn.Close() })
		b.of = of
	}
	for _, f := range frames {
		if err := b.of.send(typePacketOut, packetOut(from, f)); err != nil {
			b.t.Fatalf("packet-out: %v", err)
		}
	}
	if err := b.of.barrier(); err != nil {
		b.t.Fatalf("packet-out: %v", err)
	}
}

// openflow is a connection of OpenFlow 1.5, the first version whose packet-out
// carries tunnel fields (section 7.3.6, ofp_packet_out.match). A process of
// ovs-ofctl per packet takes 6 ms, this a tenth of one.
type openflow struct {
	conn net.Conn
	in   *bufio.Reader
	xid  uint32
}

const (
	version15          = 6
	typeHello          = 0
	typeError          = 1
	typeEchoRequest    = 2
	typeEchoReply      = 3
	typePacketOut      = 13
	typeBarrierRequest = 20
	typeBarrierReply   = 21
)

func dialOpenflow(path string) (*openflow, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	o := &openflow{conn: conn, in: bufio.NewReader(conn)}
	if err := o.send(typeHello, nil); err != nil {
		return nil, err
	}
	return o, o.barrier()
}

func (o *openflow) send(kind uint8, body []byte) error {
	o.xid++
	return o.write(kind, o.xid, body)
}

func (o *openflow) write(kind uint8, xid uint32, body []byte) error {
	msg := []byte{version15, kind}
	msg = binary.BigEndian.AppendUint16(msg, uint16(8+len(body)))
	msg = binary.BigEndian.AppendUint32(msg, xid)
	_, err := o.conn.Write(append(msg, body...))
	return err
}

// barrier waits until the switch has handled everything sent so far, and
// reports what it refused.
func (o *openflow) barrier() error {
	if err := o.send(typeBarrierRequest, nil); err != nil {
		return err
	}
	for {
		var head [8]byte
		if _, err := io.ReadFull(o.in, head[:]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint16(head[2:])-8)
		if _, err := io.ReadFull(o.in, body); err != nil {
			return err
		}
		switch head[1] {
		case typeError:
			return fmt.Errorf("the switch refused: error type %d code %d", binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]))
		case typeEchoRequest:
			if err := o.write(typeEchoReply, binary.BigEndian.Uint32(head[4:]), body); err != nil {
				return err
			}
		case typeBarrierReply:
			return nil
		}
	}
}

// packetOut encodes struct ofp_packet_out: no buffer, the entrance's actions
// and output to the tables, the entrance's fields as match.
func packetOut(from Entrance, frame []byte) []byte {
	const (
		noBuffer     = 0xffffffff
		outputTables = 0xfffffff9 // OFPP_TABLE
		actionLen    = 16
	)
	match, before := from.oxm(), from.before()
	body := binary.BigEndian.AppendUint32(nil, noBuffer)
	body = binary.BigEndian.AppendUint16(body, uint16(len(before)+actionLen))
	body = append(body, 0, 0)
	body = append(append(body, match...), before...)
	body = append(body, 0, 0, 0, actionLen) // OFPAT_OUTPUT
	body = binary.BigEndian.AppendUint32(body, outputTables)
	body = append(body, make([]byte, 8)...) // max_len, padding
	return append(body, frame...)
}

// Classes of OXM fields.
const (
	openflowBasic = 0x8000
	nicira1       = 0x0001 // NXM_NX_*
)

func (t Tunnel) oxm() []byte {
	var m oxmMatch
	m.add(openflowBasic, 0, binary.BigEndian.AppendUint32(nil, uint32(t.InPort))) // IN_PORT
	m.add(openflowBasic, 38, binary.BigEndian.AppendUint64(nil, t.ID))            // TUNNEL_ID
	m.add(nicira1, 31, t.Src.AsSlice())                                           // TUN_IPV4_SRC
	m.add(nicira1, 32, t.Dst.AsSlice())                                           // TUN_IPV4_DST
	m.add(nicira1, 38, binary.BigEndian.AppendUint16(nil, t.GBPID))               // TUN_GBP_ID
	m.add(nicira1, 39, []byte{t.GBPFlags})                                        // TUN_GBP_FLAGS
	return m.encode()
}

func (h Host) oxm() []byte {
	const local = 0xfffffffe // OFPP_LOCAL
	var m oxmMatch
	m.add(openflowBasic, 0, binary.BigEndian.AppendUint32(nil, local)) // IN_PORT
	return m.encode()
}

func (t Tunnel) before() []byte { return nil }

// before sets the mark: it is no pipeline field, which a packet-out's match
// could carry.
func (h Host) before() []byte {
	var mark oxmMatch
	mark.add(nicira1, 33, binary.BigEndian.AppendUint32(nil, h.Mark)) // PKT_MARK
	action := append([]byte{0, 25, 0, 16}, mark...)                   // OFPAT_SET_FIELD, 16 bytes
	return append(action, make([]byte, 16-len(action))...)
}

// oxmMatch is a list of fields.
type oxmMatch []byte

func (m *oxmMatch) add(class uint16, number uint8, value []byte) {
	*m = binary.BigEndian.AppendUint16(*m, class)
	*m = append(append(*m, number<<1, uint8(len(value))), value...)
}

// encode returns them as struct ofp_match, padded to 8 bytes.
func (m oxmMatch) encode() []byte {
	match := binary.BigEndian.AppendUint16([]byte{0, 1}, uint16(4+len(m))) // OFPMT_OXM
	match = append(match, m...)
	return append(match, make([]byte, (8-len(match)%8)%8)...)
}
