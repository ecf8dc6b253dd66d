package cellagent

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// fragments is a table in parts. The parts are immutable and shared.
type fragments map[flows.FragmentKey]flows.Fragment

// list is all of them, in no order.
func (all fragments) list() []flows.Fragment { return slices.Collect(maps.Values(all)) }

// flows is how many there are.
func (all fragments) flows() (n int) {
	for _, f := range all {
		n += len(f.Flows)
	}
	return n
}

// desired is the cell's table as the controller wants it, with the hash of the
// whole. It is pure data: it changes by messages alone. The zero value wants
// nothing and is not complete. Its owner is the agent's goroutine.
type desired struct {
	fragments fragments
	hash      flows.Hash
	revision  uint64 // of the controller's change log
	complete  bool   // a snapshot has arrived; only then may flows be deleted
}

// step moves d by one message and returns the keys of the fragments that
// changed. It costs what the message says, not what the table holds. On an
// error d is as it was and the message cannot be trusted: a fragment does not
// parse, is named twice, or the whole table's hash differs, so that only a new
// snapshot helps.
func (d *desired) step(msg api.Message) ([]flows.FragmentKey, error) {
	if msg.Type != api.TypeSnapshot && msg.Type != api.TypeDelta {
		return nil, fmt.Errorf("message %d: unknown type %q", msg.Seq, msg.Type)
	}
	if (msg.Type == api.TypeDelta || msg.Same) && !d.complete {
		return nil, fmt.Errorf("%s %d: no snapshot came before it", msg.Type, msg.Seq)
	}
	set, remove, err := d.changes(msg)
	if err != nil {
		return nil, fmt.Errorf("%s %d: %w", msg.Type, msg.Seq, err)
	}
	hash := d.hash
	for key := range remove {
		hash = hash.Xor(d.fragments[key].Hash) // an absent fragment's hash is zero
	}
	for key, f := range set {
		hash = hash.Xor(d.fragments[key].Hash).Xor(f.Hash)
	}
	if got := hash.String(); got != msg.Hash {
		return nil, fmt.Errorf("%s %d: the table's hash is %s here and %q at the controller", msg.Type, msg.Seq, got, msg.Hash)
	}
	d.hash, d.revision, d.complete = hash, msg.Revision, true
	return d.move(set, remove), nil
}

// changes reads what the message sets and removes. A snapshot removes what it
// does not name.
func (d *desired) changes(msg api.Message) (fragments, map[flows.FragmentKey]bool, error) {
	set := make(fragments, len(msg.Set))
	for _, wire := range msg.Set {
		f, err := api.FragmentFromWire(wire)
		if err != nil {
			return nil, nil, fmt.Errorf("fragment %q: %w", wire.Key, err)
		}
		if _, twice := set[f.Key]; twice {
			return nil, nil, fmt.Errorf("fragment %q is set twice", f.Key)
		}
		set[f.Key] = f
	}
	for _, wire := range msg.Patch {
		key := flows.FragmentKey(wire.Key)
		from, there := d.fragments[key]
		if _, twice := set[key]; twice || !there || msg.Type == api.TypeSnapshot {
			return nil, nil, fmt.Errorf("fragment %q: a patch of what is not there, or is set twice", key)
		}
		f, err := api.PatchFromWire(from, wire)
		if err != nil {
			return nil, nil, err
		}
		set[key] = f
	}
	remove := make(map[flows.FragmentKey]bool, len(msg.Remove))
	for _, name := range msg.Remove {
		key := flows.FragmentKey(name)
		if _, both := set[key]; both {
			return nil, nil, fmt.Errorf("fragment %q is both set and removed", key)
		}
		remove[key] = true
	}
	if msg.Type == api.TypeSnapshot && !msg.Same {
		for key := range d.fragments {
			if _, stays := set[key]; !stays {
				remove[key] = true
			}
		}
	}
	return set, remove, nil
}

// move makes the changes and returns the keys of those that are changes.
func (d *desired) move(set fragments, remove map[flows.FragmentKey]bool) []flows.FragmentKey {
	if d.fragments == nil {
		d.fragments = make(fragments, len(set))
	}
	var changed []flows.FragmentKey
	for key := range remove {
		if _, there := d.fragments[key]; there {
			delete(d.fragments, key)
			changed = append(changed, key)
		}
	}
	for key, f := range set {
		if old, there := d.fragments[key]; !there || old.Hash != f.Hash {
			changed = append(changed, key)
		}
		d.fragments[key] = f
	}
	return changed
}
