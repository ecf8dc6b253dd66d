package gormstore

import (
	"sync"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
)

// latest is the last change of a log that no other process writes to. Who
// follows the log after each write, or asks whether it has grown before each
// answer, need not read it. The zero value knows nothing.
type latest struct {
	mu     sync.Mutex
	change controller.Change
}

// keep notes a change that is durable.
func (l *latest) keep(change controller.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change = change
}

// forget is for when the log may have grown or not.
func (l *latest) forget() { l.keep(controller.Change{}) }

// after returns what the log has after a revision, where that is known.
func (l *latest) after(revision api.Revision) (changes []controller.Change, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.change.Revision {
	case 0:
		return nil, false
	case revision:
		return nil, true
	case revision + 1:
		return []controller.Change{l.change}, true
	}
	return nil, false
}
