package api

import (
	"bufio"
	"io"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// messageWriter writes messages as JSON, one flow after the other: the snapshot
// of a cell among thousands is megabytes long, and when a controller was
// restarted all cells want theirs at once. The first error is that of Flush.
type messageWriter struct {
	*bufio.Writer
	text []byte // of the flow being written
}

// lineBuffer is how much of a message is in memory while it is written, in bytes.
const lineBuffer = 16 << 10

func newMessageWriter(out io.Writer) *messageWriter {
	return &messageWriter{Writer: bufio.NewWriterSize(out, lineBuffer)}
}

// message writes what encode would return, with the long lists last.
func (w *messageWriter) message(m Message) {
	set, patch := m.Set, m.Patch
	m.Set, m.Patch = nil, nil
	w.WriteString(strings.TrimSuffix(encode(m), "}"))
	for i, f := range set {
		w.next(i, `,"set":[`)
		w.part(f.Key, f.Hash)
		w.flows(`,"flows":[`, f.Flows)
		w.WriteByte('}')
	}
	w.end(len(set))
	for i, p := range patch {
		w.next(i, `,"patch":[`)
		w.part(p.Key, p.Hash)
		if len(p.Add) > 0 {
			w.flows(`,"add":[`, p.Add)
		}
		if len(p.Remove) > 0 {
			w.flows(`,"remove":[`, p.Remove)
		}
		w.WriteByte('}')
	}
	w.end(len(patch))
	w.WriteByte('}')
}

// part begins the object of a part of a table.
func (w *messageWriter) part(key, hash string) {
	w.WriteString(`{"key":`)
	w.WriteString(encode(key))
	w.WriteString(`,"hash":`)
	w.WriteString(encode(hash))
}

func (w *messageWriter) flows(open string, list flows.Table) {
	w.WriteString(open)
	for i, f := range list {
		w.next(i, "")
		w.flow(f)
	}
	w.WriteByte(']')
}

// flow writes a flow's text. That of a flow has nothing to escape.
func (w *messageWriter) flow(f flows.Flow) {
	w.text, _ = f.AppendText(w.text[:0])
	for _, c := range w.text {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			w.WriteString(encode(string(w.text)))
			return
		}
	}
	w.WriteByte('"')
	w.Write(w.text)
	w.WriteByte('"')
}

// next opens a list before its first element, and separates the others.
func (w *messageWriter) next(i int, open string) {
	if i == 0 {
		w.WriteString(open)
		return
	}
	w.WriteByte(',')
}

// end closes a list of n elements, which is left out if it has none.
func (w *messageWriter) end(n int) {
	if n > 0 {
		w.WriteByte(']')
	}
}
