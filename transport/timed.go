package transport

import (
	"errors"
	"os"
	"time"
)

// timedStream is a stream of messages or objects, each of which may be long in
// coming. Once the first byte of one is there the rest must follow within limit,
// or a Read fails with [os.ErrDeadlineExceeded]. It is used by one goroutine at
// a time.
type timedStream struct {
	ReceiveStream
	limit    time.Duration
	progress bool // the limit begins anew with each Read, else it is for all of one
	begun    bool // something of the current one was read
	armed    bool // the stream has a deadline
	stale    bool // which is that of the one before
}

// timed returns st as a timedStream of which the first message counts as begun.
func timed(st ReceiveStream, limit time.Duration) *timedStream {
	return &timedStream{ReceiveStream: st, limit: limit, begun: true}
}

// Read reads from the stream. Deadlines are set only where a message or object
// does not come in one piece, which small ones do.
func (t *timedStream) Read(p []byte) (int, error) {
	switch {
	case t.begun && (t.progress || !t.armed || t.stale):
		t.SetReadDeadline(time.Now().Add(t.limit))
		t.armed, t.stale = true, false
	case !t.begun && t.armed:
		t.SetReadDeadline(time.Time{})
		t.armed, t.stale = false, false
	}
	n, err := t.ReceiveStream.Read(p)
	if n > 0 {
		t.begun = true
	}
	return n, err
}

// next says that the current message or object is complete, and whether
// something of the next one was read with it.
func (t *timedStream) next(begun bool) { t.begun, t.stale = begun, t.armed }

// isTimeout reports whether err is that of a deadline on a stream. A connection
// that went silent is a timeout as well, but of another kind.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
