package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// TrackReader is a subscription seen from its subscriber. Objects come by
// [TrackReader.Objects], or stream by stream by [TrackReader.AcceptSubgroup]
// and [TrackReader.ReceiveDatagram]. Close must be called when it is no longer
// wanted. A stream that nobody reads holds up its publisher and nobody else, as
// long as the connection's window has room for what is unread of all streams:
// streams that are not wanted should be cancelled.
type TrackReader struct {
	s     *Session
	name  moqt.TrackName
	rs    *requestStream
	props moqt.Properties

	entered  bool          // guarded by s.mu: counted in the session's tables
	released chan struct{} // closed when the track may be subscribed anew

	mu        sync.Mutex // guards what follows
	want      extent     // what was asked for
	fills     map[*FetchReader]struct{}
	asked     timeouts // likewise
	alias     uint64
	known     bool // alias is set
	largest   moqt.Location
	some      bool // largest is set
	expires   time.Duration
	queue     []*SubgroupReader
	open      map[*SubgroupReader]struct{}
	streams   uint64 // seen
	unready   int    // of those, that are not in the queue yet
	grams     []moqt.Object
	datagrams uint64 // that have come
	ended     error  // why no more streams come
	counted   uint64 // streams that the publisher says it opened
	deadline  *time.Timer
	over      bool          // ended, and all streams came or the wait is over
	wake      chan struct{} // closed and replaced at each change
	notice    Notice        // what PUBLISH_STATE_NOTIFY told
	notices   chan struct{} // cap 1: a token when it told something
}

const maxQueuedDatagrams = 128

func (s *Session) newTrackReader(name moqt.TrackName) *TrackReader {
	return &TrackReader{s: s, name: name, want: all, open: make(map[*SubgroupReader]struct{}), released: make(chan struct{}), wake: make(chan struct{}), notices: make(chan struct{}, 1)}
}

// run follows the request stream until the subscription ends. Its name is free
// for another subscription then, also if Close is not called.
func (t *TrackReader) run() {
	err := t.rs.follow(func(m wire.Message) error {
		switch m := m.(type) {
		case *wire.PublishDone:
			done := &TrackDone{Code: m.Code, Reason: m.Reason}
			t.done(done, m.Streams)
			t.awaitRead()
			return done
		case *wire.PublishStateNotify:
			t.notified(&m.Params)
			return nil
		case *wire.RequestUpdate: // the publisher of a PUBLISH may send one
			if t.rs.kind == wire.KindPublish {
				return t.rs.send(&wire.RequestOK{})
			}
		}
		return t.rs.unexpected(m)
	})
	if err == io.EOF {
		err = &TrackDone{Code: moqt.DoneInternalError, Reason: "the publisher closed the request without PUBLISH_DONE"}
	}
	err = t.rs.endOf(err)
	t.rs.cancel(err)
	t.rs.finish()
	t.s.forget(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended == nil {
		t.ended = err
	}
	t.overLocked()
}

// awaitRead waits until all streams of a track that is done came and were read
// to their end, but not for ever. Ending the request after that tells the
// publisher that nothing is lost if it leaves.
func (t *TrackReader) awaitRead() {
	t.mu.Lock()
	wait := t.doneWaitLocked()
	t.mu.Unlock()
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		t.mu.Lock()
		read, wake := t.over && len(t.open) == 0 && len(t.fills) == 0, t.wake
		t.mu.Unlock()
		if read {
			return
		}
		select {
		case <-wake:
		case <-late.C:
			return
		case <-t.rs.ctx.Done():
			return
		}
	}
}

// done records why the publisher ended the subscription. Streams of its count
// may still be on their way, and so may datagrams of a track that has some; they
// are waited for, but not for ever.
func (t *TrackReader) done(err error, streams uint64) {
	t.s.release(t) // before anybody learns of it
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		return
	}
	t.ended, t.counted = err, streams
	if t.allHereLocked() {
		t.overLocked()
		return
	}
	t.deadline = time.AfterFunc(t.doneWaitLocked(), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.overLocked()
	})
	t.changedLocked()
}

