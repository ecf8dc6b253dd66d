package fleet

import "sync"

// name is a number that stands for the key of a fragment. The cells of a fleet
// share most keys, and there are millions of entries.
type name uint32

// names numbers keys, for all agents of a fleet. It forgets none.
type names struct {
	mu    sync.RWMutex
	of    map[string]name
	texts []string
}

func newNames() *names { return &names{of: map[string]name{}} }

// name returns the number of a key. It keeps no reference to it.
func (n *names) name(key []byte) name {
	n.mu.RLock()
	number, known := n.of[string(key)]
	n.mu.RUnlock()
	if known {
		return number
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if number, known := n.of[string(key)]; known {
		return number
	}
	number, text := name(len(n.texts)), string(key)
	n.of[text], n.texts = number, append(n.texts, text)
	return number
}

// text is the inverse of name.
func (n *names) text(number name) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.texts[number]
}
