package cache

import (
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// subgroup is what the sources agree on of one subgroup, and the runs its
// objects are in. It is guarded by Track.mu.
type subgroup struct {
	track  *Track
	group  *group
	head   moqt.Subgroup // First is not used
	source uint64        // who brought the header first

	writers       []*Writer // open streams that have brought an object
	brought       []uint64  // sources that have ever brought an object
	open          []*run    // runs that may be continued, and all hidden ones
	objects       int       // in the cache, of this subgroup
	lowest        uint64    // object id ever seen
	highest       uint64
	highestSource uint64

	final       uint64 // the last object id of the subgroup
	hasFinal    bool
	finalSource uint64
}

// place puts a new object into the run that it continues, or into a new one.
// If had, prev is the object before it on the same stream.
func (sg *subgroup) place(o *Object, w *Writer, prev uint64, had bool) {
	if r := sg.below(o.id()); r != nil && r.follows(o, prev, had) {
		r.push(o)
		if r.hidden && r.count >= holdObjects {
			sg.reveal(r)
		}
		sg.splice(r)
		return
	}
	if len(sg.open) >= maxOpenRuns {
		// The shortest goes: the one that matters to subscribers has grown.
		sg.abandon(slices.MinFunc(sg.open, func(p, q *run) int { return p.count - q.count }))
	}
	r := &run{sg: sg, first: !had && w.beginsWith(o)}
	r.push(o)
	sg.open = append(sg.open, r)
	o.cost += runCost // to go with its first object
	sg.track.account(sg.group, runCost)
	if sg.awaited(r) {
		// Another source is on its way to the missing objects. To show these
		// now would end every subscriber's stream for nothing.
		r.hidden = true
		r.holdFor(sg.track.opts.Hold)
		return
	}
	sg.announce(r)
}

// below returns the open run with the largest tail below id: the only one that
// an object id can continue.
func (sg *subgroup) below(id uint64) *run {
	var found *run
	for _, r := range sg.open {
		if tail := r.tail.id(); tail < id && (found == nil || tail > found.tail.id()) {
			found = r
		}
	}
	return found
}

// awaited reports whether the gap before the hidden or new run r may still be
// filled.
func (sg *subgroup) awaited(r *run) bool {
	for _, q := range sg.open {
		if q != r && q.tail.id() < r.head.Load().id() && !q.ended() && (q.grace != nil || sg.sustained(q)) {
			return true
		}
	}
	return false
}

// sustained reports whether a stream is open that can still bring what follows
// r: one that has not passed r's last object.
func (sg *subgroup) sustained(r *run) bool {
	for _, w := range sg.writers {
		if w.at <= r.tail.id() {
			return true
		}
	}
	return false
}

// expected reports whether there is a source that has not brought anything of
// this subgroup yet.
func (sg *subgroup) expected() bool {
	return slices.ContainsFunc(sg.track.sources, func(s *Source) bool { return !slices.Contains(sg.brought, s.id) })
}

// splice appends to r the hidden runs that turn out to follow it.
func (sg *subgroup) splice(r *run) {
	for again := true; again && r.tail.complete() && !r.ended(); {
		again = false
		for _, q := range sg.open {
			if first := q.head.Load(); q.hidden && q != r && first.id() > r.tail.id() &&
				(first.id() == r.tail.id()+1 || first.covers(r.tail.id()+1)) {
				sg.join(r, q)
				again = true
				break
			}
		}
	}
}

// join appends hidden run q to r, which it follows.
func (sg *subgroup) join(r, q *run) {
	q.stop()
	sg.drop(q)
	for o := q.head.Load(); o != nil; o = o.next.Load() {
		o.run = r
	}
	r.before, r.count = q.before, r.count+q.count
	if r.before == nil {
		r.before = r.tail
	}
	r.tail.next.Store(q.head.Load())
	r.tail = q.tail
	r.progress++
	sg.track.ring(&r.bell)
	if q.ended() { // only ever by FIN, which asks for the start that it has now
		sg.finish(r, q.state.Load() == runFINGroup)
	}
}

// passed looks again at the runs that a stream no longer sustains after it went
// on from object prev to its present one.
func (sg *subgroup) passed(w *Writer, prev uint64) {
	var buf [maxOpenRuns]*run
	for _, r := range append(buf[:0], sg.open...) {
		if tail := r.tail.id(); prev <= tail && tail < w.at {
			sg.reconsider(r)
		}
	}
}

// leave takes an ended stream away.
func (sg *subgroup) leave(w *Writer) {
	if i := slices.Index(sg.writers, w); i >= 0 {
		sg.writers = slices.Delete(sg.writers, i, i+1)
	}
	var buf [maxOpenRuns]*run
	for _, r := range append(buf[:0], sg.open...) {
		if w.at <= r.tail.id() {
			sg.reconsider(r)
		}
	}
	sg.forget()
}

// reconsider ends r if nobody can continue it. Hidden runs are left to the
// runs before them.
func (sg *subgroup) reconsider(r *run) {
	switch {
	case r.ended() || r.hidden || sg.sustained(r):
	case sg.expected():
		if r.grace == nil {
			r.graceFor(sg.track.opts.Grace)
		}
	default:
		sg.end(r, runReset)
	}
}

// finish ends r well. Its tail is the last object of the subgroup; sealed says
// that this is the last of the group too.
func (sg *subgroup) finish(r *run, sealed bool) {
	// What was published before this run and is not joined to it makes FIN a
	// lie for those subscribers who asked for it: see [Cursor.Next].
	low := r.head.Load()
	for low.id() > sg.lowest {
		o := sg.before(low)
		if o == nil || !o.complete() {
			break
		}
		low = o
		if o.run != nil {
			low = o.run.head.Load()
		}
	}
	if low.id() > sg.lowest {
		r.finFrom.Store(low.id())
	}
	state := runFIN
	if sealed {
		state = runFINGroup
	}
	sg.end(r, state)
}

// elsewhere reports whether all ids between tail and o are known not to be in
// the subgroup, because they are in others or do not exist.
func (sg *subgroup) elsewhere(tail uint64, o *Object) bool {
	before := sg.before(o)
	return before != nil && before.id() == tail
}

// maxBetween is how many objects of other subgroups are looked through for the
// one before. It bounds what a publisher of scattered objects can cost.
const maxBetween = 64

// before returns the object before o in the subgroup, or nil if it is not known:
// objects of other subgroups and gaps may be between, but no id of which nobody
// knows where it belongs.
func (sg *subgroup) before(o *Object) *Object {
	i, _ := sg.group.find(o.id())
	for low := max(0, i-maxBetween); i > low && o.gap < o.id(); {
		id := o.id() - 1 - o.gap
		i--
		if o = sg.group.index[i]; o.id() != id {
			return nil
		}
		if !o.Meta.Datagram && o.Meta.Subgroup == sg.head.ID {
			return o
		}
	}
	return nil
}

// end ends r for all who read it.
func (sg *subgroup) end(r *run, state uint32) {
	if state == runReset && !r.tail.complete() {
		sg.track.discard(sg.group, r.tail)
		r.unpush()
	}
	if !r.ended() {
		r.endedAt = time.Now()
	}
	r.state.Store(state)
	sg.track.ring(&r.bell)
	if r.hidden {
		return
	}
	r.stop()
	sg.drop(r)
	sg.review()
	sg.forget()
}

// review reveals the hidden runs that no longer have a gap to wait for.
func (sg *subgroup) review() {
	var buf [maxOpenRuns]*run
	for _, q := range append(buf[:0], sg.open...) {
		if q.hidden && !sg.awaited(q) {
			sg.reveal(q)
		}
	}
}

// reveal shows a hidden run to the readers.
func (sg *subgroup) reveal(r *run) {
	if !r.hidden {
		return
	}
	r.hidden = false
	r.stop()
	sg.announce(r)
	if r.ended() {
		sg.drop(r)
		return
	}
	sg.reconsider(r)
}

// abandon makes room among the open runs.
func (sg *subgroup) abandon(r *run) {
	sg.reveal(r)
	if !r.ended() {
		sg.end(r, runReset)
	}
}

func (sg *subgroup) announce(r *run) {
	t := sg.track
	t.seq++
	r.seq = t.seq
	sg.group.runs = append(sg.group.runs, r)
	t.runs = append(t.runs, r)
	t.ring(&t.changed)
}

// drop takes r out of the open runs.
func (sg *subgroup) drop(r *run) {
	if i := slices.Index(sg.open, r); i >= 0 {
		sg.open = slices.Delete(sg.open, i, i+1)
	}
}

// forget removes the subgroup if nothing is left of it.
func (sg *subgroup) forget() {
	if sg.objects == 0 && len(sg.writers) == 0 && len(sg.open) == 0 && sg.group.subs[sg.head.ID] == sg {
		delete(sg.group.subs, sg.head.ID)
		sg.track.account(sg.group, -subgroupCost)
	}
}

// joinedBy adds an open stream that brings objects of the subgroup.
func (sg *subgroup) joinedBy(w *Writer) {
	sg.writers = append(sg.writers, w)
	if slices.Contains(sg.brought, w.source.id) {
		return
	}
	// Sources that are gone cannot be expected either: their ids make room.
	sg.brought = slices.DeleteFunc(sg.brought, func(id uint64) bool { return !sg.track.live(id) })
	sg.brought = append(sg.brought, w.source.id)
}
