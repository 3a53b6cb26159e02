package cache

import (
	"fmt"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Source is one publisher of a track: a session, or another relay. Its methods
// may be called at the same time.
//
// A source that breaks a rule is failed: the call returns an error that wraps
// [ErrMalformed] or [ErrContradiction], its streams are given up as if they had
// been reset, and every later call returns the same error. What it has brought
// before stays.
type Source struct {
	track *Track
	id    uint64
	parse func([]byte) (moqt.Properties, error) // what IMMUTABLE_PROPERTIES hold; may be nil

	// Guarded by Track.mu.
	writers map[*Writer]struct{}
	err     error // why it is heard no more
}

// Open begins a stream of a subgroup. Of h, First says that the stream's first
// object is the first of the subgroup, and EndOfGroup that its last one, if
// Close follows, is the last of the group.
//
// Nothing is kept of a stream before its first object.
func (s *Source) Open(h moqt.Subgroup) (*Writer, error) {
	t := s.track
	t.mu.Lock()
	defer t.unlock()
	if s.err != nil {
		return nil, s.err
	}
	if _, g := t.search(h.Group); g != nil {
		if sg := g.subs[h.ID]; sg != nil && sg.head.Priority != h.Priority {
			return nil, s.priorityFault(sg, h)
		}
	}
	w := &Writer{source: s, head: h}
	s.writers[w] = struct{}{}
	return w, nil
}

// Datagram adds an object that came in a datagram, and reports whether it is
// new. The payload and properties are kept.
func (s *Source) Datagram(o moqt.Object) (fresh bool, err error) {
	o.Datagram, o.Subgroup = true, 0
	return s.put(o, false, func(g *group, obj *Object) {
		t := s.track
		if t.backlog == nil {
			t.backlog = make([]*Object, datagramBacklog)
		}
		obj.seq = t.datagram
		t.backlog[obj.seq%datagramBacklog] = obj
		t.datagram++
		t.ring(&t.datagrams)
	})
}

// Fill adds an object that came by FETCH, and reports whether it is new. It is
// there for ranges, but no reader is told: if a stream brings it later it is
// shown then. It may be older than what has left the cache; it stays then as if
// its group had just been superseded. One that is held counts as received anew
// ([Object.Received]). The payload and properties are kept.
func (s *Source) Fill(o moqt.Object) (fresh bool, err error) {
	return s.put(o, true, func(*group, *Object) {})
}

// put adds an object that belongs to no stream. Fresh ones are handed to added.
func (s *Source) put(o moqt.Object, past bool, added func(*group, *Object)) (bool, error) {
	t := s.track
	payload := o.Payload
	t.mu.Lock()
	if s.err != nil {
		t.mu.Unlock()
		return false, s.err
	}
	a, err := s.admit(&o, int64(len(payload)), nil, past)
	if err != nil || a.late {
		t.unlock()
		return false, err
	}
	if a.prior != nil {
		err := s.compareUnlock(a.prior, payload)
		if err == nil && past {
			a.prior.again.Store(time.Now().UnixNano())
		}
		return false, err
	}
	now := time.Now()
	g := t.makeGroup(&a, s, now)
	obj := a.object(s, now)
	obj.buf = payload
	t.insert(g, obj)
	t.stats.FreshBytes += uint64(len(payload))
	added(g, obj)
	t.shrink(now)
	t.unlock()
	return true, nil
}

// Close takes the publisher away; what it left open is aborted. Whatever is
// called later returns ErrClosed.
func (s *Source) Close() {
	t := s.track
	t.mu.Lock()
	defer t.unlock()
	s.fail(ErrClosed)
}

// fail ends the source with the reason that later calls give.
func (s *Source) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	t := s.track
	if i := slices.Index(t.sources, s); i >= 0 {
		t.sources = slices.Delete(t.sources, i, i+1)
	}
	for w := range s.writers {
		w.leave()
	}
}

// fault fails the source for what contradicts a fact that owner brought.
func (s *Source) fault(owner uint64, at moqt.Location, format string, args ...any) error {
	kind := ErrContradiction
	if owner == s.id {
		kind = ErrMalformed
		s.track.stats.Malformed++
	} else {
		s.track.stats.Contradictory++
	}
	err := fmt.Errorf("cache: object %v: %s: %w", at, fmt.Sprintf(format, args...), kind)
	s.fail(err)
	return err
}

func (s *Source) priorityFault(sg *subgroup, h moqt.Subgroup) error {
	return s.fault(sg.source, moqt.Location{Group: h.Group},
		"subgroup %d: priority %d, not %d", h.ID, h.Priority, sg.head.Priority)
}
