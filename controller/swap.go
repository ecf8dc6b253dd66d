package controller

import (
	"sync"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// swap is one fragment of a table in place of another. All cells where an event
// does that share one, so that what goes to a thousand cells is worked out once.
type swap struct {
	from *flows.Fragment // nil: there was none, or it does not matter which
	to   *flows.Fragment // nil: there is none any more

	patch func() api.Patch // from both
}

func newSwap(from, to *flows.Fragment) *swap {
	s := &swap{from: from, to: to}
	s.patch = sync.OnceValue(func() api.Patch { return api.PatchToWire(*from, *to) })
	return s
}

// then is s and after it next, for an agent that was told of neither.
func (s *swap) then(next *swap) *swap {
	if s == nil || s.from == next.from {
		return next
	}
	return newSwap(s.from, next.to)
}

// tell adds to a message what became of the fragment with this key: for an agent
// that takes patches a patch, where it is the smaller one.
func (s *swap) tell(msg *api.Message, key flows.FragmentKey, patches bool) {
	switch {
	case s.to == nil:
		msg.Remove = append(msg.Remove, string(key))
	case patches && s.from != nil && s.smaller():
		msg.Patch = append(msg.Patch, s.patch())
	default:
		msg.Set = append(msg.Set, api.FragmentToWire(*s.to))
	}
}

// smaller reports whether the patch has fewer flows than the fragment.
func (s *swap) smaller() bool {
	p := s.patch()
	return len(p.Add)+len(p.Remove) < len(s.to.Flows)
}
