package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// SubgroupWriter writes the objects of one subgroup, on a stream that is opened
// with the first one the subscriber wants. An object it does not want is dropped
// without an error and ends the stream; the next one that it wants again goes
// on a new one. The methods, except Cancel, must not be called concurrently.
type SubgroupWriter struct {
	t      *TrackWriter
	ctx    context.Context
	header wire.SubgroupHeader
	next   uint64 // the least id that may come; Write gives it
	left   int64  // bytes owed to the current StartObject
	prev   uint64 // id of the last object on the stream
	timed  bool   // the stream has a deadline

	// Guarded by t.mu:
	st   *schedStream // nil if none is open
	end  error        // why nothing can be written any more
	pub  timeouts     // the publisher's
	late *time.Timer
}

// OpenGroup opens a group that is one stream: subgroup 0, whose end is that of
// the group.
func (t *TrackWriter) OpenGroup(ctx context.Context, group uint64) (*SubgroupWriter, error) {
	return t.OpenSubgroup(ctx, moqt.Subgroup{Group: group, DefaultPriority: true, First: true, EndOfGroup: true})
}

// OpenSubgroup opens a subgroup as sg tells it. The stream is opened with the
// first object, which blocks while the peer's limit of streams is reached; ctx
// bounds that wait. First is cleared by itself when objects before were left
// out. A subgroup that has exceeded a delivery timeout cannot be opened again.
func (t *TrackWriter) OpenSubgroup(ctx context.Context, sg moqt.Subgroup) (*SubgroupWriter, error) {
	if t.rs.ctx.Err() != nil {
		return nil, t.rs.endOf(nil)
	}
	if last := t.s.profile.MaxVarint(); sg.Group > last || sg.ID > last {
		return nil, fmt.Errorf("moqt: subgroup %d/%d has a number that %v cannot tell", sg.Group, sg.ID, t.s.info.Version)
	}
	if sg.DefaultPriority {
		sg.Priority = t.defPrio
	} else if sg.Priority == t.defPrio {
		sg.DefaultPriority = true
	}
	w := &SubgroupWriter{t: t, ctx: ctx, header: wire.SubgroupHeader{Alias: t.alias, Subgroup: sg}, pub: t.published()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timedOut.has(subgroupID{sg.Group, sg.ID}) {
		return nil, errTimedOut
	}
	t.open[w] = struct{}{}
	return w, nil
}

// WithProperties says that objects of the subgroup may have properties although
// the first has none. It must be called before the first object.
func (w *SubgroupWriter) WithProperties() { w.header.Properties = true }

// scratch holds the header and payload of small objects, so that they go out
// by one Write: each Write wakes the connection.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const oneWrite = 16 << 10 // objects up to this many bytes are copied behind their header

// WriteObject sends o whole and blocks until the transport has taken its last
// byte, so it runs at the speed of the path. o.Payload is not kept. Object ids
// must rise within a subgroup; the group and subgroup of o are those of w,
// whatever o says.
//
// It returns [*StreamError] if the peer stopped the stream, or, with the code
// DELIVERY_TIMEOUT, if o outlived the object delivery timeout before all of it
// was on its way; the stream is then reset. Either way the subgroup is over.
// (MOQT draft-18, "Subgroup Header")
func (w *SubgroupWriter) WriteObject(o moqt.Object) error { return w.WriteFramed(o, nil) }

// Framer has the payload of an object in memory that has room for a header
// before it.
type Framer interface {
	// Framed returns head and the payload as one slice, which nobody changes any
	// more, or false if it cannot. It does not keep head, and may be called
	// concurrently.
	Framed(head []byte) ([]byte, bool)
}

// WriteFramed is WriteObject for who sends the same object on many sessions: if
// f, which may be nil, can put the object's header before o.Payload, the payload
// is not copied for each of them.
func (w *SubgroupWriter) WriteFramed(o moqt.Object, f Framer) error {
	if err := w.begin(&o); err != nil {
		return err
	}
	buf := scratch.Get().(*[]byte)
	st, b, err := w.start((*buf)[:0], &o, int64(len(o.Payload)))
	if st == nil {
		scratch.Put(buf)
		return err
	}
	if f != nil {
		if whole, ok := f.Framed(b); ok {
			*buf = b[:0]
			scratch.Put(buf)
			return w.write(st, whole)
		}
	}
	defer scratch.Put(buf)
	if len(o.Payload) <= oneWrite {
		b = append(b, o.Payload...)
		*buf = b[:0]
		return w.write(st, b)
	}
	*buf = b[:0]
	if err := w.write(st, b); err != nil {
		return err
	}
	return w.write(st, o.Payload)
}

// StartObject sends the header of an object whose payload of size bytes is
// written to the result, as it becomes available. All of it must be written
// before the next object.
func (w *SubgroupWriter) StartObject(o moqt.Object, size int64) (io.Writer, error) {
	if err := w.begin(&o); err != nil {
		return nil, err
	}
	st, b, err := w.start(nil, &o, size)
	if err == nil && st != nil {
		err = w.write(st, b)
	}
	if err != nil {
		return nil, err
	}
	w.left = size
	return &objectWriter{w, st}, nil
}

// objectWriter takes the payload of one object, which goes to st, or is dropped
// if that is nil.
type objectWriter struct {
	w  *SubgroupWriter
	st *schedStream
}

func (o *objectWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > o.w.left {
		return 0, fmt.Errorf("moqt: %d bytes for an object that has %d left", len(p), o.w.left)
	}
	o.w.left -= int64(len(p))
	if o.st == nil {
		return len(p), nil
	}
	if err := o.w.write(o.st, p); err != nil {
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

// begin checks that o may come next.
func (w *SubgroupWriter) begin(o *moqt.Object) error {
	w.t.mu.Lock()
	err := w.end
	w.t.mu.Unlock()
	switch {
	case err != nil:
		return w.t.rs.endOf(err)
	case w.left > 0:
		return fmt.Errorf("moqt: object %d before the last %d bytes of the one before", o.Object, w.left)
	case o.Object < w.next:
		return fmt.Errorf("moqt: object %d of a subgroup that is at %d", o.Object, w.next)
	}
	return nil
}

// start brings o on its way: it returns the stream to write to and b with the
// bytes before o's payload of size bytes, or no stream if the subscriber does
// not want o.
func (w *SubgroupWriter) start(b []byte, o *moqt.Object, size int64) (*schedStream, []byte, error) {
	first := w.header.First
	w.header.First = false // what comes later is not the first, whatever becomes of o
	if profile := w.t.s.profile; first && profile.TimeoutsOnObjects() {
		w.t.mu.Lock()
		w.pub = w.pub.override(profile, o.Properties)
		w.t.mu.Unlock()
	}
	wanted, filtered := w.t.wants(&moqt.Object{Location: moqt.Location{Group: w.header.Group, Object: o.Object},
		Subgroup: w.header.ID, Priority: w.header.Priority, Properties: o.Properties})
	if o.Object < math.MaxUint64 {
		w.next = o.Object + 1
	}
	if !wanted {
		if !filtered { // what a range filter leaves out may be left out of a stream
			w.cut()
		}
		return nil, b, nil
	}
	deadline := w.deadline(o)
	if !deadline.IsZero() && time.Now().After(deadline) {
		w.expire()
		return nil, b, errTimedOut
	}
	w.t.mu.Lock()
	st := w.st
	w.t.mu.Unlock()
	if st == nil {
		// Whether objects have properties is told once for the stream. Those
		// who may have some later pay one byte an object.
		w.header.Properties = w.header.Properties || len(o.Properties) > 0
	} else if len(o.Properties) > 0 && !w.header.Properties {
		return nil, b, errors.New("moqt: an object with properties on a stream without; see WithProperties")
	}
	h := wire.ObjectHeader{ID: o.Object, Status: o.Status, Properties: o.Properties, Size: uint64(size)}
	b, err := w.t.s.profile.AppendObject(b, &w.header, w.prev, st == nil, &h)
	if err != nil {
		return nil, b, err
	}
	delta := o.Object - w.prev - 1
	if st == nil {
		delta = o.Object
		if st, err = w.openStream(first, deadline); st == nil {
			return nil, b, err
		}
	}
	if w.timed || !deadline.IsZero() { // each piece of o is checked against it
		st.SetWriteDeadline(deadline)
		w.timed = !deadline.IsZero()
	}
	w.t.s.trace.object(qlog.Created, st, delta, h)
	w.prev = o.Object
	return st, b, nil
}

// openStream opens a stream and sends the subgroup's header on it, if that can
// be done before the deadline, which may be zero. The stream is nil if the
// subscriber has lost interest meanwhile.
func (w *SubgroupWriter) openStream(first bool, deadline time.Time) (*schedStream, error) {
	t := w.t
	opened, err := w.newStream(deadline)
	if err != nil {
		t.mu.Lock()
		end := w.end
		t.mu.Unlock()
		return nil, t.rs.endOf(cmp.Or(end, err))
	}
	st := t.s.sched.add(opened, func() schedKey { return t.subgroupKey(&w.header.Subgroup) })
	t.mu.Lock()
	end := w.end
	wanted := end == nil && t.state.Forward && !t.closed
	header := w.header
	header.First = first
	header.EndOfGroup = header.EndOfGroup && len(t.ranges) == 0 // the last object may be left out
	if wanted {
		t.streams++
		w.st = st
		st.head.owe(t.s.profile.AppendSubgroupHeader(nil, &header))
	}
	t.mu.Unlock()
	if !wanted {
		st.CancelWrite(moqt.StreamCancelled)
		if end != nil {
			end = t.rs.endOf(end)
		}
		return nil, end
	}
	t.s.trace.subgroup(qlog.Created, st, header)
	return st, nil
}

// tryOpener is a connection that can open a stream, if the peer's limit allows
// one more now, without a context, which costs more than the stream.
type tryOpener interface {
	// TryOpenUniStream returns false if OpenUniStream may have to wait, or fails.
	TryOpenUniStream() (SendStream, bool)
}

// newStream opens a stream when the peer allows it. It waits for that until the
// deadline, which may be zero, or the end of w's context or the subscription.
func (w *SubgroupWriter) newStream(deadline time.Time) (SendStream, error) {
	if c, ok := w.t.s.conn.(tryOpener); ok && w.ctx.Err() == nil && w.t.rs.ctx.Err() == nil {
		if st, ok := c.TryOpenUniStream(); ok {
			return st, nil
		}
	}
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	defer context.AfterFunc(w.t.rs.ctx, cancel)()
	if !deadline.IsZero() {
		late := time.AfterFunc(time.Until(deadline), func() {
			w.expire()
			cancel()
		})
		defer late.Stop()
	}
	return w.t.s.conn.OpenUniStream(ctx)
}

// write writes p to st. That it was reset here, because the subscriber does not
// want objects any more, is no error.
func (w *SubgroupWriter) write(st *schedStream, p []byte) error {
	_, err := st.Write(p)
	if err == nil {
		return nil
	}
	w.t.mu.Lock()
	cut, end := w.st != st, w.end
	w.t.mu.Unlock()
	switch {
	case end == nil && !cut && isTimeout(err) && w.timed:
		w.expire()
		return errTimedOut
	case end != nil:
		return w.t.rs.endOf(end)
	case cut:
		return nil
	}
	return w.t.rs.endOf(err)
}

// cut resets the stream, if one is open, and leaves the subgroup open: what the
// subscriber does not want is left out, and that must not look like its end.
// ("Closing Subgroup Streams")
func (w *SubgroupWriter) cut() {
	w.t.mu.Lock()
	st := w.st
	w.st = nil
	w.t.mu.Unlock()
	if st != nil {
		w.reset(st, moqt.StreamCancelled)
	}
}

// reset resets st, one of w's streams. If it goes without its header, the
// subscriber cannot count it.
func (w *SubgroupWriter) reset(st *schedStream, code moqt.StreamCode) {
	st.CancelWrite(code)
	if st.head.lost() {
		w.t.mu.Lock()
		w.t.streams--
		w.t.mu.Unlock()
	}
}

// Close ends the subgroup: the subscriber knows that it has all of it, from the
// start of the subscription on. It returns [*StreamError] if the peer stopped
// the stream.
func (w *SubgroupWriter) Close() error {
	w.Complete(time.Now())
	st, ok := w.finish(ErrClosed)
	switch {
	case !ok || st == nil:
		return nil
	case w.left > 0:
		w.reset(st, moqt.StreamCancelled)
		return fmt.Errorf("moqt: subgroup closed %d bytes before the end of an object", w.left)
	}
	return st.Close()
}

// Cancel resets the stream. It may be called concurrently with the other
// methods, which then fail.
func (w *SubgroupWriter) Cancel(code moqt.StreamCode) {
	if st, ok := w.finish(&StreamError{Code: code}); ok && st != nil {
		w.reset(st, code)
	}
}

// Break is Cancel for a subgroup that cannot go on although nothing of it is
// unwanted: what was written before still reaches the subscriber, where both
// ends can reset a stream with partial delivery (RESET_STREAM_AT).
func (w *SubgroupWriter) Break(code moqt.StreamCode) {
	if st, ok := w.finish(&StreamError{Code: code}); ok && st != nil {
		st.SetReliableBoundary()
		w.reset(st, code)
	}
}

// finish takes w out of the tables and returns its stream, if it had not ended
// before.
func (w *SubgroupWriter) finish(why error) (st *schedStream, ok bool) {
	t := w.t
	t.mu.Lock()
	if w.end != nil {
		t.mu.Unlock()
		return nil, false
	}
	w.end = why
	st = w.st
	delete(t.open, w)
	if t.empty != nil && len(t.open) == 0 {
		select {
		case <-t.empty:
		default:
			close(t.empty)
		}
	}
	if why == errTimedOut {
		t.timedOut.add(subgroupID{w.header.Group, w.header.ID})
	}
	if why != ErrClosed && w.late != nil {
		w.late.Stop()
	}
	t.mu.Unlock()
	return st, true
}
