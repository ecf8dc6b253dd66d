package openflow

import (
	"encoding/binary"
	"fmt"
	"io"
)

// version is OpenFlow 1.4 on the wire.
const version = 5

// kind is the type of a message.
type kind uint8

// The messages that we send or understand (OpenFlow 1.4 section 7.1.1).
const (
	kindHello            kind = 0
	kindError            kind = 1
	kindEchoRequest      kind = 2
	kindEchoReply        kind = 3
	kindFlowMod          kind = 14
	kindMultipartRequest kind = 18
	kindMultipartReply   kind = 19
	kindBundleControl    kind = 33
	kindBundleAdd        kind = 34
)

const (
	headerSize = 8     // version, kind, length, transaction
	maxMessage = 65535 // bytes, with the header
)

// message is one that the switch sent.
type message struct {
	version uint8
	kind    kind
	xid     uint32 // the transaction: of a reply, its request's
	body    []byte
}

func (m message) String() string {
	if m.kind == kindError {
		return errorOf(m).String()
	}
	return fmt.Sprintf("a message of type %d, transaction %d", m.kind, m.xid)
}

// readMessage waits for a whole message.
func readMessage(in io.Reader) (message, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return message{}, fmt.Errorf("read from the switch: %w", err)
	}
	size := int(binary.BigEndian.Uint16(header[2:])) - headerSize
	if size < 0 {
		return message{}, fmt.Errorf("read from the switch: message of %d bytes, at least %d are its header", size+headerSize, headerSize)
	}
	m := message{version: header[0], kind: kind(header[1]), xid: binary.BigEndian.Uint32(header[4:]), body: make([]byte, size)}
	if _, err := io.ReadFull(in, m.body); err != nil {
		return message{}, fmt.Errorf("read from the switch: %w", err)
	}
	return m, nil
}

// appendHeader starts a message; setLength completes it.
func appendHeader(b []byte, k kind, xid uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, version, uint8(k), 0, 0), xid)
}

// appendMessage appends a whole message.
func appendMessage(b []byte, k kind, xid uint32, body ...byte) []byte {
	start := len(b)
	return setLength(append(appendHeader(b, k, xid), body...), start)
}

// setLength completes what starts at start and has its length in bytes 2 and 3,
// as messages, instructions and actions do.
func setLength(b []byte, start int) []byte {
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// Bundle control messages (OpenFlow 1.4 section 7.3.9). A reply's number is one
// more than its request's.
const (
	bundleOpen    = 0
	bundleClose   = 2
	bundleCommit  = 4
	bundleDiscard = 6
)

// atomicOrdered are the flags of our bundles: atomic, so that packets see all of
// it or nothing, and ordered, so that a removal does not undo an addition.
const atomicOrdered = 3

// appendBundleControl appends a request about the bundle id.
func appendBundleControl(b []byte, request uint16, id, xid uint32) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(appendHeader(b, kindBundleControl, xid), id)
	b = binary.BigEndian.AppendUint16(b, request)
	return setLength(append(b, 0, atomicOrdered), start)
}

// bundleReply returns what a bundle control message of the switch is, and about
// which bundle.
func (m message) bundleReply() (reply uint16, id uint32, err error) {
	if m.kind != kindBundleControl || len(m.body) < 8 {
		return 0, 0, fmt.Errorf("message of type %d with %d bytes is no answer about a bundle", m.kind, len(m.body))
	}
	return binary.BigEndian.Uint16(m.body[4:]), binary.BigEndian.Uint32(m.body), nil
}
