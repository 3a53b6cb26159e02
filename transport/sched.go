package transport

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
)

// sched orders the data streams of a session by the draft's "Scheduling
// Algorithm": subscriber priority, publisher priority, then within one
// subscription the group order and the subgroup id. Between subscriptions of
// equal priorities there is no order, so their streams go in ranks: the heads of
// all of them by turns, then what comes second in each, and so on.
//
// The transport has eight levels, of which the first are for control and request
// streams and for what is left of streams that have ended. A rank gets one of the
// others as long as there are any. The ranks that are left share the last level,
// and what goes there passes a gate: of those who have something to send, only
// the first rank does.
//
// Levels are given when a stream opens or ends or a subscription changes, never
// per object.
type sched struct {
	first  int8 // level for data; set before use
	mu     sync.Mutex
	active []*schedStream // sorted by key
	gate   gate
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

// schedKey sorts first what is to be sent first.
type schedKey struct {
	sub, pub moqt.Priority
	track    uint64 // alias: streams of one subscription stand together
	group    uint64 // complemented for descending order
	after    bool   // comes by the subscription, not by a fill of the same group
	subgroup uint64
}

func (k schedKey) compare(o schedKey) int {
	if c := cmp.Or(cmp.Compare(k.sub, o.sub), cmp.Compare(k.pub, o.pub),
		cmp.Compare(k.track, o.track), cmp.Compare(k.group, o.group)); c != 0 {
		return c
	}
	if k.after != o.after {
		if o.after {
			return -1
		}
		return 1
	}
	return cmp.Compare(k.subgroup, o.subgroup)
}

// subgroupKey is the place of a subgroup's stream.
func (t *TrackWriter) subgroupKey(sg *moqt.Subgroup) schedKey {
	state := t.State()
	k := schedKey{sub: state.Priority, pub: sg.Priority, track: t.alias, group: sg.Group, after: true, subgroup: sg.ID}
	if state.Order == moqt.Descending {
		k.group = ^k.group
	}
	return k
}

// fetchKey is the place of the stream that answers a fetch: a request of its
// own, whose objects are in order by themselves.
func fetchKey(id uint64, sub, pub moqt.Priority) schedKey {
	return schedKey{sub: sub, pub: pub, track: 1<<63 | id}
}

// fillKey is the place of a fill of t's subscription that is at group: before
// the subscription's own stream of that group if both have the same order, else
// after all of them.
func (t *TrackWriter) fillKey(sub, pub moqt.Priority, order moqt.GroupOrder, group uint64) schedKey {
	k := schedKey{sub: sub, pub: pub, track: t.alias, group: group}
	switch {
	case order != t.State().Order:
		k.group = ^uint64(0)
		k.after = true
	case order == moqt.Descending:
		k.group = ^k.group
	}
	return k
}

// schedStream is a data stream with its place among those of its session. It
// leaves by itself when it ends. Its methods are those of [SendStream].
type schedStream struct {
	SendStream
	s   *sched
	key func() schedKey // called with s.mu held, which goes before TrackWriter.mu
	gated
	head headed // what e.SendStream is

	// Guarded by s.mu:
	at      schedKey
	rank    int  // 0 goes first
	urgency int8 // as the transport was told; -1 before
	left    bool
}

// add gives st a place, which key tells again whenever the owner asks for it by
// place or rekey. What is to be written must go to the result.
func (s *sched) add(st SendStream, key func() schedKey) *schedStream {
	e := &schedStream{s: s, key: key, urgency: -1, head: headed{SendStream: st}}
	e.SendStream = &e.head
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insertLocked(e)
	s.rankLocked()
	return e
}

func (s *sched) insertLocked(e *schedStream) {
	e.at = e.key()
	i, _ := slices.BinarySearchFunc(s.active, e, bySchedKey)
	s.active = slices.Insert(s.active, i, e)
}

func bySchedKey(a, b *schedStream) int { return a.at.compare(b.at) }

// remove takes e away, which ends. What the transport still has of it, less than
// a packet and what the network has lost, goes first: others take over its level
// now, and it must not wait for them.
func (s *sched) remove(e *schedStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.left {
		return
	}
	e.left = true
	e.SendStream.SetPriority(s.first, true)
	if i := slices.Index(s.active, e); i >= 0 {
		s.active = slices.Delete(s.active, i, i+1)
	}
	s.rankLocked()
}

// rekey sorts anew after something changed that keys are made of.
func (s *sched) rekey() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.active {
		e.at = e.key()
	}
	slices.SortFunc(s.active, bySchedKey)
	s.rankLocked()
}

// rankLocked gives each stream its rank and level.
func (s *sched) rankLocked() {
	ranks := 0
	for i := 0; i < len(s.active); {
		depth, deepest := 0, 0
		j := i
		for ; j < len(s.active); j++ { // streams i..j have the same two priorities
			e := s.active[j]
			if e.at.sub != s.active[i].at.sub || e.at.pub != s.active[i].at.pub {
				break
			}
			if j == i || s.active[j-1].at.track != e.at.track {
				depth = 0
			} else {
				depth++
			}
			deepest = max(deepest, depth)
			e.rank = ranks + depth
		}
		ranks += deepest + 1
		i = j
	}
	levels := int(levelLast - s.first + 1)
	head := s.first
	if ranks < levels {
		head++ // the first is for the rest of streams that have ended
	}
	for _, e := range s.active {
		u := min(head+int8(min(e.rank, levels)), levelLast)
		if e.urgency != u {
			e.urgency = u
			e.SendStream.SetPriority(u, true) // who shares a rank does so by turns
		}
		e.last.Store(ranks > levels && e.rank >= levels-1)
	}
	s.gate.rankedLocked()
}

// StreamID returns the transport's id of the stream, for traces.
func (e *schedStream) StreamID() uint64 { return e.head.StreamID() }

// Close ends the stream well.
func (e *schedStream) Close() error {
	e.s.remove(e)
	return e.SendStream.Close()
}

// CancelWrite resets the stream.
func (e *schedStream) CancelWrite(code moqt.StreamCode) {
	e.s.remove(e)
	e.SendStream.CancelWrite(code)
}
