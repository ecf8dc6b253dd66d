package settings

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is what is wrong with one key. A Validate method joins them with
// errors.Join; Load finds out where each key was given.
type Fault struct {
	Key     string // in full, such as auth.uaa.url
	Value   string // as given; Load hides secrets
	Must    string // what it must be, or what is wrong
	Warning bool   // it can be used all the same
}

// quotedAtMost bounds the value that a fault quotes, in bytes.
const quotedAtMost = 200

func (f Fault) Error() string {
	value := f.Value
	if len(value) > quotedAtMost {
		value = value[:quotedAtMost] + "..."
	}
	return fmt.Sprintf("%s %q: %s", f.Key, value, f.Must)
}

// Faults are all that is wrong with a configuration, each with its place.
type Faults []string

func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0]
	}
	return fmt.Sprintf("the configuration has %d faults:\n%s", len(f), strings.Join(f, "\n"))
}

// faultsOf takes apart what errors.Join made. An error that is no Fault becomes
// one without key.
func faultsOf(err error) []Fault {
	if err == nil {
		return nil
	}
	if joined, is := err.(interface{ Unwrap() []error }); is {
		var all []Fault
		for _, e := range joined.Unwrap() {
			all = append(all, faultsOf(e)...)
		}
		return all
	}
	var fault Fault
	if !errors.As(err, &fault) {
		fault = Fault{Must: err.Error()}
	}
	return []Fault{fault}
}

// String is the fault with its place, as compilers write it.
func (f located) String(file string) string {
	text := f.Must
	if f.Key != "" {
		text = f.Error()
	}
	switch {
	case f.other != "":
		return f.other + ": " + text
	case f.line > 0:
		return fmt.Sprintf("%s:%d: %s", file, f.line, text)
	case file != "":
		return file + ": " + text
	}
	return text
}
