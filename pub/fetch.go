package pub

import (
	"slices"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// held is an object as a fetch finds it.
type held struct {
	moqt.Location
	subgroup uint64
	payload  []byte
}

// heldIn returns the objects held of a range, in order, the last location of
// the track, and whether something of the range may have been dropped before
// the first of them.
func (t *Track) heldIn(r transport.Range) (objects []held, largest moqt.Location, dropped bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, g := range t.groups {
		if i == 0 {
			dropped = t.dropped && r.Start.Less(moqt.Location{Group: g.id, Object: g.first})
		}
		for n, o := range g.objects {
			at := moqt.Location{Group: g.id, Object: g.first + uint64(n)}
			largest = at
			if !at.Less(r.Start) && !r.End.Less(at) {
				h := held{Location: at, payload: o.payload}
				if g.striped {
					h.subgroup = at.Object
				}
				objects = append(objects, h)
			}
		}
	}
	return objects, largest, dropped
}

// serveFetch answers with what is held of the range.
func (t *Track) serveFetch(req *transport.FetchRequest) {
	objects, largest, dropped := t.heldIn(req.Range)
	if len(objects) == 0 {
		req.RejectRetry(moqt.RequestInvalidRange, "the publisher holds nothing of the range", 0)
		return
	}
	end := req.Range.End
	if largest.Less(end) {
		end = largest
	}
	w, err := req.Accept(transport.FetchInfo{End: end, Properties: t.properties()})
	if err != nil {
		return
	}
	if req.Order == moqt.Descending { // by group; within a group objects always ascend
		slices.SortStableFunc(objects, func(a, b held) int {
			return moqt.Location{Group: b.Group}.Compare(moqt.Location{Group: a.Group})
		})
	} else if dropped && w.WriteUnknown(before(objects[0].Location)) != nil {
		return
	}
	for _, o := range objects {
		if err := w.WriteObject(moqt.Object{Location: o.Location, Subgroup: o.subgroup, Priority: t.priority, Payload: o.payload}); err != nil {
			w.Cancel(moqt.StreamInternalError)
			return
		}
	}
	w.Close()
}

// before returns the location before l, which is not the first of all.
func before(l moqt.Location) moqt.Location {
	if l.Object > 0 {
		return moqt.Location{Group: l.Group, Object: l.Object - 1}
	}
	return moqt.Location{Group: l.Group - 1, Object: moqt.WholeGroup}
}
