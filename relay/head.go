package relay

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// head is the beginning of the group that was running when a source began to bring
// objects. It is fetched from the source, so that the log has the group in one piece
// and whoever comes next gets it from there.
type head struct {
	s     *source
	began time.Time
	known chan struct{} // closed when the next two are set, or over was called
	group uint64
	open  func(context.Context) (*transport.FetchReader, error)

	once sync.Once
	done chan struct{} // closed by over
}

// expect says that the source is about to fetch a head. What it brings of that
// group meanwhile waits; set or over must follow.
func (s *source) expect() *head {
	h := &head{s: s, began: time.Now(), known: make(chan struct{}), done: make(chan struct{})}
	s.mu.Lock()
	s.expected = h
	s.mu.Unlock()
	s.t.fills(+1)
	return h
}

// set has the head of a group fetched by what open returns.
func (s *source) set(h *head, group uint64, open func(context.Context) (*transport.FetchReader, error)) {
	h.group, h.open = group, open
	close(h.known)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.toFill <- h:
		if !s.ended {
			return
		}
		<-s.toFill
	default: // one is being fetched, and another waits
	}
	s.t.r.wg.Go(func() { s.drop(h) })
}

// setFetch has the head of the group that l is in fetched by a FETCH up to there,
// unless it is here.
func (s *source) setFetch(h *head, l moqt.Location, some bool) {
	start := moqt.Location{Group: l.Group}
	if !some || s.t.holds(start, l) {
		h.over()
		return
	}
	s.set(h, l.Group, func(ctx context.Context) (*transport.FetchReader, error) {
		return s.p.sess.Fetch(ctx, s.t.name, transport.Range{Start: start, End: l}, nil)
	})
}

// over says that no more of the head will come.
func (h *head) over() {
	h.once.Do(func() {
		close(h.done)
		h.s.headFilled()
		h.s.t.fills(-1)
	})
}

// holdsBack reports whether the head of a group is on its way, and has been for no
// more than a time.
func (s *source) holdsBack(group uint64, most time.Duration) bool {
	s.mu.Lock()
	h := s.expected
	s.mu.Unlock()
	if h == nil || time.Since(h.began) >= most {
		return false
	}
	select {
	case <-h.done:
		return false
	default:
	}
	select {
	case <-h.known:
		return h.group == group
	default:
		return true
	}
}

// awaitHead waits while the head of a group is on its way, but not for ever.
func (s *source) awaitHead(ctx context.Context, group uint64) {
	s.mu.Lock()
	h := s.expected
	s.mu.Unlock()
	if h == nil {
		return
	}
	late := time.NewTimer(fillTimeout)
	defer late.Stop()
	select {
	case <-h.known:
	case <-h.done:
		return
	case <-late.C:
		return
	case <-ctx.Done():
		return
	}
	if h.group != group {
		return
	}
	select {
	case <-h.done:
	case <-late.C:
	case <-ctx.Done():
	}
}

// awaitHeads waits until no head is on its way.
func (s *source) awaitHeads(ctx context.Context) {
	s.mu.Lock()
	h := s.expected
	s.mu.Unlock()
	if h != nil {
		select {
		case <-h.done:
		case <-ctx.Done():
		}
	}
}

// dropHeads gives up what is still to be fetched. It is called when the source has
// ended.
func (s *source) dropHeads() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	select {
	case h := <-s.toFill:
		s.drop(h)
	default:
	}
}

// drop ends what was asked for already.
func (s *source) drop(h *head) {
	ctx, cancel := context.WithCancel(s.t.ctx)
	cancel()
	s.fill(ctx, h)
}

// fillHeads fetches what heads are wanted, until ctx ends.
func (s *source) fillHeads(ctx context.Context) {
	for {
		select {
		case h := <-s.toFill:
			s.fill(ctx, h)
		case <-ctx.Done():
			return
		}
	}
}

// fill reads a head into the log.
func (s *source) fill(ctx context.Context, h *head) {
	defer h.over()
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	fetch, err := h.open(ctx)
	if err != nil {
		s.t.r.log.Debug("head of group not fetched", "track", s.t.name, "err", err)
		return
	}
	defer fetch.Close()
	for {
		o, err := fetch.ReadObject(ctx)
		if err != nil {
			if err != io.EOF {
				s.t.r.log.Debug("head of group not fetched", "track", s.t.name, "err", err)
			}
			return
		}
		if !s.admit(ctx, o.Location) {
			return
		}
		if o.Datagram {
			s.feed.Datagram(o)
			continue
		}
		w, err := s.beginning(moqt.Subgroup{Group: o.Group, ID: o.Subgroup, Priority: o.Priority, First: len(fetch.Gaps()) == 0})
		if err != nil {
			return
		}
		s.arrived(int64(len(o.Payload)))
		fresh, err := w.Append(o)
		if s.judge(fresh, err) != nil {
			s.fault(err)
			return
		}
	}
}

// beginning returns the writer of a subgroup's head. It stays open until the
// subgroup's own stream goes on where it ends.
func (s *source) beginning(h moqt.Subgroup) (*cache.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := moqt.Location{Group: h.Group, Object: h.ID}
	if w := s.heads[key]; w != nil {
		return w, nil
	}
	w, err := s.feed.Open(h)
	if err == nil {
		s.heads[key] = w
	}
	return w, err
}

// relieve lets go of the heads up to that of a subgroup whose stream is there.
func (s *source) relieve(h moqt.Subgroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, w := range s.heads {
		if key.Group < h.Group || key == (moqt.Location{Group: h.Group, Object: h.ID}) {
			w.Abort()
			delete(s.heads, key)
		}
	}
}
