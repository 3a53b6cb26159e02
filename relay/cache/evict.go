package cache

import (
	"fmt"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Groups leave in the order of their ids, lowest first, so that what is kept
// is everything from one location on, the floor. What arrives below the floor
// is dropped: an old group that has left cannot grow again.

// shrink evicts what is over a bound. It is called after every write.
func (t *Track) shrink(now time.Time) {
	for len(t.groups) > keepGroups {
		g := t.groups[0]
		owing := t.opts.Budget != nil && t.debt >= g.bytes
		if !owing && len(t.groups) <= t.opts.MaxGroups && t.bytes <= t.opts.MaxBytes && now.Sub(g.since) < t.opts.MaxAge {
			break
		}
		t.evict(g, runEvicted)
	}
	// With nothing to pay with, an old debt would fall on the next groups.
	t.debt = min(t.debt, t.bytes)
	if t.bytes > 2*t.opts.MaxBytes {
		t.squeeze(t.bytes-2*t.opts.MaxBytes, 0)
	}
	if len(t.groups) > keepGroups && t.age == nil && !t.closed {
		t.age = time.AfterFunc(t.groups[0].since.Add(t.opts.MaxAge).Sub(now), t.aged)
	}
}

// LimitAge lowers MaxAge to d, if that is less: for a track that must not be
// kept for longer.
func (t *Track) LimitAge(d time.Duration) {
	t.mu.Lock()
	defer t.unlock()
	t.opts.MaxAge = min(t.opts.MaxAge, d)
	if t.age != nil {
		t.age.Stop()
		t.age = nil
	}
	if !t.closed {
		t.shrink(time.Now())
	}
}

// aged evicts what no write has, when the publisher is silent.
func (t *Track) aged() {
	t.mu.Lock()
	defer t.unlock()
	t.age = nil
	if !t.closed {
		t.shrink(time.Now())
	}
}

// reserve makes sure that n bytes more of group fit into the Budget. What is
// past makes room for itself only among what is older.
func (t *Track) reserve(n int64, group uint64, past bool) error {
	b := t.opts.Budget
	if b == nil || b.over(n) <= 0 {
		return nil
	}
	for len(t.groups) > keepGroups && b.over(n) > 0 && (!past || t.groups[0].id < group) {
		t.evict(t.groups[0], runEvicted)
	}
	if over := b.over(n); over > 0 && !past {
		t.squeeze(over, group)
	}
	if b.over(n) > 0 {
		return fmt.Errorf("cache: %d bytes more than the %d of all tracks: %w", n, b.capacity, ErrLimit)
	}
	return nil
}

// squeeze frees n bytes or more, if need be from what is otherwise kept: all
// groups but the newest, which group may be about to become, then the older
// part of that.
func (t *Track) squeeze(n int64, group uint64) {
	target := t.bytes - n
	for len(t.groups) > 0 && t.bytes > target && (len(t.groups) > 1 || t.groups[0].id < group) {
		t.evict(t.groups[0], runEvicted)
	}
	if len(t.groups) == 1 && t.bytes > target {
		g := t.groups[0]
		// A quarter more than needed, so that a group which sits at the bound
		// pays for trimming now and then and not with every object.
		target -= g.bytes / 4
		keep := 0
		for left := t.bytes; keep < len(g.index)-1 && left > target; keep++ {
			left -= g.index[keep].cost
		}
		t.trim(g, keep)
	}
}

// outgrown makes room for another object in g, which has as many as it may.
func (t *Track) outgrown(g *group) {
	for t.groups[0] != g {
		t.evict(t.groups[0], runEvicted)
	}
	t.trim(g, len(g.index)/4)
}

// evict removes g, the lowest group, from the cache.
func (t *Track) evict(g *group, state uint32) {
	for _, r := range g.runs {
		t.endEvicted(r, state)
	}
	for _, sg := range g.subs {
		for _, r := range slices.Clone(sg.open) { // the hidden ones
			t.endEvicted(r, state)
		}
		// The streams go on below the floor.
		sg.open, sg.writers = nil, nil
	}
	for _, o := range g.index {
		t.remove(o)
	}
	t.groups = slices.Delete(t.groups, 0, 1)
	t.runs = slices.DeleteFunc(t.runs, func(r *run) bool { return r.sg.group == g })
	last := moqt.Location{Group: g.id, Object: lastID}
	t.unknow(last, true)
	t.raise(last.Next())
	t.debt = max(0, t.debt-g.bytes)
	t.account(g, -g.bytes)
	g.index, g.runs, g.subs = nil, nil, nil
}

// raise lifts the floor. It stays where it is if an old group leaves that was
// fetched after it had left before.
func (t *Track) raise(to moqt.Location) {
	if t.floor.Less(to) {
		t.floor = to
	}
}

// trim removes the lowest n objects of g, the lowest group, but not its last.
func (t *Track) trim(g *group, n int) {
	n = min(n, len(g.index)-1)
	if n <= 0 {
		return
	}
	out := g.index[:n]
	g.index = slices.Clone(g.index[n:])
	lowest := g.index[0].Meta.Location
	t.unknow(out[n-1].Meta.Location, true)
	t.raise(lowest)
	ended := false
	for _, o := range out {
		// o has the lowest id in the group, so it is the head of its run.
		if r := o.run; r != nil {
			next := o.next.Load()
			if next == nil {
				// The last of a run. Its subgroup goes on in a new one.
				t.endEvicted(r, runEvicted)
				r.sg.review()
				ended = true
			} else {
				r.head.Store(next)
				r.trimmed, r.first = next.id(), false
				r.count--
				if r.before == o {
					r.before = nil
				}
				t.ring(&r.bell)
			}
			r.sg.objects--
			// Not a hole: who asked for these has read them or is told of it.
			r.sg.lowest = max(r.sg.lowest, lowest.Object)
			r.sg.forget()
		}
		t.account(g, -o.cost)
		t.debt = max(0, t.debt-o.cost)
		t.remove(o)
	}
	if ended {
		evicted := func(r *run) bool { return r.state.Load() == runEvicted }
		g.runs = slices.DeleteFunc(g.runs, evicted)
		t.runs = slices.DeleteFunc(t.runs, evicted)
	}
}

// endEvicted ends r without a look at what might continue it.
func (t *Track) endEvicted(r *run, state uint32) {
	r.stop()
	r.state.Store(state)
	r.head.Store(lost)
	r.sg.drop(r)
	// A reader that stands somewhere in the run must not keep its end alive.
	r.tail, r.before = nil, nil
	t.ring(&r.bell)
}

// remove cuts o off from those who read it. Who stands on it keeps it, but
// does not hold on to anything else.
func (t *Track) remove(o *Object) {
	o.gone = true
	o.next.Store(lost)
	if !o.complete() {
		t.fail(o, partEvicted)
	}
	if len(t.backlog) > 0 {
		if at := &t.backlog[o.seq%datagramBacklog]; *at == o {
			*at = nil
		}
	}
	t.stats.Evicted++
}

// fail ends the payload of o short of its size.
func (t *Track) fail(o *Object, state uint32) {
	o.part.state.Store(state)
	t.ring(&o.part.grown)
}

// discard takes an object out whose payload nobody will complete. A source may
// still bring it whole, on another stream.
func (t *Track) discard(g *group, o *Object) {
	t.fail(o, partReset)
	if i, at := g.find(o.id()); at == o {
		g.index = slices.Delete(g.index, i, i+1)
	}
	o.gone = true
	t.unknow(o.Meta.Location, false)
	o.run.sg.objects--
	t.account(g, -o.cost)
	t.stats.Evicted++
}
