package openflow

import (
	"encoding/binary"
	"fmt"

	"github.com/weft-sdn/weft/flows"
)

// command is what a flow mod does.
type command uint8

// The commands, by their numbers in OpenFlow 1.4 section 7.3.4.2.
const (
	commandAdd          command = 0 // replaces the flow of the same table, priority and match
	commandDeleteStrict command = 4 // the flow of exactly this table, priority and match, whatever its cookie
)

// anything stands for no buffer, and for output ports and groups that a deletion
// does not ask about.
const anything = 0xffffffff

// maxFlowMod leaves room for what a bundle adds to each of its messages.
const maxFlowMod = maxMessage - bundleAddSize

// appendFlowMod appends a flow as a message. Its error is an *UnknownError or a
// *RefusedError, and b as it was.
func appendFlowMod(b []byte, c command, f flows.Flow, xid uint32) ([]byte, error) {
	start := len(b)
	b = appendHeader(b, kindFlowMod, xid)
	cookie := uint64(f.Cookie)
	if c == commandDeleteStrict {
		cookie = 0
	}
	b = binary.BigEndian.AppendUint64(b, cookie)
	b = binary.BigEndian.AppendUint64(b, 0)             // no mask: the cookie does not select
	b = append(b, uint8(f.Table), uint8(c), 0, 0, 0, 0) // no timeouts
	b = binary.BigEndian.AppendUint16(b, f.Priority)
	for range 3 { // buffer, output port, output group
		b = binary.BigEndian.AppendUint32(b, anything)
	}
	b = append(b, 0, 0, 0, 0) // flags, importance
	b, err := appendMatch(b, f.Match)
	if err == nil && c == commandAdd {
		b, err = appendInstructions(b, f.Actions)
	}
	if size := len(b) - start; err == nil && size > maxFlowMod {
		err = &UnknownError{Term: fmt.Sprintf("a message of %d bytes, more than %d", size, maxFlowMod)}
	}
	if err != nil {
		return b[:start], inFlow(err, f)
	}
	return setLength(b, start), nil
}

// inFlow says in which flow the error is.
func inFlow(err error, f flows.Flow) error {
	switch e := err.(type) {
	case *UnknownError:
		e.Flow = f.String()
	case *RefusedError:
		e.Flow = f.String()
	}
	return err
}

// bundleAddSize is what a bundle adds: a header, the bundle's id and flags.
const bundleAddSize = headerSize + 8

// appendBundled appends a flow as a message of the bundle id. Both messages are
// one transaction, or the switch refuses.
func appendBundled(b []byte, c command, f flows.Flow, id, xid uint32) ([]byte, error) {
	start := len(b)
	b = binary.BigEndian.AppendUint32(appendHeader(b, kindBundleAdd, xid), id)
	b, err := appendFlowMod(append(b, 0, 0, 0, atomicOrdered), c, f, xid)
	if err != nil {
		return b[:start], err
	}
	return setLength(b, start), nil
}
