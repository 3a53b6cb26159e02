package transport

import (
	"errors"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ErrClosed is returned by calls on a session, track or stream that this end
// has closed.
var ErrClosed = errors.New("moqt: closed")

// SessionError says why a session ended.
type SessionError struct {
	Code   moqt.SessionCode
	Reason string
	Remote bool // the peer closed it
}

// Error returns who closed the session and why.
func (e *SessionError) Error() string {
	who := "session closed"
	if e.Remote {
		who = "session closed by peer"
	}
	if e.Reason == "" {
		return fmt.Sprintf("%s: %v", who, e.Code)
	}
	return fmt.Sprintf("%s: %v: %s", who, e.Code, printable(e.Reason))
}

// Is reports whether target is a *SessionError of the same code. A target with
// a reason must have that too.
func (e *SessionError) Is(target error) bool {
	t, ok := target.(*SessionError)
	return ok && t.Code == e.Code && (t.Reason == "" || t.Reason == e.Reason)
}

// RequestError says why a request was refused (REQUEST_ERROR).
type RequestError struct {
	Code   moqt.RequestCode
	Reason string
	Remote bool // the peer refused it
	// RetryAfter is after how long the request may be repeated. If it is
	// negative, it should not be.
	RetryAfter time.Duration
	// Redirect is where to go instead, with RequestRedirect only.
	Redirect *Redirect
}

// Error returns the code and the peer's sentence.
func (e *RequestError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("request refused: %v", e.Code)
	}
	return fmt.Sprintf("request refused: %v: %s", e.Code, printable(e.Reason))
}

// Is reports whether target is a *RequestError of the same code.
func (e *RequestError) Is(target error) bool {
	t, ok := target.(*RequestError)
	return ok && t.Code == e.Code
}

// StreamError says why a stream was reset or stopped before its end.
type StreamError struct {
	Code   moqt.StreamCode
	Remote bool // the peer did it
}

// Error returns the code.
func (e *StreamError) Error() string {
	if e.Remote {
		return fmt.Sprintf("stream cancelled by peer: %v", e.Code)
	}
	return fmt.Sprintf("stream cancelled: %v", e.Code)
}

// Is reports whether target is a *StreamError of the same code.
func (e *StreamError) Is(target error) bool {
	t, ok := target.(*StreamError)
	return ok && t.Code == e.Code
}

// TrackDone says that the publisher ended a subscription (PUBLISH_DONE).
type TrackDone struct {
	Code   moqt.DoneCode
	Reason string
}

// Error returns the code and the publisher's sentence.
func (e *TrackDone) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("track done: %v", e.Code)
	}
	return fmt.Sprintf("track done: %v: %s", e.Code, printable(e.Reason))
}

// Is reports whether target is a *TrackDone of the same code.
func (e *TrackDone) Is(target error) bool {
	t, ok := target.(*TrackDone)
	return ok && t.Code == e.Code
}

// printable returns a peer's text in a form that is safe in a log or on a
// terminal: at most 256 bytes, and nothing but printable ASCII.
func printable(s string) string {
	const most = 256
	cut := len(s) > most
	if cut {
		s = s[:most]
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c < 0x7f && c != '\\' {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, "\\x%02x", c)
		}
	}
	if cut {
		b = append(b, "..."...)
	}
	return string(b)
}
