package api

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind says what sort of failure an error is. Kinds travel: the server turns
// one into a status code, the client turns it back, so that
// errors.Is(err, ErrGone) holds on both sides of the wire.
type Kind string

// The kinds of failure.
const (
	ErrInvalid       Kind = "invalid"        // the request is wrong; the text names the field
	ErrUnauthorized  Kind = "unauthorized"   // the caller did not prove who it is
	ErrForbidden     Kind = "forbidden"      // the caller may not do this
	ErrNotFound      Kind = "not found"      // the object does not exist
	ErrNotAcceptable Kind = "not acceptable" // this version of the API is not spoken here
	ErrConflict      Kind = "conflict"       // something else holds what was asked for
	ErrQuota         Kind = "quota"          // more than the caller may have
	ErrOutdated      Kind = "outdated"       // the caller has not seen the latest revision
	ErrGone          Kind = "gone"           // the stream is over: open a new one
	ErrExhausted     Kind = "exhausted"      // no group id or subnet is left
	ErrUnavailable   Kind = "unavailable"    // try again later: nobody answers, or no database
	ErrInternal      Kind = "internal"       // everything else
)

// Error makes a kind usable as the target of errors.Is.
func (k Kind) Error() string { return string(k) }

// Error is a failure of a known kind. The zero value is of no kind.
type Error struct {
	Kind   Kind
	Text   string // what the caller is told
	Detail string // why, where the contract fixes Text; travels in a header
	cause  error  // for errors.Is, errors.As and the log
	status int    // where the contract fixes status and Text; 0 for the kind's own
}

// Error returns the text and why.
func (e *Error) Error() string {
	switch {
	case e.Detail != "":
		return e.Text + ": " + e.Detail
	case e.status != 0 && e.cause != nil:
		return e.Text + ": " + e.cause.Error() // the text alone says nothing of it
	}
	return e.Text
}

// Is reports whether target is this error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// newError formats like fmt.Errorf; an operand of %w stays reachable.
func newError(kind Kind, format string, args []any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Text: err.Error(), cause: errors.Unwrap(err)}
}

// Invalid returns an error for a wrong request. The text names the field and its value.
func Invalid(format string, args ...any) error { return newError(ErrInvalid, format, args) }

// Unauthorized returns an error for a caller that did not prove who it is.
func Unauthorized(format string, args ...any) error { return newError(ErrUnauthorized, format, args) }

// Forbidden returns an error for a caller that may not do this.
func Forbidden(format string, args ...any) error { return newError(ErrForbidden, format, args) }

// NotFound returns an error for an object that does not exist.
func NotFound(format string, args ...any) error { return newError(ErrNotFound, format, args) }

// Quota returns an error for more than the caller may have.
func Quota(format string, args ...any) error { return newError(ErrQuota, format, args) }

// Outdated returns an error for a caller that has not seen the latest revision.
func Outdated(format string, args ...any) error { return newError(ErrOutdated, format, args) }

// Conflict returns an error for something that another holds.
func Conflict(format string, args ...any) error { return newError(ErrConflict, format, args) }

// Gone returns an error for a stream that is over.
func Gone(format string, args ...any) error { return newError(ErrGone, format, args) }

// Exhausted returns an error for a pool with nothing left.
func Exhausted(format string, args ...any) error { return newError(ErrExhausted, format, args) }

// Unavailable returns an error for a failure that passes by itself.
func Unavailable(format string, args ...any) error { return newError(ErrUnavailable, format, args) }

// KindOf returns the outermost kind in err's chain, and ErrInternal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) && e.Kind != "" {
		return e.Kind
	}
	return ErrInternal
}

// statusOf is the one place that knows which status code a kind has.
func statusOf(k Kind) int {
	switch k {
	case ErrInvalid:
		return http.StatusBadRequest
	case ErrUnauthorized:
		return http.StatusUnauthorized
	case ErrForbidden, ErrQuota:
		return http.StatusForbidden
	case ErrNotFound:
		return http.StatusNotFound
	case ErrNotAcceptable:
		return http.StatusNotAcceptable
	case ErrConflict:
		return http.StatusConflict
	case ErrOutdated:
		return http.StatusPreconditionFailed
	case ErrGone:
		return http.StatusGone
	case ErrExhausted:
		return http.StatusInsufficientStorage
	case ErrUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// kindOfStatus is the inverse, for servers that do not name the kind.
func kindOfStatus(status int) Kind {
	for _, k := range []Kind{
		ErrInvalid, ErrUnauthorized, ErrForbidden, ErrNotFound, ErrNotAcceptable,
		ErrConflict, ErrOutdated, ErrGone, ErrExhausted, ErrUnavailable,
	} {
		if statusOf(k) == status {
			return k
		}
	}
	return ErrInternal
}
