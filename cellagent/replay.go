package cellagent

import (
	"fmt"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// replay is what a file of messages leads to. Where desired checks each message,
// since the switch follows at once, this checks the outcome alone: an app's
// fragment may have hundreds of flows, and its policies may have changed
// thousands of times. The zero value has seen no message.
type replay struct {
	parts map[flows.FragmentKey]flows.Table
	last  api.Message
}

func (r *replay) step(msg api.Message) error {
	switch {
	case msg.Type == api.TypeSnapshot:
		r.parts = make(map[flows.FragmentKey]flows.Table, len(msg.Set))
	case msg.Type != api.TypeDelta || r.parts == nil:
		return fmt.Errorf("message %d: %s without a snapshot before it", msg.Seq, msg.Type)
	}
	for _, name := range msg.Remove {
		delete(r.parts, flows.FragmentKey(name))
	}
	for _, wire := range msg.Set {
		r.parts[flows.FragmentKey(wire.Key)] = wire.Flows
	}
	for _, wire := range msg.Patch {
		key := flows.FragmentKey(wire.Key)
		patched, err := flows.Patch(r.parts[key], wire.Add, wire.Remove)
		if err != nil {
			return fmt.Errorf("message %d: fragment %q: %w", msg.Seq, wire.Key, err)
		}
		r.parts[key] = patched
	}
	r.last = msg
	return nil
}

// table is the outcome, which must have the hash that the last message says.
func (r *replay) table() (d desired, err error) {
	if r.parts == nil {
		return d, nil
	}
	d = desired{fragments: make(fragments, len(r.parts)), revision: r.last.Revision, complete: true}
	for key, part := range r.parts {
		f := flows.NewFragment(key, part)
		d.fragments[key] = f
		d.hash = d.hash.Xor(f.Hash)
	}
	if got := d.hash.String(); got != r.last.Hash {
		return desired{}, fmt.Errorf("message %d: the hash of the table is %s, not %s", r.last.Seq, got, r.last.Hash)
	}
	return d, nil
}
