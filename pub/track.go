package pub

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Track is one track of a broadcast: its running group and those before it that
// are still held. Its methods may be called concurrently.
type Track struct {
	priority moqt.Priority
	alias    uint64      // on the sessions of a bond
	stripes  func() bool // whether a group that begins is striped; may be nil

	mu      sync.Mutex // guards what follows
	groups  []*group   // ascending ids
	bytes   int64      // of all payloads held
	dropped bool       // something that was published is not held any more
	ended   bool
	changed chan struct{} // closed and replaced at each change
	feed    *feed         // of the bond that the track goes by, or nil
}

// Groups are held while there are no more than keepGroups, or while their
// successor began less than keepFor ago: for those who join, for senders that
// are not done with them, and for a subscriber that has waited for the broadcast
// and wants it from its beginning.
const (
	keepGroups = 3
	keepFor    = 5 * time.Second
)

// maxHeld bounds the bytes held of one track. The oldest groups go first; if
// one alone outgrows it, that loses its head, and who joins then waits for the
// next.
const maxHeld = 64 << 20

type group struct {
	id      uint64
	began   time.Time
	first   uint64 // id of objects[0]; more than 0 if the head was dropped
	objects []object
	bytes   int64
	closed  bool
	ended   time.Time // if closed
	striped bool      // each object is a subgroup of its own
}

// object is a payload, and when it was made. Ids are in sequence.
type object struct {
	payload []byte
	made    time.Time
	key     bool  // what follows may depend on it
	lane    *lane // that has taken it, of a striped group
}

func (g *group) close() {
	if !g.closed {
		g.closed, g.ended = true, time.Now()
	}
}

func newTrack(priority moqt.Priority) *Track {
	return &Track{priority: priority, changed: make(chan struct{})}
}

// Append publishes the next object: its group must be the running one, or a
// later one, which ends the running one. Object ids count from 0. The payload
// is kept and must not be changed.
func (t *Track) Append(groupID uint64, payload []byte) { t.add(groupID, payload, false) }

// add is Append for an object that others may depend on, or not. The first of a
// group always is one.
func (t *Track) add(groupID uint64, payload []byte, key bool) {
	t.mu.Lock()
	defer t.unlock()
	if t.ended {
		return
	}
	g := t.runningLocked()
	if g == nil || g.id != groupID {
		if g != nil {
			if groupID < g.id {
				panic("pub: group ids of a track must rise")
			}
			g.close()
		}
		g = &group{id: groupID, began: time.Now(), striped: t.stripes != nil && t.stripes()}
		t.groups = append(t.groups, g)
	}
	g.objects = append(g.objects, object{payload: payload, made: time.Now(), key: key || len(g.objects) == 0})
	g.bytes += int64(len(payload))
	t.bytes += int64(len(payload))
	t.trimLocked()
	t.changedLocked()
}

// trimLocked drops what is held no longer.
func (t *Track) trimLocked() {
	for len(t.groups) > 1 {
		old := len(t.groups) > keepGroups && time.Since(t.groups[1].began) >= keepFor
		if !old && t.bytes <= maxHeld {
			return
		}
		t.bytes -= t.groups[0].bytes
		t.groups = slices.Delete(t.groups, 0, 1)
		t.dropped = true
	}
	for g := t.groups[0]; t.bytes > maxHeld && len(g.objects) > 1; g.first++ {
		n := int64(len(g.objects[0].payload))
		g.objects[0] = object{}
		g.objects = g.objects[1:]
		g.bytes -= n
		t.bytes -= n
		t.dropped = true
	}
}

// CloseGroup ends the running group: no object will be added to it.
func (t *Track) CloseGroup() {
	t.mu.Lock()
	defer t.unlock()
	if g := t.runningLocked(); g != nil {
		g.close()
		t.changedLocked()
	}
}

func (t *Track) end() {
	t.mu.Lock()
	defer t.unlock()
	t.ended = true
	if g := t.runningLocked(); g != nil {
		g.close()
	}
	t.changedLocked()
}

