package sub

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// order brings the objects of a track's streams into the order of their ids.
type order struct {
	take func(moqt.Object) error
	last moqt.Location
	any  bool
	full bool // all of the last group was read
}

// give hands on o unless it is not after all that were.
func (r *order) give(o moqt.Object) error {
	if r.any && !r.last.Less(o.Location) {
		return nil
	}
	if o.Group != r.last.Group {
		r.full = false
	}
	r.last, r.any = o.Location, true
	if o.Status != moqt.StatusNormal {
		return nil
	}
	return r.take(o)
}

// follow reads the subscription's streams until it ends: one at a time, that of
// the lowest group first.
//
// Streams that were opened one after another may arrive in another order. So one
// before which another may belong is not begun until that has had time to come.
func (r *order) follow(ctx context.Context, tr *transport.TrackReader) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	s := streams{wake: make(chan struct{}, 1)}
	wg.Go(func() { s.accept(ctx, tr) })
	defer context.AfterFunc(ctx, s.cancel)()
	for {
		sg, err := s.next(ctx, r.isNext)
		if err != nil {
			return err
		}
		if r.any && sg.Header().Group < r.last.Group {
			sg.Cancel(moqt.StreamCancelled)
		}
		for {
			o, err := sg.ReadObject()
			if err != nil { // its end, or a reset: what follows comes on other streams
				h := sg.Header()
				r.full = r.full || err == io.EOF && h.EndOfGroup && r.any && h.Group == r.last.Group
				break
			}
			s.progress()
			if err := r.give(o); err != nil {
				return err
			}
		}
	}
}

// isNext reports whether no stream can belong between what was read last and one:
// a publisher may give each object of a group a stream and subgroup of its own,
// which is then called after it.
func (r *order) isNext(h moqt.Subgroup) bool {
	switch {
	case !r.any:
		return false
	case h.Group == r.last.Group:
		return h.ID <= r.last.Object+1
	}
	return h.Group < r.last.Group || h.Group == r.last.Group+1 && r.full
}

// patience is how long a stream is waited for that makes no progress while that
// of a newer group is there.
const patience = 2 * time.Second

// settle is how long a stream waits for those of lower groups to arrive.
const settle = 50 * time.Millisecond

// streams are the subgroup streams of a subscription that have not been read to
// their end.
type streams struct {
	wake chan struct{} // cap 1: a token when something changed

	mu      sync.Mutex                // guards what follows
	waiting []arrival                 // not begun, in the order in which to read them
	current *transport.SubgroupReader // being read
	overdue *time.Timer               // gives current up; runs while a newer group waits
	ended   error                     // why no more will come
	over    bool                      // those that come are not wanted
}

// arrival is a stream that has come.
type arrival struct {
	*transport.SubgroupReader
	at time.Time
}

// before reports whether a is to be read before b, which came earlier: it is of a
// lower group, or of a lower subgroup of the same, or it has the beginning of that.
func (a arrival) before(b arrival) bool {
	x, y := a.Header(), b.Header()
	switch {
	case x.Group != y.Group:
		return x.Group < y.Group
	case x.ID != y.ID:
		return x.ID < y.ID
	}
	return x.First && !y.First
}

// accept collects streams until the subscription ends.
func (s *streams) accept(ctx context.Context, tr *transport.TrackReader) {
	for {
		sg, err := tr.AcceptSubgroup(ctx)
		s.mu.Lock()
		switch {
		case err != nil:
			s.ended = err
		case s.over:
			sg.Cancel(moqt.StreamCancelled)
		default:
			new := arrival{sg, time.Now()}
			i := slices.IndexFunc(s.waiting, new.before)
			if i < 0 {
				i = len(s.waiting)
			}
			s.waiting = slices.Insert(s.waiting, i, new)
			s.watchLocked()
		}
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// next waits for a stream to read. The one before is done with. isNext says
// before which no other has to be waited for.
func (s *streams) next(ctx context.Context, isNext func(moqt.Subgroup) bool) (*transport.SubgroupReader, error) {
	for {
		var ready <-chan time.Time
		s.mu.Lock()
		s.current = nil
		s.watchLocked()
		if len(s.waiting) > 0 {
			first := s.waiting[0]
			if left := settle - time.Since(first.at); left > 0 && s.ended == nil && !isNext(first.Header()) {
				ready = time.After(left)
			} else {
				s.current = first.SubgroupReader
				s.waiting = slices.Delete(s.waiting, 0, 1)
				s.watchLocked()
			}
		}
		sg, ended := s.current, s.ended
		s.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case sg != nil:
			return sg, nil
		case ended != nil:
			return nil, ended
		}
		select {
		case <-s.wake:
		case <-ready:
		case <-ctx.Done():
		}
	}
}

// watchLocked keeps overdue running as it should be.
func (s *streams) watchLocked() {
	n := len(s.waiting)
	watch := s.current != nil && n > 0 && s.waiting[n-1].Header().Group > s.current.Header().Group
	if watch == (s.overdue != nil) {
		return
	}
	if !watch {
		s.overdue.Stop()
		s.overdue = nil
		return
	}
	sg := s.current
	s.overdue = time.AfterFunc(patience, func() { sg.Cancel(moqt.StreamCancelled) })
}

// progress says that the current stream has given an object.
func (s *streams) progress() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overdue != nil {
		s.overdue.Reset(patience)
	}
}

// cancel stops all streams.
func (s *streams) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.current != nil {
		s.current.Cancel(moqt.StreamCancelled)
	}
	for _, sg := range s.waiting {
		sg.Cancel(moqt.StreamCancelled)
	}
}
