package sub

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/tributary-live/tributary/pub/catalog"
	"github.com/tributary-live/tributary/transport/moqt"
)

// seam joins what comes over one session to what came over those before: where
// the broadcast is the same and goes on, what was given is left out.
type seam struct {
	take   func(*Broadcast, Object) error
	failed error // take's

	from  *Broadcast               // whose objects come
	as    *Broadcast               // what they are given as: from, or one before that it is the same as
	given map[string]moqt.Location // the newest of each track of as
	news  bool                     // something was given since it was asked
	reel  *reel                    // of as, to read its times by
	marks []mark                   // beginnings of groups of as, ascending
}

// mark is when a group begins of the track that leads, in units of that. Groups
// are in order if their times are.
type mark struct{ group, start uint64 }

// marksMost is how many marks are kept.
const marksMost = 64

// give takes an object of b, of which the first is the first of a group of the
// track that leads, unless it is the first of all.
func (s *seam) give(b *Broadcast, o Object) error {
	if b != s.from {
		if s.from = b; s.as == nil || !s.continues(b, o) {
			s.as, s.given, s.reel, s.marks = b, make(map[string]moqt.Location), newReel(b, nil), nil
		}
	}
	if newest, any := s.given[o.Track]; any && !newest.Less(o.Location) {
		return nil
	}
	s.given[o.Track] = o.Location
	if m, ok := s.mark(o); ok {
		if s.marks = append(s.marks, m); len(s.marks) > marksMost {
			s.marks = slices.Delete(s.marks, 0, 1)
		}
	}
	s.news = true
	s.failed = s.take(s.as, o)
	return s.failed
}

// moved reports whether something was given since it was asked the last time.
func (s *seam) moved() bool {
	news := s.news
	s.news = false
	return news
}

// continues reports whether b, which begins with o, is the broadcast that was
// given last: with the same tracks, and groups that follow, or are, those that
// were given. One that began anew may have groups of the same ids, at other times.
func (s *seam) continues(b *Broadcast, o Object) bool {
	if b.Namespace != s.as.Namespace ||
		!slices.EqualFunc(b.Tracks, s.as.Tracks, func(x, y catalog.Track) bool { return x.Name == y.Name && x.Role == y.Role }) ||
		!slices.EqualFunc(b.Inits, s.as.Inits, bytes.Equal) {
		return false
	}
	m, ok := s.mark(o)
	if !ok || len(s.marks) == 0 || m.group < s.marks[0].group {
		return false
	}
	return !slices.ContainsFunc(s.marks, func(k mark) bool {
		return cmp.Compare(m.group, k.group) != cmp.Compare(m.start, k.start)
	})
}

// mark returns that of a group that begins with o.
func (s *seam) mark(o Object) (mark, bool) {
	if !s.reel.leads(o) || o.Object.Object != 0 || s.reel.clock == nil {
		return mark{}, false
	}
	start, _, err := s.reel.clock.Times(o.Payload)
	return mark{o.Group, start}, err == nil
}
