package pub

import (
	"context"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Track is one track of a broadcast: its running group and the two before.
type Track struct {
	priority moqt.Priority

	mu      sync.Mutex // guards what follows
	groups  []*group   // ascending ids, at most keepGroups
	ended   bool
	changed chan struct{} // closed and replaced at each change
}

// keepGroups is how many groups of a track are held: the running one for those
// who join, and those before for senders that are not done with them.
const keepGroups = 3

// maxHeld bounds the bytes held of one track. A group that outgrows it loses
// its head: who joins then waits for the next group.
const maxHeld = 64 << 20

type group struct {
	id      uint64
	first   uint64   // id of objects[0]; more than 0 if the head was dropped
	objects [][]byte // payloads, ids in sequence
	bytes   int64
	closed  bool
}

// Append publishes the next object: its group must be the running one, or a
// later one, which ends the running one. Object ids count from 0. The payload
// is kept.
func (t *Track) Append(groupID uint64, payload []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.runningLocked()
	if g == nil || g.id != groupID {
		if g != nil {
			g.closed = true
		}
		g = &group{id: groupID}
		t.groups = append(t.groups, g)
		if len(t.groups) > keepGroups {
			t.groups = slices.Delete(t.groups, 0, 1)
		}
	}
	g.objects = append(g.objects, payload)
	g.bytes += int64(len(payload))
	for g.bytes > maxHeld && len(g.objects) > 1 {
		g.bytes -= int64(len(g.objects[0]))
		g.objects = g.objects[1:]
		g.first++
	}
	t.changedLocked()
}

// CloseGroup ends the running group: no object will be added to it.
func (t *Track) CloseGroup() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.runningLocked(); g != nil && !g.closed {
		g.closed = true
		t.changedLocked()
	}
}

func (t *Track) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if g := t.runningLocked(); g != nil {
		g.closed = true
	}
	t.changedLocked()
}

func (t *Track) runningLocked() *group {
	if len(t.groups) == 0 {
		return nil
	}
	return t.groups[len(t.groups)-1]
}

func (t *Track) changedLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Largest returns the location of the last object published.
func (t *Track) Largest() (moqt.Location, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.runningLocked()
	if g == nil || len(g.objects) == 0 {
		return moqt.Location{}, false
	}
	return moqt.Location{Group: g.id, Object: g.first + uint64(len(g.objects)) - 1}, true
}

func (t *Track) properties() moqt.Properties {
	return moqt.Properties{{Type: moqt.PropDefaultPriority, Value: uint64(t.priority)}}
}

// cursor is a place in a track: the object that goes next.
type cursor struct {
	group  uint64
	object uint64
	begun  bool // something of the group was sent
}

// step is what a cursor finds.
type step struct {
	payload []byte // of the object at the cursor, if found
	found   bool
	done    bool          // the group has no more objects
	skip    bool          // the cursor's group is too old: go on with another
	ended   bool          // so has the track
	wait    chan struct{} // closed when there may be more
}

// groupsBehind is how many newer groups there may be before a sender gives up
// the group it is sending: the newest is worth more to those who watch.
const groupsBehind = 2

// at returns what there is at c, and moves c to the next group where its own is
// over or gone.
func (t *Track) at(c *cursor) step {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.groups, func(g *group) bool { return g.id >= c.group })
	if i < 0 {
		return step{wait: t.changed, ended: t.ended}
	}
	g := t.groups[i]
	newer := len(t.groups) - 1 - i
	if g.id != c.group || newer >= groupsBehind {
		if newer >= groupsBehind { // jump to the newest
			g = t.groups[len(t.groups)-1]
		}
		begun := c.begun
		*c = cursor{group: g.id, object: 0}
		if begun {
			return step{skip: true}
		}
	}
	if c.object < g.first {
		if c.begun {
			*c = cursor{group: g.id + 1}
			return step{skip: true}
		}
		c.object = g.first
	}
	if n := c.object - g.first; n < uint64(len(g.objects)) {
		return step{payload: g.objects[n], found: true}
	}
	if g.closed {
		return step{done: true}
	}
	return step{wait: t.changed}
}

