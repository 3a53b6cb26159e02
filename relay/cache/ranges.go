package cache

import "github.com/tributary-live/tributary/transport/moqt"

// Gap is a range of locations, both ends included, of which the cache does not
// know whether there are objects.
type Gap struct {
	From, To moqt.Location
	// Tail says that the gap is the end of a group of which objects are held:
	// there may be nothing in it, but nobody has said so.
	Tail bool
}

// maxGaps bounds what Gaps returns.
const maxGaps = 64

// Gaps returns what the cache does not know between from and to, both
// included, in ascending order. If to is beyond the largest location seen, that
// counts instead. The last gap may also span what is known, if there are many.
//
// With no gaps a FETCH of the range can be answered from the cache.
func (t *Track) Gaps(from, to moqt.Location) []Gap {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gaps []Gap
	win, ok := t.window(from, to)
	for ok {
		var step Step
		if step, ok = t.next(&win); !ok || step.Object != nil {
			continue
		}
		gap := *step.Gap
		switch n := len(gaps); {
		case n > 0 && (n == maxGaps || adjacent(gaps[n-1].To, gap.From)):
			gaps[n-1].To = gap.To
			gaps[n-1].Tail = false
		default:
			gaps = append(gaps, gap)
		}
	}
	return gaps
}

// adjacent reports whether no location is between l and m.
func adjacent(l, m moqt.Location) bool {
	return l.Group == m.Group && l.Object+1 == m.Object || l.Group+1 == m.Group && l.Object == lastID && m.Object == 0
}

const lastID = ^uint64(0)

// Step is an object of a range, or a gap in it. One of the two is not nil.
type Step struct {
	Object *Object
	Gap    *Gap
}

// Range walks what the cache has of a range of locations. It holds no objects:
// what is evicted meanwhile is a gap when the walk gets there. Its methods must
// not be called concurrently.
type Range struct {
	track    *Track
	from, to moqt.Location
	desc     bool
	win      window
	ok       bool // there is more
}

// Range returns the objects and gaps between from and to, both included. In
// order [moqt.Descending] groups come newest first, otherwise oldest first;
// objects always ascend within a group. If to is beyond the largest location
// seen, that counts instead. An object's payload may still be arriving.
func (t *Track) Range(from, to moqt.Location, order moqt.GroupOrder) *Range {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Range{track: t, from: from, to: to, desc: order == moqt.Descending}
	r.win, r.ok = t.window(from, to)
	r.to = r.win.to
	if r.ok && r.desc {
		r.win = newWindow(r.groupStart(r.to.Group), r.to)
	}
	return r
}

// Next returns the next object or gap, and false at the end. It does not block.
func (r *Range) Next() (Step, bool) {
	t := r.track
	t.mu.Lock()
	defer t.mu.Unlock()
	for r.ok {
		lowest := r.win.lowest
		if step, ok := t.next(&r.win); ok {
			return step, true
		}
		r.ok = r.desc && r.from.Less(lowest)
		if r.ok {
			r.below(lowest)
		}
	}
	return Step{}, false
}

// below moves the window of a descending walk to the next lower group that is
// held, or to what is missing above that one.
func (r *Range) below(lowest moqt.Location) {
	upper := lowest.Group - 1 // lowest is the start of a group above from's
	i, g := r.track.search(upper)
	first := r.groupStart(upper)
	switch {
	case g != nil:
	case i > 0 && r.track.groups[i-1].id >= r.from.Group:
		first = r.groupStart(r.track.groups[i-1].id + 1)
	default:
		first = r.from
	}
	r.win = newWindow(first, moqt.Location{Group: upper, Object: lastID})
}

// groupStart returns the start of a group, or of the range if that is later.
func (r *Range) groupStart(group uint64) moqt.Location {
	start := moqt.Location{Group: group}
	if start.Less(r.from) {
		return r.from
	}
	return start
}

// window is a range that is walked in ascending order.
type window struct {
	lowest   moqt.Location // where it began
	from, to moqt.Location // what is left
	empty    bool
}

func newWindow(from, to moqt.Location) window {
	return window{lowest: from, from: from, to: to, empty: to.Less(from)}
}

// window returns the part of a range that may have objects.
func (t *Track) window(from, to moqt.Location) (window, bool) {
	if !t.any {
		return window{}, false
	}
	if t.largest.Less(to) {
		to = t.largest
	}
	w := newWindow(from, to)
	return w, !w.empty
}

// next takes the next object or gap off w.
func (t *Track) next(w *window) (Step, bool) {
	for !w.empty {
		at := w.from
		i, g := t.search(at.Group)
		if g == nil {
			upto := w.to
			if i < len(t.groups) {
				above := t.groups[i]
				upto = moqt.Location{Group: above.id - 1, Object: lastID}
				if above.covers(at.Group) {
					w.pass(upto)
					continue
				}
				upto.Group -= above.gap
			}
			if step, ok := t.gap(w, upto, false); ok {
				return step, true
			}
			continue
		}
		j, o := g.find(at.Object)
		switch {
		case o != nil:
			w.pass(o.Meta.Location)
			return Step{Object: o}, true
		case j < len(g.index) && g.index[j].covers(at.Object):
			w.pass(moqt.Location{Group: g.id, Object: g.index[j].id() - 1})
		case j < len(g.index):
			above := g.index[j]
			if step, ok := t.gap(w, moqt.Location{Group: g.id, Object: above.id() - above.gap - 1}, false); ok {
				return step, true
			}
		case g.hasFinal && at.Object > g.final:
			w.pass(moqt.Location{Group: g.id, Object: lastID})
		default:
			if step, ok := t.gap(w, moqt.Location{Group: g.id, Object: lastID}, j > 0); ok {
				return step, true
			}
		}
	}
	return Step{}, false
}

// gap takes what nothing is held of, up to upto, off w. It returns a gap, or
// false if the beginning of that is known to be empty.
func (t *Track) gap(w *window, upto moqt.Location, tail bool) (Step, bool) {
	edge, known := t.knownFrom(w.from)
	switch {
	case known && edge.Less(upto):
		w.pass(edge)
		return Step{}, false
	case known:
		w.pass(upto)
		return Step{}, false
	case !upto.Less(edge):
		upto, tail = edge.Prev(), false
	}
	return w.gap(upto, tail), true
}

// gap takes a gap off the window that reaches to upto, or to the window's end.
func (w *window) gap(upto moqt.Location, tail bool) Step {
	if w.to.Less(upto) {
		upto = w.to
	}
	g := &Gap{From: w.from, To: upto, Tail: tail}
	w.pass(upto)
	return Step{Gap: g}
}

// pass takes everything up to and including upto off the window.
func (w *window) pass(upto moqt.Location) {
	switch {
	case !upto.Less(w.to):
		w.empty = true
	case upto.Object == lastID:
		w.from = moqt.Location{Group: upto.Group + 1}
	default:
		w.from = moqt.Location{Group: upto.Group, Object: upto.Object + 1}
	}
}
