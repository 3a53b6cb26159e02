package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// SubgroupWriter writes the objects of one subgroup on a stream of its own. Its
// methods, except Cancel, must not be called concurrently.
type SubgroupWriter struct {
	t       *TrackWriter
	header  wire.SubgroupHeader
	st      SendStream // nil until the first object that the subscriber wants
	started bool       // an object went out
	skipped bool       // an object was left out after one went out
	prev    uint64     // id of the last object written
	next    uint64     // id that Write gives
	left    int64      // bytes owed to the current StartObject
	entry   *schedEntry
	done    atomic.Bool
	ctx     context.Context
}

// OpenGroup opens a group that is one stream: subgroup 0, whose end is that of
// the group.
func (t *TrackWriter) OpenGroup(ctx context.Context, group uint64) (*SubgroupWriter, error) {
	return t.OpenSubgroup(ctx, moqt.Subgroup{Group: group, DefaultPriority: true, First: true, EndOfGroup: true})
}

// OpenSubgroup opens a subgroup as sg tells it. The stream is opened with the
// first object, which blocks while the peer's limit of streams is reached; ctx
// bounds that wait. First is cleared by itself when objects before were left
// out.
func (t *TrackWriter) OpenSubgroup(ctx context.Context, sg moqt.Subgroup) (*SubgroupWriter, error) {
	if t.rs.ctx.Err() != nil {
		return nil, t.why()
	}
	if sg.DefaultPriority {
		sg.Priority = t.defPrio
	} else if sg.Priority == t.defPrio {
		sg.DefaultPriority = true
	}
	w := &SubgroupWriter{t: t, ctx: ctx, header: wire.SubgroupHeader{Alias: t.alias, Subgroup: sg}}
	t.mu.Lock()
	t.open[w] = struct{}{}
	t.mu.Unlock()
	return w, nil
}

// why returns what ended the subscription.
func (t *TrackWriter) why() error {
	if t.s.ctx.Err() != nil {
		return t.s.cause()
	}
	return context.Cause(t.rs.ctx)
}

// scratch holds the header and payload of small objects, so that they go out
// by one Write: each Write wakes the connection.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const oneWrite = 16 << 10 // objects up to this many bytes are copied behind their header

// WriteObject sends o whole and blocks until the transport has taken its last
// byte, so it runs at the speed of the path. o.Payload is not kept. Object ids
// must rise within a subgroup; the group and subgroup of o are those of w,
// whatever o says.
//
// It returns [*StreamError] if the peer stopped the stream, after which the
// subgroup is over. (MOQT draft-18, "Subgroup Header")
func (w *SubgroupWriter) WriteObject(o moqt.Object) error {
	go_, err := w.begin(&o)
	if !go_ {
		return err
	}
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	b, err := w.appendHead((*buf)[:0], &o, int64(len(o.Payload)))
	if err != nil {
		return err
	}
	if len(o.Payload) <= oneWrite {
		b = append(b, o.Payload...)
		*buf = b[:0]
		return w.write(b)
	}
	*buf = b[:0]
	if err := w.write(b); err != nil {
		return err
	}
	return w.write(o.Payload)
}

// StartObject sends the header of an object whose payload of size bytes is
// written to the result, as it becomes available. All of it must be written
// before the next object.
func (w *SubgroupWriter) StartObject(o moqt.Object, size int64) (io.Writer, error) {
	w.left = size
	go_, err := w.begin(&o)
	if err != nil {
		return nil, err
	}
	if !go_ {
		return objectWriter{w, true}, nil
	}
	b, err := w.appendHead(nil, &o, size)
	if err != nil {
		return nil, err
	}
	if err := w.write(b); err != nil {
		return nil, err
	}
	return objectWriter{w, false}, nil
}

// objectWriter takes the payload of one object.
type objectWriter struct {
	w    *SubgroupWriter
	mute bool
}

