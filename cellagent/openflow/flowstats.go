package openflow

import (
	"encoding/binary"
	"fmt"
)

// Multipart messages about flows (OpenFlow 1.4 section 7.3.5).
const (
	multipartFlow = 1
	multipartMore = 1 // flag of a reply: another one follows

	multipartSize = 8  // type, flags and what follows them, before a reply's flows
	flowSize      = 48 // of a flow in a reply, before its match
	emptyMatch    = 8
)

// appendFlowRequest asks for all flows of all tables.
func appendFlowRequest(b []byte, xid uint32) []byte {
	start := len(b)
	b = append(appendHeader(b, kindMultipartRequest, xid), 0, multipartFlow, 0, 0, 0, 0, 0, 0)
	b = append(b, 0xff, 0, 0, 0)
	for range 2 { // output port, output group
		b = binary.BigEndian.AppendUint32(b, anything)
	}
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, 0) // no mask: the cookie does not select
	b = append(b, 0, 1, 0, 4, 0, 0, 0, 0)   // nor does the match
	return setLength(b, start)
}

// flowReply returns the flows that a reply carries, one after the other, and
// whether another reply follows.
func (m message) flowReply() (flows []byte, more bool, err error) {
	if m.kind != kindMultipartReply || len(m.body) < multipartSize {
		return nil, false, fmt.Errorf("the switch sent a message of type %d with %d bytes, which is no answer about flows", m.kind, len(m.body))
	}
	about, flags := binary.BigEndian.Uint16(m.body), binary.BigEndian.Uint16(m.body[2:])
	if about != multipartFlow || flags&^multipartMore != 0 {
		return nil, false, fmt.Errorf("the switch sent a multipart reply of type %d, flags %#x, when it was asked for its flows", about, flags)
	}
	return m.body[multipartSize:], flags&multipartMore != 0, nil
}

// cutFlow splits off the first of a reply's flows: struct ofp_flow_stats.
func cutFlow(b []byte) (flow, rest []byte, err error) {
	if len(b) < flowSize+emptyMatch {
		return nil, nil, fmt.Errorf("the switch sent a flow in %d bytes, at least %d are one", len(b), flowSize+emptyMatch)
	}
	size := int(binary.BigEndian.Uint16(b))
	if size < flowSize+emptyMatch || size > len(b) {
		return nil, nil, fmt.Errorf("the switch sent a flow of %d bytes, %d of them are in the message", size, len(b))
	}
	return b[:size], b[size:], nil
}

// bare reports whether a flow of a reply has no timeout, no flag and no
// importance, as all of ours.
func bare(flow []byte) bool { return binary.BigEndian.Uint64(flow[14:]) == 0 }
