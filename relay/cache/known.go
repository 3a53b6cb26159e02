package cache

import (
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// span is a range of locations, both ends included.
type span struct{ from, to moqt.Location }

// maxKnown bounds the spans of a track that are known.
const maxKnown = 64

// Know says that between from and to, both included, no objects exist but those
// that are held: a publisher has answered a FETCH of all of it. What comes there
// nevertheless is taken in as ever.
func (s *Source) Know(from, to moqt.Location) {
	t := s.track
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.err != nil || to.Less(from) {
		return
	}
	add := span{from, to}
	// All that overlaps with it or is next to it becomes one.
	first := slices.IndexFunc(t.known, func(k span) bool { return !k.to.Less(add.from) || adjacent(k.to, add.from) })
	if first < 0 {
		first = len(t.known)
	}
	last := first
	for ; last < len(t.known); last++ {
		if k := t.known[last]; add.to.Less(k.from) && !adjacent(add.to, k.from) {
			break
		}
		if t.known[last].from.Less(add.from) {
			add.from = t.known[last].from
		}
		if add.to.Less(t.known[last].to) {
			add.to = t.known[last].to
		}
	}
	t.known = slices.Replace(t.known, first, last, add)
	if len(t.known) > maxKnown {
		t.known = slices.Delete(t.known, 0, 1)
	}
}

// knownFrom returns the end of the span that holds at, or else, with false, the
// start of the next one after it, if there is one.
func (t *Track) knownFrom(at moqt.Location) (edge moqt.Location, known bool) {
	for _, k := range t.known {
		switch {
		case at.Less(k.from):
			return k.from, false
		case !k.to.Less(at):
			return k.to, true
		}
	}
	return moqt.Location{Group: lastID, Object: lastID}, false
}

// unknow takes back what is known of a location, and with whole of all before
// it: what was held there is not any more.
func (t *Track) unknow(at moqt.Location, whole bool) {
	if len(t.known) == 0 {
		return
	}
	var left []span
	for _, k := range t.known {
		if at.Less(k.from) || k.to.Less(at) && !whole {
			left = append(left, k)
			continue
		}
		if k.from.Less(at) && !whole {
			left = append(left, span{k.from, at.Prev()})
		}
		if at.Less(k.to) {
			left = append(left, span{at.Next(), k.to})
		}
	}
	t.known = left
}