// unlock frees mu and lets the bond have what is new.
func (t *Track) unlock() {
	f := t.feed
	t.mu.Unlock()
	if f != nil {
		f.push()
	}
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
	if g == nil {
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

// step is what a sender finds at its cursor.
type step struct {
	object // at the cursor, if found
	found  bool
	alone  bool          // each object of the group is a subgroup of its own
	done   bool          // the group has no more objects
	since  time.Time     // if done
	skip   bool          // the group is given up, the cursor is at another
	ended  bool          // so has the track
	wait   chan struct{} // closed when there may be more
}

// at returns what there is at c. It moves c to the next group if its own is not
// held, and to the newest if it has fallen behind.
func (t *Track) at(c *cursor) step {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.groups, func(g *group) bool { return g.id >= c.group })
	if i < 0 {
		return step{wait: t.changed, ended: t.ended}
	}
	if t.behindLocked(i) {
		i = len(t.groups) - 1
	}
	g := t.groups[i]
	if g.id == c.group && c.object < g.first && c.begun { // overtaken by the loss of the head
		*c = cursor{group: g.id + 1}
		return step{skip: true}
	}
	if g.id != c.group {
		skip := c.begun
		*c = cursor{group: g.id}
		if skip {
			return step{skip: true}
		}
	}
	c.object = max(c.object, g.first)
	switch n := c.object - g.first; {
	case n < uint64(len(g.objects)):
		return step{object: g.objects[n], found: true, alone: g.striped}
	case g.closed:
		return step{done: true, since: g.ended, alone: g.striped}
	}
	return step{wait: t.changed}
}

// A sender gives up the group it is at when there are groupsBehind newer ones
// and the first of them began lateAfter ago: the newest is worth more to those
// who watch. Short groups alone are no reason.
const (
	groupsBehind = 2
	lateAfter    = time.Second
)

func (t *Track) behindLocked(i int) bool {
	return len(t.groups)-1-i >= groupsBehind && time.Since(t.groups[i+1].began) >= lateAfter
}

// send publishes the track to a subscription, group by group, until either
// ends; of striped groups what the lane takes, or all if that is nil. It reports whether the track has ended and all of it was sent; the
// subscription is then still to be closed.
func (t *Track) send(ctx context.Context, w *transport.TrackWriter, l *lane) bool {
	start := w.State().Start
	c := cursor{group: start.Group, object: start.Object}
	var sg *transport.SubgroupWriter
	giveUp := func() {
		if sg != nil {
			sg.Cancel(moqt.StreamTooFarBehind)
			sg = nil
		}
	}
	defer giveUp()
	for {
		for o, at, found := t.orphan(l, c); found && w.Context().Err() == nil && ctx.Err() == nil; o, at, found = t.orphan(l, c) {
			t.sendAlone(ctx, w, at, o, moqt.StatusNormal)
		}
		s := t.at(&c)
		switch {
		case s.skip:
			giveUp()
		case s.found && s.alone, s.done && s.alone:
			at, status := moqt.Location{Group: c.group, Object: c.object}, moqt.StatusNormal
			if s.done {
				status = moqt.StatusEndOfGroup
			}
			if s.done || t.takes(l, c) {
				t.sendAlone(ctx, w, at, s.object, status)
			}
			if w.Context().Err() != nil || ctx.Err() != nil {
				return false
			}
			c.object, c.begun = c.object+1, true
			if s.done {
				c = cursor{group: c.group + 1}
			}
		case s.found:
			var err error
			if sg == nil {
				sg, err = w.OpenSubgroup(ctx, moqt.Subgroup{Group: c.group, Priority: t.priority, First: c.object == 0, EndOfGroup: true})
			}
			if err == nil {
				err = sg.WriteObject(moqt.Object{Location: moqt.Location{Group: c.group, Object: c.object}, Payload: s.payload, Received: s.made})
			}
			if err != nil {
				if w.Context().Err() != nil || ctx.Err() != nil {
					return false
				}
				// The subscriber has stopped this group's stream and no more,
				// or the group has exceeded a delivery timeout.
				sg = nil
				c = cursor{group: c.group + 1}
				continue
			}
			c.object++
			c.begun = true
		case s.done:
			if sg != nil {
				sg.Complete(s.since)
				sg.Close()
				sg = nil
			}
			c = cursor{group: c.group + 1}
		case s.ended:
			return true
		default:
			select {
			case <-s.wait:
			case <-w.Context().Done():
				return false
			case <-ctx.Done():
				return false
			}
		}
	}
}
