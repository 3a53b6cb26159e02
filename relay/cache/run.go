package cache

import (
	"sync/atomic"
	"time"
)

// run is a sequence of objects of one subgroup, each known to be the next
// object after the one before it: what may be sent on one stream. Objects are
// linked through Object.next, so appending needs no room and reading no lock.
type run struct {
	sg *subgroup

	head    atomic.Pointer[Object] // nil if its only object failed, lost when evicted
	state   atomic.Uint32          // runOpen …
	finFrom atomic.Uint64          // FIN is true only for who asked from here on or later
	endedAt time.Time              // set before state
	bell    bell

	// The rest is guarded by Track.mu.

	seq      uint64 // order of announcement; 0 while hidden
	tail     *Object
	before   *Object // the one before tail
	count    int
	trimmed  uint64 // object ids below have left the cache
	first    bool   // head is the first object ever published in the subgroup
	hidden   bool   // held back from readers, behind a gap that may be filled
	progress int    // grows with every byte and object
	hold     *time.Timer
	grace    *time.Timer
}

const (
	runOpen     uint32 = iota
	runFIN             // the tail is the last object of the subgroup
	runFINGroup        // and of the group, as END_OF_GROUP said
	runReset           // nobody can continue it
	runEvicted
	runClosed // the track is
)

func (r *run) ended() bool { return r.state.Load() != runOpen }

// follows reports whether o, which is in the cache, is the next object after r's
// tail: its id is the next one, or what is between is known not to be in the
// subgroup, by o's own PRIOR_OBJECT_ID_GAP, because a stream had nothing between,
// or because it is in other subgroups.
func (r *run) follows(o *Object, prev uint64, had bool) bool {
	tail := r.tail.id()
	return !r.ended() && r.tail.complete() &&
		(o.id() == tail+1 || o.covers(tail+1) || had && prev <= tail || r.sg.elsewhere(tail, o))
}

func (r *run) push(o *Object) {
	o.run = r
	r.before = r.tail
	if r.tail == nil {
		r.head.Store(o)
	} else {
		r.tail.next.Store(o)
	}
	r.tail = o
	r.count++
	r.progress++
	r.sg.track.ring(&r.bell)
}

// unpush takes the tail off again, when its payload will never be whole.
func (r *run) unpush() {
	if r.before == nil {
		r.head.Store(nil)
		return // tail stays for its id
	}
	r.before.next.Store(nil)
	r.tail, r.before = r.before, nil
}

// holdFor reveals r after d, or later if the run before it has moved meanwhile.
func (r *run) holdFor(d time.Duration) {
	sg := r.sg
	moved := sg.movement()
	r.hold = time.AfterFunc(d, func() {
		sg.track.mu.Lock()
		defer sg.track.unlock()
		if !r.hidden || r.hold == nil {
			return
		}
		if sg.movement() != moved && sg.awaited(r) {
			r.holdFor(d)
			return
		}
		sg.reveal(r)
	})
}

// movement is a number that changes when a shown run of the subgroup grows.
func (sg *subgroup) movement() int {
	n := 0
	for _, r := range sg.open {
		if !r.hidden {
			n += r.progress
		}
	}
	return n
}

// graceFor ends r after d if nobody has taken it up again.
func (r *run) graceFor(d time.Duration) {
	sg := r.sg
	r.grace = time.AfterFunc(d, func() {
		sg.track.mu.Lock()
		defer sg.track.unlock()
		if r.grace == nil {
			return
		}
		r.grace = nil
		if !r.ended() && !sg.sustained(r) {
			sg.end(r, runReset)
		}
	})
}

// stop ends r's timers. A timer that has fired and waits for the lock finds
// its field empty.
func (r *run) stop() {
	if r.hold != nil {
		r.hold.Stop()
		r.hold = nil
	}
	if r.grace != nil {
		r.grace.Stop()
		r.grace = nil
	}
}
