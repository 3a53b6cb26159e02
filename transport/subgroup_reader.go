package transport

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// SubgroupReader reads one subgroup stream. Its methods, except Cancel, must
// not be called concurrently.
type SubgroupReader struct {
	s       *Session
	track   *TrackReader
	st      ReceiveStream
	r       *wire.Reader
	header  wire.SubgroupHeader
	objects wire.SubgroupObjects
	left    int64 // payload bytes of the current object not yet read
	first   *wire.ObjectHeader
	err     error // sticky
	once    sync.Once
}

// Header returns what the stream says of its subgroup.
func (r *SubgroupReader) Header() moqt.Subgroup { return r.header.Subgroup }

// NextObject waits for the next object's header and returns it with a reader of
// its payload, which gives the bytes as they arrive and is good until the next
// call. What is left unread of the object before is skipped.
//
// The error is io.EOF when the publisher ended the subgroup, and [*StreamError]
// when it reset the stream.
func (r *SubgroupReader) NextObject() (moqt.Object, io.Reader, error) {
	o, size, err := r.Next()
	if err != nil {
		return o, nil, err
	}
	return o, io.LimitReader(r, size), nil
}

// Next is NextObject for those who read the payload by [SubgroupReader.Read]:
// it returns the payload's size in bytes.
func (r *SubgroupReader) Next() (moqt.Object, int64, error) {
	if r.err != nil {
		return moqt.Object{}, 0, r.err
	}
	if r.left > 0 {
		if err := r.r.Discard(r.left); err != nil {
			return moqt.Object{}, 0, r.end(err)
		}
		r.left = 0
	}
	h, err := r.nextHeader()
	if err != nil {
		return moqt.Object{}, 0, r.end(err)
	}
	r.left = int64(h.Size)
	return moqt.Object{
		Location: moqt.Location{Group: r.header.Group, Object: h.ID},
		Subgroup: r.header.ID, Priority: r.header.Priority, Status: h.Status, Properties: h.Properties,
	}, r.left, nil
}

func (r *SubgroupReader) nextHeader() (wire.ObjectHeader, error) {
	if r.first != nil {
		h := *r.first
		r.first = nil
		return h, nil
	}
	return r.objects.Next(r.r, &r.s.wlimits)
}

// Read reads of the current object's payload. It returns io.EOF at its end.
func (r *SubgroupReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	if r.r.Buffered() == 0 {
		r.st.SetReadDeadline(time.Now().Add(r.s.cfg.Limits.StallTimeout))
	}
	n, err := r.r.Read(p)
	r.left -= int64(n)
	if r.left == 0 {
		r.st.SetReadDeadline(time.Time{})
		return n, nil
	}
	if err == io.EOF {
		err = &wire.Error{Code: moqt.SessionProtocolViolation, Field: "object payload", Err: errors.New("the stream ends inside")}
	}
	if err != nil {
		return n, r.end(err)
	}
	return n, nil
}

// ReadObject returns the next object with its whole payload, which the caller
// owns.
func (r *SubgroupReader) ReadObject() (moqt.Object, error) {
	o, size, err := r.Next()
	if err != nil {
		return o, err
	}
	o.Payload, err = r.readAll(size)
	return o, err
}

// readAll reads size bytes. The size is the peer's word, so memory is taken
// only as the bytes come.
func (r *SubgroupReader) readAll(size int64) ([]byte, error) {
	const trust = 1 << 20
	buf := make([]byte, min(size, trust))
	have := int64(0)
	for have < size {
		if have == int64(len(buf)) {
			grown := make([]byte, min(size, 2*int64(len(buf))))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[have:])
		have += int64(n)
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// end records why the stream gives no more objects.
func (r *SubgroupReader) end(err error) error {
	var we *wire.Error
	switch {
	case errors.As(err, &we):
		r.s.end(err)
	case errors.Is(err, wire.ErrTooLarge):
		r.st.CancelRead(moqt.StreamExcessiveLoad)
	case isTimeout(err):
		err = r.s.fail(moqt.SessionDataStreamTimeout, "an object made no progress for %v", r.s.cfg.Limits.StallTimeout)
	}
	r.err = err
	r.once.Do(func() { r.track.closed(r) })
	return err
}

// Cancel asks the publisher to stop the stream. It may be called concurrently
// with the other methods, which then fail.
func (r *SubgroupReader) Cancel(code moqt.StreamCode) {
	r.once.Do(func() { r.track.closed(r) })
	r.st.CancelRead(code)
}