// send publishes the track to a subscription, group by group, until either
// ends.
func (t *Track) send(ctx context.Context, w *transport.TrackWriter) {
	start := w.State().Start
	if l, ok := t.Largest(); ok && start.Group < l.Group {
		start = moqt.Location{Group: l.Group} // the past is for FETCH
	}
	c := cursor{group: start.Group, object: start.Object}
	var sg *transport.SubgroupWriter
	drop := func() {
		if sg != nil {
			sg.Cancel(moqt.StreamTooFarBehind)
			sg = nil
		}
	}
	defer drop()
	for {
		s := t.at(&c)
		switch {
		case s.skip:
			drop()
		case s.found:
			if sg == nil {
				var err error
				sg, err = w.OpenSubgroup(ctx, moqt.Subgroup{Group: c.group, Priority: t.priority, First: c.object == 0, EndOfGroup: true})
				if err != nil {
					return
				}
			}
			o := moqt.Object{Location: moqt.Location{Group: c.group, Object: c.object}, Payload: s.payload}
			if err := sg.WriteObject(o); err != nil {
				if w.Context().Err() != nil || ctx.Err() != nil {
					return
				}
				// The subscriber has stopped this group's stream and no more.
				sg = nil
				c = cursor{group: c.group + 1}
				continue
			}
			c.object++
			c.begun = true
		case s.done:
			if sg != nil {
				sg.Close()
				sg = nil
			}
			c = cursor{group: c.group + 1}
		case s.ended:
			w.Close()
			return
		default:
			select {
			case <-s.wait:
			case <-w.Context().Done():
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// serveFetch answers with what is held of the range.
func (t *Track) serveFetch(req *transport.FetchRequest) {
	t.mu.Lock()
	type held struct {
		at      moqt.Location
		payload []byte
	}
	var objects []held
	var largest moqt.Location
	missing := true
	for _, g := range t.groups {
		if g.id == req.Range.Start.Group && g.first <= req.Range.Start.Object {
			missing = false
		}
		for i, p := range g.objects {
			at := moqt.Location{Group: g.id, Object: g.first + uint64(i)}
			largest = at
			if !at.Less(req.Range.Start) && !req.Range.End.Less(at) {
				objects = append(objects, held{at, p})
			}
		}
	}
	t.mu.Unlock()
	end := req.Range.End
	if largest.Less(end) {
		end = largest
	}
	if len(objects) == 0 || end.Less(req.Range.Start) {
		req.RejectRetry(moqt.RequestInvalidRange, "the publisher holds nothing of the range", 0)
		return
	}
	if req.Order == moqt.Descending {
		slices.SortStableFunc(objects, func(a, b held) int {
			if a.at.Group != b.at.Group {
				return moqt.Location{Group: b.at.Group}.Compare(moqt.Location{Group: a.at.Group})
			}
			return a.at.Compare(b.at)
		})
	}
	w, err := req.Accept(transport.FetchInfo{End: end, Properties: t.properties()})
	if err != nil {
		return
	}
	for i, o := range objects {
		if i == 0 && missing && req.Order == moqt.Ascending && req.Range.Start.Less(o.at) {
			before := moqt.Location{Group: o.at.Group, Object: o.at.Object - 1}
			if o.at.Object == 0 {
				before = moqt.Location{Group: o.at.Group - 1, Object: moqt.WholeGroup}
			}
			if w.WriteUnknown(before) != nil {
				return
			}
		}
		if err := w.WriteObject(moqt.Object{Location: o.at, Priority: t.priority, Payload: o.payload}); err != nil {
			w.Cancel(moqt.StreamInternalError)
			return
		}
	}
	w.Close()
}