func (t *TrackReader) allHereLocked() bool {
	return t.ended != nil && t.streams >= t.counted && t.unready == 0 && t.datagrams == 0
}

func (t *TrackReader) overLocked() {
	t.over = true
	for f := range t.fills {
		f.fail(t.ended) // unless its stream is there
	}
	if t.deadline != nil {
		t.deadline.Stop()
	}
	t.changedLocked()
}

func (t *TrackReader) changedLocked() {
	close(t.wake)
	t.wake = make(chan struct{})
}

// Name returns the full track name.
func (t *TrackReader) Name() moqt.TrackName { return t.name }

// Alias returns the number by which streams and datagrams name the track.
func (t *TrackReader) Alias() uint64 { return t.alias }

// Properties returns the track's properties. They are not to be changed.
func (t *TrackReader) Properties() moqt.Properties { return t.props }

// Largest returns the largest location that the publisher told when the
// subscription began, or false if nothing had been published.
func (t *TrackReader) Largest() (moqt.Location, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.largest, t.some
}

// Context ends when the subscription does; its cause is [*TrackDone] if the
// publisher ended it. What came before can still be read.
func (t *TrackReader) Context() context.Context { return t.rs.ctx }

// defaultPriority is the priority of subgroups that name none.
func (t *TrackReader) defaultPriority() moqt.Priority {
	if v, ok := t.props.Value(moqt.PropDefaultPriority); ok && v <= 255 {
		return moqt.Priority(v)
	}
	return moqt.DefaultPriority
}

// Update changes the subscription and waits for the publisher's answer.
func (t *TrackReader) Update(ctx context.Context, u SubscribeUpdate) error {
	t.mu.Lock()
	after := t.want.ranges.Update(u.Ranges)
	t.mu.Unlock()
	if err := t.s.mayFilter(after); err != nil {
		return err
	}
	return t.change(ctx, u.params(), nil)
}

// change is Update by its parameters. If not nil, before is given the request id
// before it is sent.
func (t *TrackReader) change(ctx context.Context, p wire.Params, before func(id uint64)) error {
	ok, err := t.rs.update(ctx, p, before)
	if err != nil {
		return fmt.Errorf("moqt: update subscription to %v: %w", t.name, err)
	}
	t.updated(&p, ok)
	return nil
}

// updated takes note of an update that the publisher has agreed to.
func (t *TrackReader) updated(p *wire.Params, ok *wire.RequestOK) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked.apply(p)
	t.expireLocked(&ok.Params)
	if ok.Params.Largest.Set {
		t.largest, t.some = ok.Params.Largest.Value, true
	}
	if p.Filter.Set {
		t.want.start, t.want.end = bounds(p.Filter.Value, t.largest, t.some)
	}
	t.want.ranges = t.want.ranges.Update(p.Ranges)
}

// Close cancels the subscription and drops what has not been read.
func (t *TrackReader) Close() error { return t.CloseWith(moqt.StreamCancelled) }

// CloseWith is Close with a code that tells the publisher why.
func (t *TrackReader) CloseWith(code moqt.StreamCode) error {
	t.s.forget(t)
	t.rs.abort(code, ErrClosed)
	t.mu.Lock()
	if t.ended == nil {
		t.ended = ErrClosed
	}
	t.overLocked()
	t.queue = nil
	open := make([]*SubgroupReader, 0, len(t.open))
	for r := range t.open {
		open = append(open, r)
	}
	fills := slices.Collect(maps.Keys(t.fills))
	t.mu.Unlock()
	for _, f := range fills {
		f.Close()
	}
	for _, r := range open {
		r.Cancel(code)
	}
	return nil
}

// take counts a new subgroup stream as one of t's, or reports false if t takes
// none any more. It is queued by ready.
func (t *TrackReader) take(r *SubgroupReader) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	t.streams++
	t.unready++
	t.open[r] = struct{}{}
	return true
}

