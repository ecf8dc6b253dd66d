package cellagent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// lastGood is the last applied table on disk: a journal of the controller's
// own messages, one JSON line each, a snapshot first. It is there for one
// case, a switch that lost its flows while the controller is away. A journal
// is as current as the switch at the cost of what changed, so a revoked policy
// never comes back from it; where it cannot be kept so, it is removed.
type lastGood struct {
	path  string
	cell  string // whose table it is; a file of another cell is not used
	hash  flows.Hash
	valid bool // the file holds a table, hash is its hash, and it can be appended to
	bytes int  // of the deltas since the snapshot
}

// journalLine is one line of the file.
type journalLine struct {
	Cell    string      `json:"cell"`
	Message api.Message `json:"message"`
}

// compactAfter bounds the journal's deltas. The next message is then written
// as a snapshot.
const compactAfter = 4 << 20 // bytes

// openLastGood reads the file in folder. Without one, or with one that does
// not hold, the table is not complete and the file will be written anew.
func openLastGood(folder, cell string) (*lastGood, desired, error) {
	l := &lastGood{path: filepath.Join(folder, "table.ndjson"), cell: cell}
	var table desired
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, table, nil
	}
	if err != nil {
		return l, table, fmt.Errorf("read last good table: %w", err)
	}
	whole := true
	var history replay
	for one := range bytes.Lines(text) {
		if whole = one[len(one)-1] == '\n'; !whole {
			break // a kill cut it short: what came before it holds, but nothing can be appended to it
		}
		var line journalLine
		if err := json.Unmarshal(one, &line); err != nil {
			return l, desired{}, fmt.Errorf("last good table %s: %w", l.path, err)
		}
		if line.Cell != cell {
			return l, desired{}, fmt.Errorf("last good table %s is of cell %q, not used", l.path, line.Cell)
		}
		if err := history.step(line.Message); err != nil {
			return l, desired{}, fmt.Errorf("last good table %s: %w", l.path, err)
		}
		l.bytes += len(one)
	}
	if table, err = history.table(); err != nil {
		return l, desired{}, fmt.Errorf("last good table %s: %w", l.path, err)
	}
	l.hash, l.valid = table.hash, table.complete && whole
	return l, table, nil
}

// keep records that the switch holds table, to which the messages led since
// the last call.
func (l *lastGood) keep(table desired, messages []api.Message) error {
	if l.valid && l.hash == table.hash {
		return nil
	}
	err := l.write(table, messages)
	if err != nil {
		l.valid = false
		if gone := os.Remove(l.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return fmt.Errorf("keep last good table: %w", err)
	}
	l.hash, l.valid = table.hash, true
	return nil
}

func (l *lastGood) write(table desired, messages []api.Message) error {
	whole := !l.valid || l.bytes > compactAfter || len(messages) == 0
	for _, m := range messages {
		whole = whole || m.Type == api.TypeSnapshot
	}
	if whole {
		messages = []api.Message{snapshotOf(table)}
	}
	var text []byte
	for _, m := range messages {
		line, err := json.Marshal(journalLine{Cell: l.cell, Message: m})
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	if whole {
		l.bytes = 0
		return writeFile(l.path, text)
	}
	l.bytes += len(text)
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// snapshotOf is the message that leads from nothing to table.
func snapshotOf(table desired) api.Message {
	m := api.Message{Type: api.TypeSnapshot, Revision: table.revision, Hash: table.hash.String()}
	for _, f := range table.fragments {
		m.Set = append(m.Set, api.FragmentToWire(f))
	}
	return m
}

// writeFile replaces a file at once: readers see the old text or the new, also
// after a crash.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
