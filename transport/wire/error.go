package wire

import (
	"errors"
	"fmt"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Error is a peer's violation of the wire format. Code is what the draft wants
// the session to be closed with, Field what was being read.
type Error struct {
	Code  moqt.SessionCode
	Field string
	Err   error
}

// Error returns the field and what is wrong with it.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Field, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errTruncated says that bytes ran out inside a field of a message whose end is
// known, so more will never come.
var errTruncated = errors.New("ends too early")

func violation(field, format string, args ...any) error {
	return &Error{Code: moqt.SessionProtocolViolation, Field: field, Err: fmt.Errorf(format, args...)}
}
