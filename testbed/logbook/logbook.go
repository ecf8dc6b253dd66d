// Package logbook is a log that a test reads while others still write it.
package logbook

import (
	"bytes"
	"sync"
)

// Logbook keeps what is written to it. The zero value is empty and ready for
// use by any number of goroutines.
type Logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (l *Logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *Logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
