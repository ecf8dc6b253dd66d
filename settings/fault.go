package settings

import (
	"errors"
	"fmt"
)

// Fault is what is wrong with one key. A Validate method joins them with
// errors.Join; Load finds out where each key was given.
type Fault struct {
	Key   string // in full, such as auth.uaa.url
	Value string // as given; never one that holds a secret
	Must  string // what it must be, or what is wrong
}

func (f Fault) Error() string { return fmt.Sprintf("%s %q: %s", f.Key, f.Value, f.Must) }

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
