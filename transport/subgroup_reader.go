package transport

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// SubgroupReader reads one subgroup stream. Its methods, except Cancel, must
// not be called concurrently.
type SubgroupReader struct {
	objectStream
	track   *TrackReader
	header  wire.SubgroupHeader
	objects wire.SubgroupObjects
	first   *wire.ObjectHeader // of the first object, if it was read for the subgroup's id
	err     error              // sticky
	stopped atomic.Pointer[StreamError]
	once    sync.Once
	queued  bool // guarded by track.mu
}

// Header returns what the stream says of its subgroup.
func (r *SubgroupReader) Header() moqt.Subgroup { return r.header.Subgroup }

// NextObject waits for the next object's header and returns it with a reader of
// its payload, which gives the bytes as they arrive and is good until the next
// call. What is left unread of the object before is skipped.
//
// The error is io.EOF when the publisher ended the subgroup, [*StreamError]
// when it reset the stream, and another one if the object is larger than
// Limits.MaxObjectSize, after which the stream is stopped. An object that
// breaks off ends the session.
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
	if err := r.over(); err != nil {
		return moqt.Object{}, 0, err
	}
	if err := r.next(); err != nil {
		return moqt.Object{}, 0, r.end(err)
	}
	h, err := r.nextHeader()
	if err != nil {
		return moqt.Object{}, 0, r.end(err)
	}
	r.begin(h.Size)
	return r.object(&h), r.left, nil
}

// readFirst reads the header of the first object ahead.
func (r *SubgroupReader) readFirst() (moqt.Object, error) {
	h, err := r.objects.Next(r.r, &r.s.wlimits)
	if err != nil {
		return moqt.Object{}, err
	}
	r.s.trace.object(qlog.Parsed, r.src, r.objects.Delta(), h)
	r.first = &h
	return r.object(&h), nil
}

// object is the object of header h, without its payload.
func (r *SubgroupReader) object(h *wire.ObjectHeader) moqt.Object {
	return moqt.Object{
		Location: moqt.Location{Group: r.header.Group, Object: h.ID},
		Subgroup: r.header.ID, Priority: r.header.Priority, Status: h.Status, Properties: h.Properties,
	}
}

func (r *SubgroupReader) nextHeader() (wire.ObjectHeader, error) {
	if r.first != nil {
		h := *r.first
		r.first = nil
		return h, nil
	}
	h, err := r.objects.Next(r.r, &r.s.wlimits)
	if err == nil {
		r.s.trace.object(qlog.Parsed, r.src, r.objects.Delta(), h)
	}
	return h, err
}

// Read reads of the current object's payload. It returns io.EOF at its end.
func (r *SubgroupReader) Read(p []byte) (int, error) {
	if err := r.over(); err != nil {
		return 0, err
	}
	n, err := r.read(p)
	if err != nil && err != io.EOF {
		err = r.end(err)
	}
	return n, err
}

// ReadObject returns the next object with its whole payload, which the caller
// owns.
func (r *SubgroupReader) ReadObject() (moqt.Object, error) {
	o, _, err := r.Next()
	if err != nil {
		return o, err
	}
	if o.Payload, err = r.readAll(); err != nil {
		return o, r.end(err)
	}
	return o, nil
}

// over returns why there is nothing more to read, also of what is buffered.
func (r *SubgroupReader) over() error {
	if err := r.stopped.Load(); err != nil {
		return err
	}
	return r.err
}

// end records why the stream gives no more objects.
func (r *SubgroupReader) end(err error) error {
	r.err = r.failed(err)
	r.once.Do(func() { r.track.closed(r) })
	return r.err
}

// Cancel asks the publisher to stop the stream. It may be called concurrently
// with the other methods, which then fail.
func (r *SubgroupReader) Cancel(code moqt.StreamCode) {
	r.stopped.CompareAndSwap(nil, &StreamError{Code: code})
	r.once.Do(func() { r.track.closed(r) })
	r.src.CancelRead(code)
}
