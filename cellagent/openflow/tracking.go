package openflow

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// tracking is a ct() action. The zero value, but for next, is ct().
type tracking struct {
	flags uint16
	zone  uint16
	next  uint8  // table in which the packet goes on
	exec  string // actions on the connection's mark and label
}

// Flags of ct().
const (
	trackCommit = 1
	trackForce  = 2
)

// nowhere is the next table of a packet that goes on with the next action.
const nowhere = 0xff

// readTracking takes the arguments that are known: commit, force, table, a zone
// that is a number, and exec; each once, or of two that differ one would be
// dropped in silence.
func readTracking(args string) (t tracking, ok bool) {
	t.next = nowhere
	said := make([]string, 0, 5)
	for arg := range topLevel(args) {
		name, value, _ := strings.Cut(arg, "=")
		if _, is := arguments(arg, "exec"); is {
			name = "exec"
		}
		if slices.Contains(said, name) {
			return t, false
		}
		said = append(said, name)
		switch {
		case arg == "commit":
			t.flags |= trackCommit
		case arg == "force":
			t.flags |= trackForce
		case name == "table":
			id, err := flows.ParseTableID(value)
			if err != nil {
				return t, false
			}
			t.next = uint8(id)
		case name == "zone":
			n, ok := readNumber(value)
			if !ok || !n.fits(16) {
				return t, false
			}
			t.zone = uint16(n.low)
		default:
			if t.exec, _ = arguments(arg, "exec"); t.exec == "" && args != "" {
				return t, false
			}
		}
	}
	return t, true
}

// appendTracking encodes ct() with these arguments.
func appendTracking(b []byte, args string) ([]byte, bool) {
	t, ok := readTracking(args)
	if !ok {
		return b, false
	}
	start := len(b)
	b = appendNicira(b, nxTrack, 0)
	b = binary.BigEndian.AppendUint16(b, t.flags)
	b = append(b, 0, 0, 0, 0) // no field has the zone
	b = binary.BigEndian.AppendUint16(b, t.zone)
	b = append(b, t.next, 0, 0, 0, 0, 0) // no helper of an application either
	if t.exec != "" {
		for action := range topLevel(t.exec) {
			if b, ok = appendWrite(b, action); !ok {
				return b[:start], false
			}
		}
	}
	return setLength(b, start), true
}
