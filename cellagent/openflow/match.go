package openflow

import (
	"encoding/binary"
	"slices"
	"strings"
)

// manyTerms is room for a match; one may have more.
const manyTerms = 16

// words are the terms without a value.
var words = map[string][]operand{
	"ip":   {is("dl_type", 0x0800)},
	"arp":  {is("dl_type", 0x0806)},
	"icmp": {is("dl_type", 0x0800), is("nw_proto", 1)},
	"tcp":  {is("dl_type", 0x0800), is("nw_proto", 6)},
	"udp":  {is("dl_type", 0x0800), is("nw_proto", 17)},
}

func is(name string, value uint64) operand {
	return operand{field: byMatch[name], value: bits128{low: value}}
}

// appendMatch encodes a flow's match as struct ofp_match. Its terms may be in any
// order. A term that is there twice, or without what it needs, the switch refuses;
// where it would not, the error is a *RefusedError too.
func appendMatch(b []byte, text string) ([]byte, error) {
	var space [manyTerms]operand
	terms := space[:0]
	for more := text != ""; more; {
		var term string
		term, text, more = strings.Cut(text, ",")
		name, value, valued := strings.Cut(term, "=")
		if !valued {
			meant, ok := words[term]
			if !ok {
				return b, &UnknownError{Term: term}
			}
			terms = append(terms, meant...)
			continue
		}
		f, ok := byMatch[name]
		if !ok {
			return b, &UnknownError{Term: term}
		}
		o, ok := readOperand(f, value)
		if !ok {
			return b, &UnknownError{Term: term}
		}
		terms = append(terms, o)
	}
	if name := leftOut(terms); name != "" {
		return b, &RefusedError{Reason: name + " needs a ct_nw_proto that is not 0: without it the switch would leave it out in silence"}
	}
	slices.SortStableFunc(terms, func(x, y operand) int { return x.field.place - y.field.place })
	start := len(b)
	b = append(b, 0, 1, 0, 0) // OFPMT_OXM, length
	for i := range terms {
		b = terms[i].append(b)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start)) // without what follows
	return pad(b, start), nil
}

// leftOut returns the field that Open vSwitch 3.1 takes and then leaves out: ports
// of a connection's original tuple without its protocol, and that protocol if it
// is 0. A flow without them matches more than it should.
func leftOut(terms []operand) string {
	name := ""
	for i := range terms {
		switch o := &terms[i]; o.field.match {
		case "ct_nw_proto":
			if o.value.low != 0 {
				return ""
			}
			name = o.field.match
		case "ct_tp_src", "ct_tp_dst":
			name = o.field.match
		}
	}
	return name
}

// pad makes what starts at start a multiple of 8 bytes.
func pad(b []byte, start int) []byte {
	var zeros [8]byte
	return append(b, zeros[:-(len(b)-start)&7]...)
}
