package fleet

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// message is what a simulated agent reads of an api.Message: all but the flows.
// Decoding their text would take more CPU than the controller that is measured.
type message struct {
	kind     string
	stream   string
	seq      uint64
	revision uint64
	hash     string
	set      []part // set or, in deltas, patched
	remove   []name
	refused  int  // endpoints
	same     bool // the table is the one that the agent said it has
}

// part is a fragment without its flows.
type part struct {
	key  name
	hash flows.Hash
}

// reader decodes messages while they arrive, so that an agent never holds a
// whole one: a snapshot has megabytes, and thousands arrive together.
type reader struct {
	in    *bufio.Reader
	names *names
	long  []byte // a string that is longer than the buffer
	err   error  // the first; nothing is read after it
}

func newReader(in io.Reader, names *names) *reader {
	return &reader{in: bufio.NewReaderSize(in, 4<<10), names: names}
}

// next returns the next message that says something; it swallows pings.
func (r *reader) next() (message, error) {
	for {
		m := r.message()
		switch {
		case r.err != nil:
			return message{}, r.err
		case m.kind != api.TypePing:
			return m, nil
		}
	}
}

func (r *reader) message() (m message) {
	r.object(func(field string) {
		switch field {
		case "type":
			m.kind = string(r.text())
		case "stream":
			m.stream = string(r.text())
		case "seq":
			m.seq = r.number()
		case "revision":
			m.revision = r.number()
		case "hash":
			m.hash = string(r.text())
		case "same":
			m.same = r.scalar() == "true"
		case "set", "patch":
			r.list(func() { m.set = append(m.set, r.part()) })
		case "remove":
			r.list(func() { m.remove = append(m.remove, r.names.name(r.text())) })
		case "refused":
			r.list(func() { m.refused++; r.skip() })
		default:
			r.skip()
		}
	})
	return m
}

func (r *reader) part() (p part) {
	r.object(func(field string) {
		switch field {
		case "key":
			p.key = r.names.name(r.text())
		case "hash":
			hash, err := flows.ParseHash(string(r.text()))
			r.fail(err)
			p.hash = hash
		default:
			r.skip()
		}
	})
	return p
}

// The rest reads JSON, which is trusted to be: the real agent's decoder has its
// tests, and this one is held equal to it.

// object calls each with every field's name; it has to read the value.
func (r *reader) object(each func(field string)) {
	r.want('{')
	for more := !r.comes('}'); more && r.err == nil; more = !r.ends('}') {
		field := fieldOf(r.text())
		r.want(':')
		each(field)
	}
}

// fieldOf returns a field's name, without allocating those that are in every fragment.
func fieldOf(text []byte) string {
	switch string(text) {
	case "key":
		return "key"
	case "hash":
		return "hash"
	case "flows":
		return "flows"
	}
	return string(text)
}

// list calls each for every value; it has to read it.
func (r *reader) list(each func()) {
	r.want('[')
	for more := !r.comes(']'); more && r.err == nil; more = !r.ends(']') {
		each()
	}
}

// skip reads over a value.
func (r *reader) skip() {
	switch next := r.peek(); next {
	case '"':
		r.want('"')
		r.quoted(func([]byte) {})
	case '{':
		r.object(func(string) { r.skip() })
	case '[':
		r.list(r.skip)
	default:
		r.scalar()
	}
}

// text reads a string, valid until the next read.
func (r *reader) text() []byte {
	r.want('"')
	r.long = r.long[:0]
	r.quoted(func(piece []byte) { r.long = append(r.long, piece...) })
	if r.err != nil {
		return nil
	}
	text := r.long[:len(r.long)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	var plain string
	r.fail(json.Unmarshal([]byte(`"`+string(text)+`"`), &plain))
	return []byte(plain)
}

// quoted hands out what follows up to the closing quote, in pieces.
func (r *reader) quoted(piece func([]byte)) {
	escaped := false // the byte before the piece escapes its first one
	for r.err == nil {
		p, err := r.in.ReadSlice('"')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			r.fail(err)
			return
		}
		piece(p)
		slashes := len(p)
		if err == nil {
			slashes-- // of the quote
		}
		before := len(bytes.TrimRight(p[:slashes], `\`))
		odd := (slashes-before)%2 == 1
		if before == 0 && escaped {
			odd = !odd
		}
		if err == nil && !odd {
			return
		}
		escaped = err != nil && odd
	}
}

// number reads a number without sign or fraction.
func (r *reader) number() uint64 {
	word := r.scalar()
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(word, 10, 64)
	r.fail(err)
	return n
}

// scalar reads a number, true, false or null.
func (r *reader) scalar() string {
	var word []byte
	for b := r.peek(); r.err == nil && bytes.IndexByte([]byte(",]}\n"), b) < 0; b = r.peek() {
		word = append(word, b)
		r.want(b)
	}
	return string(word)
}

// ends reads what is after a value: a comma, or the end of the whole.
func (r *reader) ends(closing byte) bool {
	if r.comes(closing) {
		return true
	}
	r.want(',')
	return r.err != nil
}

// comes reads a byte if it is the next.
func (r *reader) comes(b byte) bool {
	if r.peek() != b || r.err != nil {
		return false
	}
	_, err := r.in.Discard(1)
	r.fail(err)
	return true
}

// want reads a byte, which must be this one.
func (r *reader) want(b byte) {
	if !r.comes(b) && r.err == nil {
		r.fail(fmt.Errorf("message is not JSON: want %q, got %q", b, r.peek()))
	}
}

// peek returns the next byte that is no white space, without reading it.
func (r *reader) peek() byte {
	for r.err == nil {
		next, err := r.in.Peek(1)
		if err != nil {
			r.fail(err)
			break
		}
		if next[0] > ' ' {
			return next[0]
		}
		_, err = r.in.Discard(1)
		r.fail(err)
	}
	return 0
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
