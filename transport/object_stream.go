package transport

import (
	"errors"
	"io"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// objectStream reads the objects of one data stream, of a subgroup or of a
// fetch: payload, stalls, and what an error means for the session. The header of
// an object is read by its owner, between next and begin.
type objectStream struct {
	s    *Session
	src  *timedStream
	r    *wire.Reader // of src
	left int64        // payload bytes of the current object not yet read
}

// next skips what is left of the current object.
func (o *objectStream) next() error {
	if o.left == 0 {
		return nil
	}
	err := o.r.Discard(o.left)
	o.left = 0
	o.complete()
	return err
}

// begin says that the header of an object was read, of which size bytes follow.
func (o *objectStream) begin(size uint64) {
	o.left = int64(size)
	if o.left == 0 {
		o.complete()
	}
}

func (o *objectStream) complete() { o.src.next(o.r.Buffered() > 0) }

// read reads of the current object's payload. It returns io.EOF at its end.
func (o *objectStream) read(p []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > o.left {
		p = p[:o.left]
	}
	n, err := o.r.Read(p)
	o.left -= int64(n)
	switch {
	case o.left == 0:
		o.complete()
		return n, nil
	case err == io.EOF:
		return n, wire.Truncated("Object Payload")
	}
	return n, err
}

// readAll reads the current object's payload. Its size is the peer's word, so
// memory is taken only as the bytes come.
func (o *objectStream) readAll() ([]byte, error) {
	const trust = 1 << 20
	buf := make([]byte, min(o.left, trust))
	for have := 0; o.left > 0; {
		if have == len(buf) {
			grown := make([]byte, int64(have)+min(o.left, int64(have)))
			copy(grown, buf)
			buf = grown
		}
		n, err := o.read(buf[have:])
		have += n
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// failed returns what an error of the stream is to its reader, and stops the
// stream or ends the session where the error asks for it.
func (o *objectStream) failed(err error) error {
	var we *wire.Error
	switch {
	case err == io.EOF, isStream(err):
		return err
	case errors.As(err, &we):
		o.s.end(err)
	case errors.Is(err, wire.ErrTooLarge):
		o.src.CancelRead(moqt.StreamExcessiveLoad)
		return err
	case isTimeout(err):
		o.s.fail(moqt.SessionDataStreamTimeout, "an object made no progress for %v", o.s.cfg.Limits.StallTimeout)
	}
	if o.s.over() {
		return o.s.cause()
	}
	return err
}
