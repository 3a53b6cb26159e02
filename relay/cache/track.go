package cache

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Track holds the newest groups of one track. Its methods, and those of its
// sources, may be called at the same time.
//
// One mutex guards all of a track's state. It is never held while anything
// blocks; readers take it once per run and per datagram, not per object.
type Track struct {
	opts Options

	changed   bell         // a run was announced, or the track ended
	datagrams bell         // a datagram has come, or the track ended
	edge      atomic.Int64 // counts how often a newer group than all before has begun

	mu      sync.Mutex
	groups  []*group // ascending by id
	runs    []*run   // announced runs of those groups, ascending by seq
	seq     uint64   // of the run announced last
	floor   moqt.Location
	known   []span // ascending; what is not held there does not exist
	largest moqt.Location
	any     bool // largest is known

	final       moqt.Location // of END_OF_TRACK
	hasFinal    bool
	finalSource uint64

	sources    []*Source
	lastSource uint64

	backlog  []*Object // ring of datagrams; nil where one has left
	datagram uint64    // seq of the next datagram

	bytes int64
	debt  int64 // bytes that this track owes to the Budget
	age   *time.Timer
	stats Stats
	rings []*bell // to be rung after mu is released

	ended  bool
	closed bool
}

// Stats counts what has happened to a track since it was made.
type Stats struct {
	Fresh          uint64 // objects new to the cache
	Duplicate      uint64 // equal copies, dropped
	Late           uint64 // objects from before the oldest that the cache still keeps, dropped
	Contradictory  uint64 // faults of a source against another's copy
	Malformed      uint64 // faults of a source against the draft or its own copy
	Evicted        uint64 // objects that have left the cache
	FreshBytes     uint64 // of payload
	DuplicateBytes uint64 // of payload
	Skipped        uint64 // datagrams that a slow reader never saw
}

// NewTrack returns an empty track. Close gives back what it holds.
func NewTrack(o Options) *Track { return &Track{opts: o.withDefaults()} }

// Source adds a publisher of the track. parse reads what IMMUTABLE_PROPERTIES of
// its objects hold, in the encoding of the publisher's draft; if it is nil, that
// is not looked at.
func (t *Track) Source(parse func([]byte) (moqt.Properties, error)) *Source {
	t.mu.Lock()
	defer t.unlock()
	t.lastSource++
	s := &Source{track: t, id: t.lastSource, parse: parse, writers: make(map[*Writer]struct{})}
	if t.closed {
		s.err = ErrClosed
		return s
	}
	t.sources = append(t.sources, s)
	return s
}

// End says that nothing will be published any more: readers that have seen
// everything get io.EOF. Streams that are open may still be written.
func (t *Track) End() {
	t.mu.Lock()
	defer t.unlock()
	t.ended = true
	t.ring(&t.changed)
	t.ring(&t.datagrams)
}

// Close drops everything. The bytes go back to the Budget, readers and sources
// get ErrClosed.
func (t *Track) Close() {
	t.mu.Lock()
	defer t.unlock()
	if t.closed {
		return
	}
	t.closed, t.ended = true, true
	for len(t.groups) > 0 {
		t.evict(t.groups[0], runClosed)
	}
	for _, s := range slices.Clone(t.sources) {
		s.fail(ErrClosed)
	}
	if t.age != nil {
		t.age.Stop()
		t.age = nil
	}
	t.backlog = nil
	t.ring(&t.changed)
	t.ring(&t.datagrams)
}

// Largest returns the largest location seen, also if it has left the cache. It
// reports false if there has been no object.
func (t *Track) Largest() (moqt.Location, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.largest, t.any
}

// Final returns the last location of the track, if END_OF_TRACK has told it.
func (t *Track) Final() (moqt.Location, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.final, t.hasFinal
}

// Bytes returns the memory that the track holds, bookkeeping included.
func (t *Track) Bytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// Groups returns how many groups are in the cache.
func (t *Track) Groups() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.groups)
}

// Stats returns the counters.
func (t *Track) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats
}

// ring has b rung when the lock is released.
func (t *Track) ring(b *bell) { t.rings = append(t.rings, b) }

// unlock releases mu and wakes those who wait for what was done under it. Only
// then, so that they do not find the lock taken.
func (t *Track) unlock() {
	var buf [8]*bell
	rings := append(buf[:0], t.rings...)
	clear(t.rings)
	t.rings = t.rings[:0]
	t.mu.Unlock()
	for i, b := range rings {
		if i == 0 || rings[i-1] != b {
			b.ring()
		}
	}
}

// search returns the place of group id, and the group if it is there.
func (t *Track) search(id uint64) (int, *group) {
	n := len(t.groups)
	if n == 0 || t.groups[n-1].id < id {
		return n, nil
	}
	if g := t.groups[n-1]; g.id == id {
		return n - 1, g
	}
	i, ok := slices.BinarySearchFunc(t.groups, id, func(g *group, id uint64) int {
		switch {
		case g.id < id:
			return -1
		case g.id > id:
			return 1
		}
		return 0
	})
	if !ok {
		return i, nil
	}
	return i, t.groups[i]
}

// addGroup makes group id, which is not there.
func (t *Track) addGroup(id, source uint64, now time.Time) *group {
	i, _ := t.search(id)
	g := &group{id: id, subs: make(map[uint64]*subgroup, 1), since: now, source: source}
	if i == len(t.groups) {
		if i > 0 {
			t.groups[i-1].since = now
		}
		g.edge = t.edge.Add(1)
	} else {
		g.edge = t.groups[i].edge - 1
	}
	t.groups = slices.Insert(t.groups, i, g)
	t.account(g, groupCost)
	return g
}

// insert makes o, which is not there, part of g.
func (t *Track) insert(g *group, o *Object) {
	i, _ := g.find(o.id())
	g.index = slices.Insert(g.index, i, o)
	o.cost = cost(o)
	t.account(g, o.cost)
	t.stats.Fresh++
	if !t.any || t.largest.Less(o.Meta.Location) {
		t.largest, t.any = o.Meta.Location, true
	}
}

// cost returns the memory that o takes.
func cost(o *Object) int64 {
	n := int64(objectCost)
	if o.part != nil {
		n += int64(cap(o.available()))
	} else {
		n += int64(len(o.buf))
	}
	return n + propertiesCost(o.Meta.Properties)
}

func propertiesCost(ps moqt.Properties) int64 {
	n := int64(0)
	for i := range ps {
		n += propertyCost + int64(len(ps[i].Bytes))
	}
	return n
}

// account books n bytes, which may be negative, on g.
func (t *Track) account(g *group, n int64) {
	g.bytes += n
	t.bytes += n
	if t.opts.Budget != nil {
		t.debt += t.opts.Budget.take(n)
	}
}

// live reports whether source id is still there.
func (t *Track) live(id uint64) bool {
	return slices.ContainsFunc(t.sources, func(s *Source) bool { return s.id == id })
}
