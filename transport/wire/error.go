package wire

import (
	"errors"
	"fmt"
	"io"

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

// ErrTooLarge says that an object is larger than [Limits] allow. It is no
// violation: the stream is to be stopped, the session goes on.
var ErrTooLarge = errors.New("larger than the limit")

// errTruncated says that bytes ran out inside a field of a message whose end is
// known, so more will never come.
var errTruncated = errors.New("ends too early")

// Truncated returns the violation of a stream that ended with FIN inside field,
// for callers that read payload themselves.
func Truncated(field string) *Error {
	return &Error{Code: moqt.SessionProtocolViolation, Field: field, Err: errTruncated}
}

// inside turns the end of a stream, where field has begun or must come, into a
// violation. Other errors of the stream, and nil, stay as they are.
func inside(field string, err error) error {
	if err == io.EOF {
		return Truncated(field)
	}
	return err
}

func violation(field, format string, args ...any) error {
	return &Error{Code: moqt.SessionProtocolViolation, Field: field, Err: fmt.Errorf(format, args...)}
}

func tooLarge(field string, size, limit uint64) error {
	return fmt.Errorf("%s of %d bytes: %w of %d", field, size, ErrTooLarge, limit)
}
