package cache

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Object is an object in the cache. It is shared by all who read it and must
// not be modified, nor must the bytes it returns. Its methods may be called at
// the same time.
type Object struct {
	// Meta is the object without its payload: Meta.Payload is nil, and
	// Meta.Received when the header of the first copy arrived.
	Meta moqt.Object
	// Size is the length of the payload in bytes, all of it, also of what has
	// not arrived yet.
	Size   int64
	buf    []byte        // the payload, if part is nil, behind room for a header
	room   int           // bytes of that
	framed atomic.Uint32 // frameFree …
	part   *partial      // the payload of an object that came in pieces
	next   atomic.Pointer[Object]
	again  atomic.Int64 // UnixNano when FETCH has brought it once more, 0 if it has not

	// The rest is guarded by Track.mu.

	run    *run   // nil for a datagram and for what only Fill brought
	source uint64 // who brought the first copy
	gap    uint64 // PRIOR_OBJECT_ID_GAP: so many ids before this one do not exist
	cost   int64  // bytes accounted for
	seq    uint64 // of a datagram, its place in the backlog
	gone   bool   // no longer in the cache
}

// lost stands in Object.next and run.head for what has left the cache.
var lost = new(Object)

// Received returns when the header of the newest copy arrived that was fetched, or
// else of the first.
func (o *Object) Received() time.Time {
	if again := o.again.Load(); again != 0 {
		return time.Unix(0, again)
	}
	return o.Meta.Received
}

// Payload returns the whole payload if all of it has arrived.
func (o *Object) Payload() ([]byte, bool) {
	p := o.available()
	return p, int64(len(p)) == o.Size
}

// Bytes returns what has arrived of the payload from offset off on, in order,
// and whether that reaches the end. If nothing has and more is to come it
// blocks, so a loop over Bytes sends a large object on while it arrives.
//
// It returns [ErrReset] or [ErrEvicted] if the rest will never be there, after
// all bytes that are, and ctx's error if ctx ends first.
func (o *Object) Bytes(ctx context.Context, off int64) (p []byte, done bool, err error) {
	var grown <-chan struct{}
	for {
		// A failed object does not grow, so looking for the failure first
		// misses none of its bytes.
		failure := o.failure()
		have := o.available()
		switch {
		case off >= o.Size:
			return nil, true, nil
		case off < int64(len(have)):
			return have[off:len(have):len(have)], int64(len(have)) == o.Size, nil
		case failure != nil:
			return nil, false, failure
		}
		if grown == nil {
			grown = o.part.grown.wait()
			continue
		}
		select {
		case <-grown:
			grown = nil
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// The states of Object.framed. From framedWith on it tells how many bytes before
// the payload are the header.
const (
	frameFree = iota
	frameBusy
	framedWith
)

// Framed returns head and the whole payload as one slice, if the object has
// room for head and nobody has put another one there before. All who send an
// object with the same header share the slice: none of them has to copy the
// payload behind it, or to hold that copy until it is on its way. Head is not
// kept.
func (o *Object) Framed(head []byte) ([]byte, bool) {
	if len(head) > o.room {
		return nil, false
	}
	whole := o.buf[o.room-len(head):]
	if o.framed.CompareAndSwap(frameFree, frameBusy) {
		copy(whole, head)
		o.framed.Store(framedWith + uint32(len(head)))
		return whole, true
	}
	same := o.framed.Load() == framedWith+uint32(len(head)) && bytes.Equal(whole[:len(head)], head)
	return whole, same
}

// available returns the prefix of the payload that has arrived.
func (o *Object) available() []byte {
	if o.part == nil {
		return o.buf[o.room:]
	}
	return *o.part.data.Load()
}

func (o *Object) complete() bool { return o.part == nil || int64(len(o.available())) == o.Size }

// id returns the object id.
func (o *Object) id() uint64 { return o.Meta.Object }

// covers reports whether the object says that id, before it, does not exist.
func (o *Object) covers(id uint64) bool { return id < o.id() && o.id()-id <= o.gap }

// partial is a payload that arrives in pieces, from one source or several. It
// grows under Track.mu and is read without it: what data points at never
// changes, a longer prefix is another slice.
type partial struct {
	data  atomic.Pointer[[]byte]
	state atomic.Uint32 // partGrowing …
	grown bell
}

const (
	partGrowing = iota
	partReset
	partEvicted
)

// firstPiece is the room made for an object before its bytes are there. A
// claimed length buys no more than this.
const firstPiece = 16 << 10

func newPartial(size int64) *partial {
	p := new(partial)
	data := make([]byte, 0, min(size, firstPiece))
	p.data.Store(&data)
	return p
}

// grow appends b, of an object of size bytes, and returns by how much the
// memory held has grown.
func (p *partial) grow(b []byte, size int64) int64 {
	old := *p.data.Load()
	data := old
	if need := len(old) + len(b); need > cap(old) {
		// Four times as much each time: few copies, and never more than four
		// times what the publisher has really sent.
		data = make([]byte, len(old), min(size, max(int64(need), 4*int64(cap(old)))))
		copy(data, old)
	}
	data = append(data, b...)
	p.data.Store(&data)
	return int64(cap(data) - cap(old))
}

// failure says why the payload will not be completed.
func (o *Object) failure() error {
	if o.part == nil {
		return nil
	}
	switch o.part.state.Load() {
	case partReset:
		return ErrReset
	case partEvicted:
		return ErrEvicted
	}
	return nil
}
