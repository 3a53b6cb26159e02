package cache

import (
	"context"
	"io"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// LastGroup, as the end of a range, leaves it open.
const LastGroup = ^uint64(0)

// Reader follows a track for one subscriber: it yields a cursor for every run
// of objects, each of which is one downstream stream. It holds nothing in the
// track and needs no closing.
//
// Its methods may be called at the same time.
type Reader struct {
	track *Track
	from  moqt.Location
	end   uint64 // last group

	// Guarded by Track.mu.
	at       place
	backlog  uint64 // runs up to this seq were there when the reader came
	skip     uint64 // lowest group still wanted
	datagram uint64 // seq of the next datagram
	missed   uint64 // datagrams that had left when they were its turn
}

// place is where a reader stands: first it goes through the backlog in order
// of groups, then through what comes in order of arrival.
type place struct {
	caught bool   // the backlog is done
	group  uint64 // in the backlog
	seq    uint64 // of the last run seen, in the group or of all
}

// Reader returns a reader of what is at or after from, to the end of group
// end. What is in the cache comes first, in order of groups, then what arrives.
func (t *Track) Reader(from moqt.Location, end uint64) *Reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Reader{
		track: t, from: from, end: end, backlog: t.seq,
		at:       place{group: from.Group},
		datagram: t.datagram - min(t.datagram, datagramBacklog),
	}
}

// Next waits for the next run and returns a cursor at its start, or at the
// reader's, if that is in the middle. It returns io.EOF after [Track.End], once
// everything was yielded, ErrClosed after [Track.Close], and ctx's error if ctx
// ends.
func (r *Reader) Next(ctx context.Context) (*Cursor, error) {
	for {
		c, news, err := r.TryNext()
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryNext is Next for those who wait for other things too: where Next would
// block it returns a channel that is closed when it is worth trying again.
func (r *Reader) TryNext() (*Cursor, <-chan struct{}, error) {
	t := r.track
	t.mu.Lock()
	defer t.mu.Unlock()
	run, at := r.peek()
	r.at = at
	switch {
	case run != nil:
		return newCursor(r, run), nil, nil
	case t.closed:
		return nil, nil, ErrClosed
	case t.ended:
		return nil, nil, io.EOF
	}
	// Taken under the lock, so no announcement is missed.
	return nil, t.changed.wait(), nil
}

// Bound changes what the reader is of, to from and the end of group end. What
// Next has passed over does not come back.
func (r *Reader) Bound(from moqt.Location, end uint64) {
	r.track.mu.Lock()
	defer r.track.mu.Unlock()
	r.from, r.end = from, end
}

// News returns a channel that is closed when there is a run more, or the track
// has ended.
func (r *Reader) News() <-chan struct{} { return r.track.changed.wait() }

// SkipTo makes the reader pass over groups before group.
func (r *Reader) SkipTo(group uint64) {
	r.track.mu.Lock()
	defer r.track.mu.Unlock()
	r.skip = max(r.skip, group)
}

// SkipToNewest makes the reader pass over all groups before the newest one that
// is held.
func (r *Reader) SkipToNewest() {
	t := r.track
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.groups); n > 0 {
		r.skip = max(r.skip, t.groups[n-1].id)
	}
}

// Behind returns how many groups have begun since the one that Next would
// yield, or 0 if Next would wait.
func (r *Reader) Behind() int {
	t := r.track
	t.mu.Lock()
	defer t.mu.Unlock()
	run, at := r.peek()
	if run == nil {
		r.at = at
		return 0
	}
	return int(t.edge.Load() - run.sg.group.edge)
}

// peek finds the next run that is wanted, and the reader's place after it.
func (r *Reader) peek() (*run, place) {
	t, at := r.track, r.at
	if !at.caught {
		i, _ := t.search(at.group)
		for ; i < len(t.groups); i++ {
			g := t.groups[i]
			if g.id != at.group {
				at.group, at.seq = g.id, 0
			}
			for _, run := range g.runs[after(g.runs, at.seq):] {
				if run.seq > r.backlog {
					break
				}
				at.seq = run.seq
				if r.wants(run) {
					return run, at
				}
			}
		}
		at = place{caught: true, seq: r.backlog}
	}
	for _, run := range t.runs[after(t.runs, at.seq):] {
		at.seq = run.seq
		if r.wants(run) {
			return run, at
		}
	}
	return nil, at
}

// after returns the place of the first run announced after seq.
func after(runs []*run, seq uint64) int {
	// A reader that keeps up stands at the end.
	if n := len(runs); n == 0 || runs[n-1].seq <= seq {
		return n
	}
	i, _ := slices.BinarySearchFunc(runs, seq+1, func(r *run, seq uint64) int {
		switch {
		case r.seq < seq:
			return -1
		case r.seq > seq:
			return 1
		}
		return 0
	})
	return i
}

// wants reports whether the run may have objects that the reader asked for.
func (r *Reader) wants(run *run) bool {
	id := run.sg.group.id
	if id < max(r.from.Group, r.skip) || id > r.end {
		return false
	}
	if head := run.head.Load(); head == nil || head == lost {
		return false
	}
	return !run.ended() || run.tail.id() >= r.start(id)
}

// start returns the first object id wanted of a group.
func (r *Reader) start(group uint64) uint64 {
	if group == r.from.Group {
		return r.from.Object
	}
	return 0
}

// Datagrams returns a channel that is closed when there is something for
// NextDatagram to return, or may be: most tracks have no datagrams, and need
// nobody who waits for one.
func (r *Reader) Datagrams() <-chan struct{} {
	t := r.track
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.datagram < t.datagram {
		c := make(chan struct{})
		close(c)
		return c
	}
	return t.datagrams.wait()
}

// NextDatagram waits for the next object that came in a datagram, in order of
// arrival. A reader that falls behind loses the oldest. It returns the same
// errors as Next.
func (r *Reader) NextDatagram(ctx context.Context) (*Object, error) {
	t := r.track
	for {
		t.mu.Lock()
		o := r.takeDatagram()
		if o != nil {
			t.mu.Unlock()
			return o, nil
		}
		ended, closed := t.ended, t.closed
		arrived := t.datagrams.wait()
		t.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if ended {
			return nil, io.EOF
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Missed returns how many datagrams the reader has lost because it fell behind.
func (r *Reader) Missed() uint64 {
	r.track.mu.Lock()
	defer r.track.mu.Unlock()
	return r.missed
}

func (r *Reader) takeDatagram() *Object {
	t := r.track
	if oldest := t.datagram - min(t.datagram, datagramBacklog); r.datagram < oldest {
		t.stats.Skipped += oldest - r.datagram
		r.missed += oldest - r.datagram
		r.datagram = oldest
	}
	for r.datagram < t.datagram && len(t.backlog) > 0 {
		o := t.backlog[r.datagram%datagramBacklog]
		r.datagram++
		if o != nil && !o.Meta.Location.Less(r.from) && o.Meta.Group >= r.skip && o.Meta.Group <= r.end {
			return o
		}
	}
	return nil
}
