package transport

import (
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// readers are subscriptions that share an alias. There is one, unless the peer
// gives several subscriptions to one track the same ("Track Alias").
type readers []*TrackReader

// learn ties an alias to t, so that its streams find it. One that belongs to a
// track that has ended may be given anew. ("Track Alias")
func (s *Session) learn(t *TrackReader, alias uint64) error {
	s.mu.Lock()
	live := slices.DeleteFunc(slices.Clone(s.aliases[alias]), (*TrackReader).hasEnded)
	for _, other := range live {
		if other.name != t.name || !s.profile.SeveralSubscriptions() {
			s.mu.Unlock()
			s.forget(t)
			return s.fail(moqt.SessionDuplicateTrackAlias, "alias %d is that of track %v", alias, other.name)
		}
	}
	if t.entered {
		s.unaliased--
		s.aliases[alias] = append(live, t)
	}
	s.announceLocked()
	s.mu.Unlock()
	t.mu.Lock()
	t.alias, t.known = alias, true
	t.mu.Unlock()
	return nil
}

func (t *TrackReader) hasEnded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended != nil
}

// release lets the track of t be subscribed anew: the publisher has ended this
// subscription, though there may be something left to read of it.
func (s *Session) release(t *TrackReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(t)
}

func (s *Session) releaseLocked(t *TrackReader) {
	if s.readers[t.name] == t {
		delete(s.readers, t.name)
		close(t.released)
	}
}

// reserveSoon is reserve for a publisher that may have ended a subscription to
// the same track a moment ago.
func (s *Session) reserveSoon(rs *requestStream, name moqt.TrackName) (*TrackReader, error) {
	s.mu.Lock()
	old := s.readers[name]
	s.mu.Unlock()
	if old != nil {
		rs.outlives(old.released)
	}
	return s.reserve(name)
}

// forget takes t out of the session's tables.
func (s *Session) forget(t *TrackReader) {
	t.mu.Lock()
	alias, known := t.alias, t.known
	t.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.entered {
		return
	}
	t.entered = false
	s.releaseLocked(t)
	if !known {
		s.unaliased--
		return
	}
	left := slices.DeleteFunc(slices.Clone(s.aliases[alias]), func(o *TrackReader) bool { return o == t })
	if len(left) > 0 {
		s.aliases[alias] = left
		return
	}
	delete(s.aliases, alias)
	s.retired.add(alias)
}

// pick returns the one that an object is for: of those whose filters let it
// pass, the one that has got the least, because the peer sends the object once
// for each. If none wants it, as when a filter has just changed, any will do.
func (rs readers) pick(got func(*TrackReader) uint64, wants func(*TrackReader) bool) *TrackReader {
	if len(rs) == 1 {
		return rs[0]
	}
	var best *TrackReader
	var least uint64
	for _, t := range rs {
		t.mu.Lock()
		n, wanted := got(t), wants(t)
		t.mu.Unlock()
		if wanted && (best == nil || n < least) {
			best, least = t, n
		}
	}
	if best == nil && len(rs) > 0 {
		return rs[0]
	}
	return best
}

// ofStream picks by the first object of a stream.
func (rs readers) ofStream(o *moqt.Object) *TrackReader {
	return rs.pick(func(t *TrackReader) uint64 { return t.streams }, func(t *TrackReader) bool { return t.want.wants(o) })
}

// ofDatagram picks by an object that came as a datagram.
func (rs readers) ofDatagram(o *moqt.Object) *TrackReader {
	return rs.pick(func(t *TrackReader) uint64 { return t.datagrams }, func(t *TrackReader) bool { return t.want.wants(o) })
}