// ready queues a stream that was taken, unless it has ended before.
func (t *TrackReader) ready(r *SubgroupReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.open[r]; !open {
		return
	}
	t.queue = append(t.queue, r)
	r.queued = true
	t.unready--
	if t.allHereLocked() {
		t.overLocked()
	}
	t.changedLocked()
}

func (t *TrackReader) pushDatagram(o moqt.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.datagrams++
	if len(t.grams) == maxQueuedDatagrams { // the oldest is worth least
		t.grams = slices.Delete(t.grams, 0, 1)
	}
	t.grams = append(t.grams, o)
	t.changedLocked()
}

// closed lets go of a stream that gives no more objects.
func (t *TrackReader) closed(r *SubgroupReader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, r)
	if !r.queued {
		t.unready--
		if t.allHereLocked() {
			t.overLocked()
		}
	}
	if t.over {
		t.changedLocked()
	}
}

// AcceptSubgroup waits for the next subgroup stream. When the publisher has
// ended the track and no stream is left it returns [*TrackDone].
func (t *TrackReader) AcceptSubgroup(ctx context.Context) (*SubgroupReader, error) {
	for {
		t.mu.Lock()
		wake := t.wake
		if len(t.queue) > 0 {
			r := t.queue[0]
			t.queue = t.queue[1:]
			t.mu.Unlock()
			return r, nil
		}
		over, ended := t.over, t.ended
		t.mu.Unlock()
		if over {
			return nil, ended
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ReceiveDatagram waits for the next object that came as a datagram. If they
// are not taken, the oldest are dropped.
func (t *TrackReader) ReceiveDatagram(ctx context.Context) (moqt.Object, error) {
	for {
		t.mu.Lock()
		wake := t.wake
		if len(t.grams) > 0 {
			o := t.grams[0]
			t.grams = t.grams[1:]
			t.mu.Unlock()
			return o, nil
		}
		over, ended := t.over, t.ended
		t.mu.Unlock()
		if over {
			return moqt.Object{}, ended
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return moqt.Object{}, ctx.Err()
		}
	}
}

// Objects yields the track's objects, whole and in the order in which they
// arrive: within a subgroup that is the order of their ids, between streams any.
// It ends with the track, or with an error: [*TrackDone] if the publisher ended
// it for another reason than TRACK_ENDED, ctx's if that ends. A stream that was
// reset is left where it ended. Whoever leaves the loop early stops the streams
// that are open.
func (t *TrackReader) Objects(ctx context.Context) iter.Seq2[moqt.Object, error] {
	return func(yield func(moqt.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		objects := make(chan moqt.Object)
		give := func(o moqt.Object) bool {
			select {
			case objects <- o:
				return true
			case <-ctx.Done():
				return false
			}
		}
		var all sync.WaitGroup
		var why error // of the end; read after all are done
		all.Go(func() {
			for {
				o, err := t.ReceiveDatagram(ctx)
				if err != nil || !give(o) {
					return
				}
			}
		})
		all.Go(func() {
			for {
				r, err := t.AcceptSubgroup(ctx)
				if err != nil {
					why = err
					return
				}
				all.Go(func() {
					defer context.AfterFunc(ctx, func() { r.Cancel(moqt.StreamCancelled) })()
					for {
						o, err := r.ReadObject()
						if err != nil || !give(o) {
							return
						}
					}
				})
			}
		})
		end := make(chan struct{})
		go func() {
			all.Wait()
			close(end)
		}()
		defer func() {
			cancel()
			<-end
		}()
		for {
			select {
			case o := <-objects:
				if !yield(o, nil) {
					return
				}
			case <-end:
				var d *TrackDone
				if !errors.As(why, &d) || d.Code != moqt.DoneTrackEnded {
					yield(moqt.Object{}, why)
				}
				return
			}
		}
	}
}
