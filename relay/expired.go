package relay

import (
	"time"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport/moqt"
)

// What a publisher lets caches serve for some time only is not sent after that. To
// who fetches it, it is as what was never held: a publisher is asked for it, and
// what that brings counts as received anew.

// expired reports whether an object has been held for longer than its publisher
// lets caches serve it. ("MAX CACHE DURATION")
func (t *track) expired(o *cache.Object) bool {
	most := time.Duration(t.maxCache.Load())
	return most > 0 && time.Since(o.Received()) > most
}

// expiredIn reports whether an object between start and end has expired.
func (t *track) expiredIn(start, end moqt.Location) bool {
	if t.maxCache.Load() == 0 {
		return false
	}
	r := t.log.Range(start, end, moqt.Ascending)
	for step, ok := r.Next(); ok; step, ok = r.Next() {
		if step.Object != nil && t.expired(step.Object) {
			return true
		}
	}
	return false
}

// expiredRun returns the range of the objects of one group that have expired, from
// first on, and the step of r after them.
func (t *track) expiredRun(r *cache.Range, first *cache.Object) (gap cache.Gap, step cache.Step, ok bool) {
	gap = cache.Gap{From: first.Meta.Location, To: first.Meta.Location}
	for step, ok = r.Next(); ok; step, ok = r.Next() {
		if step.Object == nil || step.Object.Meta.Group != gap.To.Group || !t.expired(step.Object) {
			break
		}
		gap.To = step.Object.Meta.Location
	}
	return gap, step, ok
}
