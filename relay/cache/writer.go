package cache

import (
	"bytes"
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Writer takes in one stream of a source, object by object in ascending order.
// Its methods must not be called concurrently, but those of other writers,
// also of the same subgroup, and of the source may.
type Writer struct {
	source *Source
	head   moqt.Subgroup

	// Guarded by Track.mu.

	sg    *subgroup // nil before the first object that was kept
	begun bool      // at is known
	at    uint64    // id of the object the stream is at, or has just finished
	torn  bool      // an object of the stream was dropped for a limit
	done  bool

	in   bool    // in the middle of an object
	cur  *Object // that object; nil if it is dropped
	size int64
	off  int64
}

// Append takes in a whole object and reports whether it is new to the cache.
// The payload and properties are kept and must not be modified any more. Group,
// subgroup, priority and forwarding preference are those of the stream.
//
// An error wraps ErrMalformed or ErrContradiction, which ends the source;
// ErrLimit, then the object was dropped; or is ErrClosed.
func (w *Writer) Append(o moqt.Object) (fresh bool, err error) { return w.AppendBehind(o, o.Payload) }

// AppendBehind is Append for an object whose payload is the end of buf: what is
// before it is room for a header, see [Object.Framed]. All of buf is kept.
func (w *Writer) AppendBehind(o moqt.Object, buf []byte) (fresh bool, err error) {
	t := w.source.track
	t.mu.Lock()
	payload := o.Payload
	now := time.Now()
	obj, fresh, err := w.begin(&o, int64(len(payload)), buf, now)
	switch {
	case err != nil || obj == nil || fresh:
	case obj.complete():
		return false, w.source.compareUnlock(obj, payload)
	default:
		err = w.adopt(obj, payload)
	}
	t.shrink(now)
	t.unlock()
	return fresh, err
}

// Start begins an object whose payload of size bytes comes by Extend. Readers
// see the object at once and its bytes as they arrive. For the rest it is like
// Append.
func (w *Writer) Start(o moqt.Object, size int64) error {
	if size <= 0 {
		o.Payload = nil
		_, err := w.Append(o)
		return err
	}
	t := w.source.track
	t.mu.Lock()
	defer t.unlock()
	now := time.Now()
	obj, _, err := w.begin(&o, size, nil, now)
	if err != nil {
		return err
	}
	w.in, w.cur, w.size, w.off = true, obj, size, 0
	t.shrink(now)
	return nil
}

// Extend takes in the next bytes of the object that was started, and returns
// how many of them no source has brought before. Those are copied; all others
// are compared. Pieces of some ten kilobytes are best: the track is locked
// meanwhile.
func (w *Writer) Extend(p []byte) (fresh int, err error) {
	t := w.source.track
	t.mu.Lock()
	defer t.unlock()
	if err := w.usable(); err != nil {
		return 0, err
	}
	if !w.in || int64(len(p)) > w.size-w.off {
		return 0, w.source.fault(w.source.id, w.place(), "payload longer than its length")
	}
	off := w.off
	w.off += int64(len(p))
	w.in = w.off < w.size
	o := w.cur
	if o == nil || o.gone {
		return 0, nil
	}
	have := o.available()
	known := p[:min(len(p), len(have)-int(off))]
	if !bytes.Equal(known, have[off:off+int64(len(known))]) {
		return 0, w.source.fault(o.source, o.Meta.Location, "other payload")
	}
	t.stats.DuplicateBytes += uint64(len(known))
	rest := p[len(known):]
	if len(rest) == 0 {
		return 0, nil
	}
	grown := o.part.grow(rest, o.Size)
	o.cost += grown
	t.account(w.sg.group, grown)
	w.extended(o, len(rest))
	t.shrink(time.Now())
	return len(rest), nil
}

// Skip goes to the end of the object that was started, which another source has
// brought whole. It reports false if none has.
func (w *Writer) Skip() bool {
	t := w.source.track
	t.mu.Lock()
	defer t.unlock()
	if w.in && (w.cur == nil || w.cur.gone || w.cur.complete()) {
		w.in, w.off = false, w.size
	}
	return !w.in
}

// Pass moves the stream past an object of its subgroup that another source has
// brought whole, as if the stream had repeated it. It reports false if there is no
// such object.
func (w *Writer) Pass(id uint64) bool {
	t := w.source.track
	t.mu.Lock()
	defer t.unlock()
	if w.usable() != nil || w.in || w.begun && id <= w.at {
		return false
	}
	_, g := t.search(w.head.Group)
	if g == nil {
		return false
	}
	_, o := g.find(id)
	if o == nil || o.Meta.Datagram || o.Meta.Subgroup != w.head.ID || !o.complete() {
		return false
	}
	prev, had := w.at, w.begun
	w.at, w.begun = id, true
	w.attach(&admission{group: g, sub: g.subs[w.head.ID]})
	w.repeat(o, prev, had)
	return true
}

// Close says that the stream ended with FIN: its last object is the last of
// the subgroup.
func (w *Writer) Close() error {
	t := w.source.track
	t.mu.Lock()
	defer t.unlock()
	if err := w.usable(); err != nil {
		return err
	}
	if w.in {
		return w.source.fault(w.source.id, w.place(), "stream ended after %d bytes of %d", w.off, w.size)
	}
	if err := w.fin(); err != nil {
		return err
	}
	w.leave()
	return nil
}

// Abort says that the stream was reset. Another source may go on where this
// one stopped, in the middle of an object too.
func (w *Writer) Abort() {
	t := w.source.track
	t.mu.Lock()
	defer t.unlock()
	w.leave()
}

func (w *Writer) usable() error {
	if w.source.err != nil {
		return w.source.err
	}
	if w.done {
		return ErrClosed
	}
	return nil
}

func (w *Writer) place() moqt.Location { return moqt.Location{Group: w.head.Group, Object: w.at} }

// begin takes in an object's header. It returns the object in the cache, the
// held copy or a new one, or nil if the object is to be dropped. The payload is
// the end of buf; if that is nil and size is not 0 it is to come.
func (w *Writer) begin(o *moqt.Object, size int64, buf []byte, now time.Time) (*Object, bool, error) {
	t := w.source.track
	if err := w.usable(); err != nil {
		return nil, false, err
	}
	o.Group, o.Subgroup, o.Priority, o.Datagram = w.head.Group, w.head.ID, w.head.Priority, false
	if w.in {
		return nil, false, w.source.fault(w.source.id, w.place(), "next object after %d bytes of %d", w.off, w.size)
	}
	if w.begun && o.Object <= w.at {
		return nil, false, w.source.fault(w.source.id, o.Location, "after object %d of its stream", w.at)
	}
	a, err := w.source.admit(o, size, w, false)
	if err != nil && !errors.Is(err, ErrLimit) {
		return nil, false, err
	}
	prev, had := w.at, w.begun
	w.at, w.begun = o.Object, true
	if err != nil {
		w.torn = true
	}
	if err != nil || a.late {
		if w.sg != nil {
			w.sg.passed(w, prev)
		}
		return nil, false, err
	}
	if a.prior != nil {
		w.attach(&a)
		w.repeat(a.prior, prev, had)
		return a.prior, false, nil
	}
	g := t.makeGroup(&a, w.source, now)
	w.attach(&a)
	obj := a.object(w.source, now)
	if buf != nil || size == 0 {
		obj.buf, obj.room = buf, len(buf)-int(size)
		t.stats.FreshBytes += uint64(size)
	} else {
		obj.part = newPartial(size)
	}
	t.insert(g, obj)
	w.show(obj, prev, had)
	return obj, true, nil
}

// attach makes the stream one of its subgroup's.
func (w *Writer) attach(a *admission) {
	sg := a.sub
	if sg == nil {
		if sg = a.group.subs[w.head.ID]; sg == nil {
			sg = a.group.newSubgroup(w.source.track, w.head, w.source.id)
			sg.lowest = a.meta.Object
		}
	}
	if w.sg != sg {
		w.sg = sg
		sg.joinedBy(w)
	}
}

// show puts an object that is in the cache into a run.
func (w *Writer) show(o *Object, prev uint64, had bool) {
	sg := w.sg
	sg.objects++
	sg.lowest = min(sg.lowest, o.id())
	if o.id() >= sg.highest {
		sg.highest, sg.highestSource = o.id(), w.source.id
	}
	sg.place(o, w, prev, had)
	if had {
		sg.passed(w, prev)
	}
}

// beginsWith reports whether o, the first object of the stream, is the first of
// the subgroup. Not all drafts tell; what has the first id of its group is.
func (w *Writer) beginsWith(o *Object) bool { return w.head.First || o.id() == 0 }

// repeat takes note of an object that is held already.
func (w *Writer) repeat(o *Object, prev uint64, had bool) {
	sg := w.sg
	if o.run == nil {
		w.show(o, prev, had) // only Fill knew it
		return
	}
	if o.run.head.Load() == o {
		if !had && w.beginsWith(o) {
			o.run.first = true
		}
		// This stream may prove that the held-back run follows another.
		if q := o.run; had && q.hidden {
			if r := sg.below(o.id()); r != nil && r != q && r.follows(o, prev, had) {
				sg.join(r, q)
				sg.splice(r)
			}
		}
	}
	if had {
		sg.passed(w, prev)
	}
}

// adopt takes the whole payload of an object of which only a part was there.
func (w *Writer) adopt(o *Object, payload []byte) error {
	t := w.source.track
	have := o.available()
	if !bytes.Equal(have, payload[:len(have)]) {
		return w.source.fault(o.source, o.Meta.Location, "other payload")
	}
	t.stats.DuplicateBytes += uint64(len(have))
	payload = payload[:len(payload):len(payload)]
	grown := int64(len(payload) - cap(have))
	o.part.data.Store(&payload)
	o.cost += grown
	t.account(w.sg.group, grown)
	w.extended(o, len(payload)-len(have))
	return nil
}

// extended follows up on n more bytes of o.
func (w *Writer) extended(o *Object, n int) {
	t := w.source.track
	t.stats.FreshBytes += uint64(n)
	t.ring(&o.part.grown)
	o.run.progress++
	if o.complete() {
		w.sg.splice(o.run)
	}
}

// fin notes the end of the subgroup, and of the group if the stream says so.
func (w *Writer) fin() error {
	sg, s := w.sg, w.source
	if sg == nil || w.torn || w.place().Less(s.track.floor) {
		return nil // what its last object is nobody here knows
	}
	if sg.hasFinal && sg.final != w.at {
		return s.fault(sg.finalSource, w.place(), "last of subgroup %d, not %d", sg.head.ID, sg.final)
	}
	if sg.highest > w.at {
		return s.fault(sg.highestSource, w.place(), "last of subgroup %d, which has object %d", sg.head.ID, sg.highest)
	}
	if w.head.EndOfGroup {
		if err := s.checkFinal(sg.group, w.at); err != nil {
			return err
		}
		if g := sg.group; !g.hasFinal {
			g.final, g.hasFinal, g.finalSource = w.at, true, s.id
		}
	}
	if !sg.hasFinal {
		sg.final, sg.hasFinal, sg.finalSource = w.at, true, s.id
	}
	if _, o := sg.group.find(w.at); o != nil && o.run != nil && o == o.run.tail {
		sg.finish(o.run, w.head.EndOfGroup)
	}
	return nil
}

// leave takes the stream away from its source and subgroup.
func (w *Writer) leave() {
	if w.done {
		return
	}
	w.done, w.cur = true, nil
	delete(w.source.writers, w)
	if w.sg != nil {
		w.sg.leave(w)
	}
}
