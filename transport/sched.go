package transport

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
)

// sched orders the streams of a session by the draft's "Scheduling Algorithm":
// subscriber priority, publisher priority, then within one subscription the
// group order and the subgroup id. The transport has eight levels, of which the
// first are for control and request streams. The distinct ranks among the data
// streams that are open get one each of the others, and what comes after shares
// the last.
//
// Work is done when a stream opens or closes or a subscription changes, never
// per object.
type sched struct {
	first  int8 // level for data; set before use
	mu     sync.Mutex
	active []*schedEntry // sorted by key
}

// The levels of a session's streams.
const (
	levelControl = 0 // control and request streams
	levelData    = 1
	// levelWebTransport is levelData for WebTransport. There the peer's request
	// streams, and what the session itself has to say, stay at QUIC's default of
	// 3: the library lets nobody change them, and data must not starve them.
	levelWebTransport = 4
	levelLast         = 7
)

// fetchLevel places a fetch among the streams: beside the heads of subscriptions
// if its priority is the usual one or better, else last.
func (s *sched) fetchLevel(p moqt.Priority) int8 {
	if p <= moqt.DefaultPriority {
		return s.first
	}
	return levelLast
}

type schedEntry struct {
	w           *SubgroupWriter
	st          SendStream
	key         schedKey
	urgency     int8
	incremental bool
}

// schedKey sorts first what is to be sent first.
type schedKey struct {
	sub, pub moqt.Priority
	track    uint64 // alias: streams of one subscription stand together
	group    uint64 // complemented for descending order
	subgroup uint64
}

func (k schedKey) compare(o schedKey) int {
	return cmp.Or(cmp.Compare(k.sub, o.sub), cmp.Compare(k.pub, o.pub),
		cmp.Compare(k.track, o.track), cmp.Compare(k.group, o.group), cmp.Compare(k.subgroup, o.subgroup))
}

func keyOf(w *SubgroupWriter) schedKey {
	state := w.t.State()
	k := schedKey{sub: state.Priority, pub: w.header.Priority, track: w.t.alias, group: w.header.Group, subgroup: w.header.ID}
	if state.Order == moqt.Descending {
		k.group = ^k.group
	}
	return k
}

// add gives a place to st, on which w writes.
func (s *sched) add(w *SubgroupWriter, st SendStream) {
	e := &schedEntry{w: w, st: st, key: keyOf(w), urgency: -1}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearchFunc(s.active, e, func(a, b *schedEntry) int { return a.key.compare(b.key) })
	s.active = slices.Insert(s.active, i, e)
	s.rankLocked()
}

func (s *sched) remove(st SendStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.active, func(e *schedEntry) bool { return e.st == st })
	if i < 0 {
		return
	}
	s.active = slices.Delete(s.active, i, i+1)
	s.rankLocked()
}

// rekey sorts anew after t's priority or order changed.
func (s *sched) rekey(t *TrackWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.active {
		if e.w.t == t {
			e.key = keyOf(e.w)
		}
	}
	slices.SortFunc(s.active, func(a, b *schedEntry) int { return a.key.compare(b.key) })
	s.rankLocked()
}

// rankLocked gives each stream its level. The head of every subscription of
// equal priorities shares a level by turns, so that all of them move; the rest
// of a subscription follows one level behind, oldest first.
func (s *sched) rankLocked() {
	level := s.first - 1
	for i := 0; i < len(s.active); {
		j := i // streams i..j have the same two priorities
		for j < len(s.active) && s.active[j].key.sub == s.active[i].key.sub && s.active[j].key.pub == s.active[i].key.pub {
			j++
		}
		head := min(level+1, levelLast)
		level = head
		rest := min(head+1, levelLast)
		for k := i; k < j; k++ {
			e := s.active[k]
			isHead := k == i || s.active[k-1].key.track != e.key.track
			u := rest
			if isHead {
				u = head
			} else {
				level = rest
			}
			if e.urgency != u || e.incremental != isHead {
				e.urgency, e.incremental = u, isHead
				e.st.SetPriority(u, isHead)
			}
		}
		i = j
	}
}
