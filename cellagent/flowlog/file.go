package flowlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Stdout is the file name for the process's standard output.
const Stdout = "-"

// rotationCheck is how often the file is compared with its name.
const rotationCheck = time.Second

// file appends lines to a file that somebody else may move away at any time.
type file struct {
	path    string
	out     *os.File
	checked time.Time
	torn    bool // the last line was not written to its end
}

// write appends one line; line ends with a newline.
func (f *file) write(line []byte) error {
	if err := f.open(); err != nil {
		return err
	}
	if f.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.out.Write(line)
	f.torn = n < len(line) && (n > 0 || f.torn)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// open makes f.out the file that has the name now.
func (f *file) open() error {
	if f.path == Stdout {
		f.out = os.Stdout
		return nil
	}
	if f.out != nil && time.Since(f.checked) < rotationCheck {
		return nil
	}
	f.checked = time.Now()
	if f.out != nil && f.inPlace() {
		return nil
	}
	f.close()
	if err := os.MkdirAll(filepath.Dir(f.path), 0o750); err != nil {
		return err
	}
	out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	f.out, f.torn = out, false
	return nil
}

// inPlace reports whether the open file still has its name. If that cannot be
// told, it is kept: better a line in the old file than none.
func (f *file) inPlace() bool {
	named, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	have, errHave := f.out.Stat()
	return err != nil || errHave != nil || os.SameFile(named, have)
}

// close has the next write open the file anew.
func (f *file) close() {
	if f.out != nil && f.path != Stdout {
		f.out.Close()
	}
	f.out = nil
}
