package cache

import (
	"context"
	"io"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Cursor walks the objects of one run: what may be sent on one stream. Its
// methods must not be called concurrently, except Behind.
type Cursor struct {
	run   *run
	head  moqt.Subgroup
	asked uint64 // first object id the reader asked for
	from  uint64 // first object id still wanted

	start *Object // where the walk begins, while at is nil
	at    *Object // the last object passed
	short bool    // objects that should have been delivered were not
}

// newCursor returns a cursor on a run that the reader wants.
func newCursor(r *Reader, run *run) *Cursor {
	c := &Cursor{run: run, from: r.start(run.sg.group.id)}
	c.asked = c.from
	c.reset()
	c.head.First = run.first && c.start.id() >= c.from
	c.short = c.from < run.trimmed
	return c
}

// reset puts the cursor before the oldest object of the run.
func (c *Cursor) reset() {
	c.start, c.at = c.run.head.Load(), nil
	c.head = c.run.sg.head
}

// Header returns the header for the stream that Next's objects go on. First is
// set only if the first of them is the first ever published in the subgroup.
// After ErrGap it is the header for another stream.
func (c *Cursor) Header() moqt.Subgroup { return c.head }

// Behind returns how many groups have begun since the cursor's.
func (c *Cursor) Behind() int {
	return int(c.run.sg.track.edge.Load() - c.run.sg.group.edge)
}

// Next waits for the next object. The object's payload may still be arriving;
// see [Object.Bytes]. At the end of the run it returns
//
//   - io.EOF if the stream is to end with FIN: every object of the subgroup
//     since the reader's start was delivered;
//   - ErrReset if it is to be reset, because nobody can continue it or because
//     objects are missing;
//   - ErrEvicted if the group has left the cache, or ErrClosed if the track has.
//
// ErrGap is not the end: see there. If ctx ends Next returns ctx's error.
func (c *Cursor) Next(ctx context.Context) (*Object, error) {
	var rung <-chan struct{}
	for {
		// What was published before the end is seen after it.
		state := c.run.state.Load()
		o, cut := c.step()
		switch {
		case o != nil:
			return o, nil
		case cut && state < runEvicted:
			missed, ok := c.jump()
			switch {
			case !ok:
				return nil, c.end(c.run.state.Load())
			case missed:
				return nil, ErrGap
			}
			continue
		case state != runOpen:
			return nil, c.end(state)
		}
		if rung == nil {
			rung = c.run.bell.wait()
			continue // to see what came before the bell was there
		}
		select {
		case <-rung:
			rung = nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Complete waits until the last object of the subgroup is known to be there,
// whether Next has come to it or not, and returns since when it is. It returns
// false if that is never known, or if ctx ends first. It may be called
// concurrently with the other methods.
func (c *Cursor) Complete(ctx context.Context) (time.Time, bool) {
	for {
		rung := c.run.bell.wait()
		switch c.run.state.Load() {
		case runOpen:
		case runFIN, runFINGroup:
			return c.run.endedAt, true
		default:
			return time.Time{}, false
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return time.Time{}, false
		}
	}
}

// TryNext returns the next object if there is one now. After false, Next says
// whether to wait or why the run ends.
func (c *Cursor) TryNext() (*Object, bool) {
	o, _ := c.step()
	return o, o != nil
}

// step moves to the next object wanted and returns it, or nil. Then cut says
// that the cursor stands on what has left the cache.
func (c *Cursor) step() (o *Object, cut bool) {
	for {
		next := c.start
		if c.at != nil {
			next = c.at.next.Load()
		} else if next.next.Load() == lost {
			return nil, true
		}
		if next == nil {
			return nil, false
		}
		if next == lost {
			return nil, true
		}
		c.at, c.start = next, nil
		if id := next.id(); id >= c.from {
			// Object ids of a run rise, so the last one there is ends it.
			c.from = id + 1
			return next, false
		}
	}
}

// jump goes on at what is left of the run, if anything is, and reports whether
// something was missed by that.
func (c *Cursor) jump() (missed, ok bool) {
	c.run.sg.track.mu.Lock()
	defer c.run.sg.track.mu.Unlock()
	head := c.run.head.Load()
	if head == nil || head == lost {
		return false, false // the run has ended, its state says why
	}
	c.reset()
	missed = head.id() > c.from
	c.short = c.short || missed
	return missed, true
}

// end returns the error for the state of a run that has been read to its end.
func (c *Cursor) end(state uint32) error {
	switch state {
	case runEvicted:
		return ErrEvicted
	case runClosed:
		return ErrClosed
	case runFIN, runFINGroup:
		// The header said END_OF_GROUP: with FIN that would become a promise,
		// so whoever ended the subgroup must have made it too.
		if c.short || c.asked < c.run.finFrom.Load() || c.head.EndOfGroup && state != runFINGroup {
			return ErrReset
		}
		return io.EOF
	}
	return ErrReset
}
