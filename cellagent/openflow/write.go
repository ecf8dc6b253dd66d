package openflow

import (
	"encoding/binary"
	"strings"
)

// appendWrite encodes the actions that write a field.
func appendWrite(b []byte, action string) ([]byte, bool) {
	name, rest, _ := strings.Cut(action, ":")
	from, to, ok := strings.Cut(rest, "->")
	if !ok {
		return b, false
	}
	switch name {
	case "set_field":
		return appendSetField(b, from, to)
	case "load":
		return appendLoad(b, from, to)
	case "move":
		return appendMove(b, from, to)
	}
	return b, false
}

// appendSetField sets a whole field. OpenFlow has no mask here before 1.5: what
// OVS calls a masked set_field it sends, and prints, as a load.
func appendSetField(b []byte, value, name string) ([]byte, bool) {
	f, ok := bySet[name]
	if !ok {
		return b, false
	}
	o, ok := readOperand(f, value)
	if !ok || o.masked {
		return b, false
	}
	start := len(b)
	b = pad(o.append(append(b, 0, actionSetField, 0, 0)), start)
	return setLength(b, start), true
}

func appendLoad(b []byte, value, to string) ([]byte, bool) {
	target, ok := readPart(to)
	v, ok2 := readNumber(value)
	if !ok || !ok2 || target.width > 64 || !v.fits(target.width) {
		return b, false
	}
	b = target.appendField(target.appendPlace(appendNicira(b, nxLoad, 24)))
	return v.append(b, 8), true
}

func appendMove(b []byte, from, to string) ([]byte, bool) {
	source, ok := readPart(from)
	target, ok2 := readPart(to)
	if !ok || !ok2 || source.width != target.width {
		return b, false
	}
	b = appendNicira(b, nxMove, 24)
	for _, n := range []int{source.width, source.first, target.first} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return target.appendField(source.appendField(b)), true
}

// part is a range of a field's bits: NXM_NX_REG4[0..1], or [] for all.
type part struct {
	field        *field
	first, width int
}

func readPart(text string) (part, bool) {
	name, inner, _ := strings.Cut(text, "[")
	f, known := bySymbol[name]
	inner, closed := strings.CutSuffix(inner, "]")
	if !known || !closed {
		return part{}, false
	}
	if inner == "" {
		return part{f, 0, f.bits}, true
	}
	low, high, isRange := strings.Cut(inner, "..")
	if !isRange {
		high = low
	}
	first, ok := readNumber(low)
	last, ok2 := readNumber(high)
	if !ok || !ok2 || !first.fits(8) || !last.fits(8) || first.low > last.low || int(last.low) >= f.bits {
		return part{}, false
	}
	return part{f, int(first.low), int(last.low-first.low) + 1}, true
}

// appendPlace encodes which bits: 10 bits of first, 6 of the number less one.
func (p part) appendPlace(b []byte) []byte {
	return binary.BigEndian.AppendUint16(b, uint16(p.first<<6|(p.width-1)))
}

// appendField names the field.
func (p part) appendField(b []byte) []byte { return p.field.nxm.append(b, false, p.field.bytes()) }
