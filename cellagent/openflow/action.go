package openflow

import (
	"encoding/binary"
	"iter"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// Instructions (OpenFlow 1.4 section 7.2.4) and actions (section 7.2.5).
const (
	instructionGoto  = 1
	instructionApply = 4

	actionOutput       = 0
	actionSetField     = 25
	actionExperimenter = 0xffff
)

// nicira is the experimenter of Open vSwitch's own actions.
const nicira = 0x00002320

// Open vSwitch's own actions (lib/ofp-actions.c).
const (
	nxMove        = 6
	nxLoad        = 7
	nxOutput      = 15
	nxConjunction = 34
	nxTrack       = 35
	nxTrackClear  = 43
)

// appendInstructions encodes a flow's actions: all are done at once, and
// goto_table, which is none for OpenFlow, comes last.
func appendInstructions(b []byte, text string) ([]byte, error) {
	if text == "drop" {
		return b, nil // no instruction
	}
	start := len(b)
	actions := append(b, 0, instructionApply, 0, 0, 0, 0, 0, 0)
	head := len(actions)
	next, ended := flows.TableID(0), false
	for action := range topLevel(text) {
		ok := !ended
		if name, jump := strings.CutPrefix(action, "goto_table:"); jump && ok {
			table, err := flows.ParseTableID(name)
			next, ended, ok = table, true, err == nil
		} else if ok {
			actions, ok = appendAction(actions, action)
		}
		if !ok {
			return b, &UnknownError{Term: action}
		}
	}
	if len(actions) > head {
		b = setLength(actions, start)
	}
	if ended {
		b = append(b, 0, instructionGoto, 0, 8, uint8(next), 0, 0, 0)
	}
	return b, nil
}

// appendAction encodes one action, and reports whether it is one that we know.
func appendAction(b []byte, action string) ([]byte, bool) {
	switch action {
	case "LOCAL":
		return appendOutput(b, portLocal), true
	case "IN_PORT":
		return appendOutput(b, portInPort), true
	case "ct_clear":
		return append(appendNicira(b, nxTrackClear, 16), 0, 0, 0, 0, 0, 0), true
	}
	if to, ok := strings.CutPrefix(action, "output:"); ok {
		return appendOutputTo(b, to)
	}
	if args, ok := arguments(action, "ct"); ok {
		return appendTracking(b, args)
	}
	if args, ok := arguments(action, "conjunction"); ok {
		return appendConjunction(b, args)
	}
	return appendWrite(b, action)
}

// arguments returns what stands between the parentheses of name(...).
func arguments(action, name string) (string, bool) {
	rest, ok := strings.CutPrefix(action, name)
	if !ok || len(rest) < 2 || rest[0] != '(' || rest[len(rest)-1] != ')' {
		return "", false
	}
	return rest[1 : len(rest)-1], true
}

func appendOutputTo(b []byte, to string) ([]byte, bool) {
	if number, ok := readPort(to); ok && to != "LOCAL" {
		return appendOutput(b, uint32(number)), true
	}
	from, ok := readPart(to)
	if !ok || from.width > 64 {
		return b, false
	}
	b = from.appendField(from.appendPlace(appendNicira(b, nxOutput, 24)))
	return append(b, 0xff, 0xff, 0, 0, 0, 0, 0, 0), true // the longest packet-in: there is none
}

func appendOutput(b []byte, port uint32) []byte {
	b = append(b, 0, actionOutput, 0, 16)
	b = binary.BigEndian.AppendUint32(b, port)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// appendConjunction encodes conjunction(id,clause/clauses): text counts clauses
// from 1, the wire from 0.
func appendConjunction(b []byte, args string) ([]byte, bool) {
	id, place, _ := strings.Cut(args, ",")
	clause, clauses, _ := strings.Cut(place, "/")
	i, ok := readNumber(id)
	k, ok2 := readNumber(clause)
	n, ok3 := readNumber(clauses)
	if !ok || !ok2 || !ok3 || !i.fits(32) || !k.fits(8) || !n.fits(8) || k.low == 0 {
		return b, false
	}
	b = append(appendNicira(b, nxConjunction, 16), uint8(k.low-1), uint8(n.low))
	return binary.BigEndian.AppendUint32(b, uint32(i.low)), true
}

// appendNicira starts one of Open vSwitch's own actions.
func appendNicira(b []byte, subtype, size uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, actionExperimenter)
	b = binary.BigEndian.AppendUint16(b, size)
	b = binary.BigEndian.AppendUint32(b, nicira)
	return binary.BigEndian.AppendUint16(b, subtype)
}

// topLevel yields what commas separate outside of parentheses.
func topLevel(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		depth, start := 0, 0
		for i := range len(text) {
			switch {
			case text[i] == '(':
				depth++
			case text[i] == ')':
				depth--
			case text[i] == ',' && depth == 0:
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[start:])
	}
}