func (o objectWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > o.w.left {
		return 0, fmt.Errorf("moqt: %d bytes for an object that has %d left", len(p), o.w.left)
	}
	o.w.left -= int64(len(p))
	if o.mute {
		return len(p), nil
	}
	if err := o.w.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Write sends p as the next object: the first has id 0.
func (w *SubgroupWriter) Write(p []byte) (int, error) {
	if err := w.WriteObject(moqt.Object{Location: moqt.Location{Object: w.next}, Payload: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// begin prepares the stream for o and reports whether o goes out.
func (w *SubgroupWriter) begin(o *moqt.Object) (bool, error) {
	if w.done.Load() {
		return false, w.over()
	}
	id := o.Object
	if w.started && id <= w.prev {
		return false, fmt.Errorf("moqt: object %d after object %d of one subgroup", id, w.prev)
	}
	w.next = id + 1
	if !w.t.wants(moqt.Location{Group: w.header.Group, Object: id}) {
		if w.st == nil {
			w.header.First = false
		} else {
			w.skipped = true
		}
		return false, nil
	}
	if w.skipped { // what comes after a hole is not the next object
		w.Cancel(moqt.StreamCancelled)
		return false, nil
	}
	return true, nil
}

// over returns why nothing more can be written.
func (w *SubgroupWriter) over() error {
	if w.t.rs.ctx.Err() != nil {
		return w.t.why()
	}
	return &StreamError{Code: moqt.StreamCancelled}
}

// appendHead appends the bytes before o's payload, and the stream's header if o
// is its first object.
func (w *SubgroupWriter) appendHead(b []byte, o *moqt.Object, size int64) ([]byte, error) {
	h := wire.ObjectHeader{ID: o.Object, Status: o.Status, Properties: o.Properties, Size: uint64(size)}
	if w.st == nil {
		// Whether objects have properties is told once for the stream. Those
		// who may have some later pay one byte an object.
		w.header.Properties = w.header.Properties || len(o.Properties) > 0
		if err := w.openStream(); err != nil {
			return nil, err
		}
		b = w.t.s.profile.AppendSubgroupHeader(b, &w.header)
	} else if len(o.Properties) > 0 && !w.header.Properties {
		w.Cancel(moqt.StreamInternalError)
		return nil, errors.New("moqt: an object with properties on a stream without; set Properties by OpenSubgroupProperties")
	}
	b, err := w.t.s.profile.AppendObject(b, &w.header, w.prev, !w.started, &h)
	w.started, w.prev = true, o.Object
	return b, err
}

// WithProperties says that objects of the subgroup may have properties although
// the first has none. It must be called before the first object.
func (w *SubgroupWriter) WithProperties() { w.header.Properties = true }

func (w *SubgroupWriter) openStream() error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	defer context.AfterFunc(w.t.rs.ctx, cancel)()
	st, err := w.t.s.conn.OpenUniStream(ctx)
	if err != nil {
		if w.t.rs.ctx.Err() != nil {
			return w.t.why()
		}
		return err
	}
	t := w.t
	t.mu.Lock()
	if t.closed || w.done.Load() {
		t.mu.Unlock()
		st.CancelWrite(moqt.StreamCancelled)
		return w.over()
	}
	t.streams++
	w.st = st
	t.mu.Unlock()
	w.entry = t.s.sched.add(w)
	return nil
}

func (w *SubgroupWriter) write(p []byte) error {
	_, err := w.st.Write(p)
	if err != nil {
		w.release()
		if w.t.s.ctx.Err() != nil {
			return w.t.s.cause()
		}
	}
	return err
}

// Close ends the subgroup: the subscriber knows that it has all of it.
func (w *SubgroupWriter) Close() error {
	if w.done.Swap(true) {
		return nil
	}
	w.release()
	switch {
	case w.st == nil:
		return nil
	case w.left > 0 || w.skipped:
		w.st.CancelWrite(moqt.StreamCancelled)
		if w.left > 0 {
			return fmt.Errorf("moqt: subgroup closed %d bytes before the end of an object", w.left)
		}
		return nil
	}
	return w.st.Close()
}

// Cancel resets the stream. It may be called concurrently with the other
// methods.
func (w *SubgroupWriter) Cancel(code moqt.StreamCode) {
	if w.done.Swap(true) {
		return
	}
	w.t.mu.Lock()
	st := w.st
	w.t.mu.Unlock()
	w.release()
	if st != nil {
		st.CancelWrite(code)
	}
}

// release takes w out of the tables.
func (w *SubgroupWriter) release() {
	w.t.mu.Lock()
	delete(w.t.open, w)
	w.t.mu.Unlock()
	w.t.s.sched.remove(w)
}
