package fleet

import (
	"fmt"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// table is a cell's table as its agent was told it, without the flows. The zero
// value is that of an agent that was told nothing.
type table struct {
	parts map[name]flows.Hash // nil: no snapshot has come
	hash  flows.Hash          // of the whole
}

// step moves t by one message. On an error t is as it was: a snapshot is missing,
// or the hash of the whole is not what the message says. A real agent hashes the
// flows as well; that the fragments are what their hashes say is taken on trust.
func (t *table) step(m message) error {
	var next table
	switch {
	case m.same && t.parts != nil:
		next = *t
	case m.kind == api.TypeSnapshot:
		next.parts = make(map[name]flows.Hash, len(m.set))
		for _, p := range m.set {
			next.parts[p.key] = p.hash
		}
		for _, hash := range next.parts {
			next.hash = next.hash.Xor(hash)
		}
	case m.kind != api.TypeDelta:
		return fmt.Errorf("message %d: unknown type %q", m.seq, m.kind)
	case t.parts == nil:
		return fmt.Errorf("delta %d: no snapshot came before it", m.seq)
	default:
		next = table{t.parts, t.hash}
		for _, key := range m.remove {
			next.hash = next.hash.Xor(t.parts[key]) // an absent one's is zero
		}
		for _, p := range m.set {
			next.hash = next.hash.Xor(t.parts[p.key]).Xor(p.hash)
		}
	}
	if got := next.hash.String(); got != m.hash {
		return fmt.Errorf("%s %d: the table's hash is %s here and %q at the controller", m.kind, m.seq, got, m.hash)
	}
	*t = next
	if m.kind == api.TypeDelta {
		for _, key := range m.remove {
			delete(t.parts, key)
		}
		for _, p := range m.set {
			t.parts[p.key] = p.hash
		}
	}
	return nil
}
