package bond

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Object is an object that is to go by the bond.
type Object struct {
	Alias      uint64 // of the track, on every session of the bond
	Group      uint64
	Subgroup   uint64
	ID         uint64
	Priority   moqt.Priority
	Properties []byte // as on the wire, without their length
	Payload    []byte // is kept, and must not be changed
	Class      Class
	// Lasting objects are sent whenever there is a path again. Others are not, when
	// they are older than the deadline.
	Lasting bool
}

// object is an Object until it has arrived.
type object struct {
	header  bond.Header
	payload []byte
	place   place
	begun   bool // something of it was sent
}

// place names a subgroup.
type place struct{ alias, group, subgroup uint64 }

// subgroup is what is known of one that was begun, until it has ended and all of
// it has arrived or was given up.
type subgroup struct {
	priority moqt.Priority
	objects  int    // that are not over
	last     uint64 // id of the object that was added last
	any      bool   // last is one
	over     bool   // nothing more is to be sent but the end
	ended    bool   // the owner adds nothing more
}

// Send adds an object. Those of a subgroup must be added in the order of their
// ids. It does not block: what does not fit is shed later, and told by
// [Stats.Shed]. One that is larger than the relay takes is shed at once.
func (b *Bond) Send(o Object) {
	now := time.Now()
	b.mu.Lock()
	defer b.unlock()
	at := place{o.Alias, o.Group, o.Subgroup}
	sg := b.streams[at]
	if sg == nil {
		sg = &subgroup{priority: o.Priority}
		b.streams[at] = sg
	}
	if sg.over {
		b.past.Shed += int64(len(o.Payload))
		return
	}
	h := bond.Header{Object: bond.Object{Alias: o.Alias, Group: o.Group, Object: o.ID}, Subgroup: o.Subgroup, Priority: o.Priority, Size: int64(len(o.Payload)), Properties: o.Properties}
	b.addLocked(sg, &object{header: h, payload: o.Payload, place: at}, o.Class, o.Lasting, now)
	if h.Size > b.largest {
		b.log.Warn("object too large", "err", fmt.Errorf("object %d/%d has %d bytes, and the relay takes %d of one", o.Group, o.ID, h.Size, b.largest))
		b.sched.GiveUp(h.Object)
		b.settleLocked(now)
	}
}

// EndSubgroup tells that no object follows in a subgroup, which is the last of its
// group. next is the id that none has; or, if the rest is not to be sent, whole is
// false and next is the first that is not.
func (b *Bond) EndSubgroup(alias, group, id, next uint64, whole bool) {
	b.mu.Lock()
	defer b.unlock()
	at := place{alias, group, id}
	sg := b.streams[at]
	if sg == nil {
		return
	}
	sg.ended = true
	if !sg.over {
		b.endLocked(at, sg, next, whole, time.Now())
	}
	b.releaseLocked(at, sg)
}

// releaseLocked forgets a subgroup of which nothing is left to do.
func (b *Bond) releaseLocked(at place, sg *subgroup) {
	if sg.ended && sg.objects == 0 {
		delete(b.streams, at)
	}
}

// endLocked sends the end of a subgroup. well tells that all of it was sent.
func (b *Bond) endLocked(at place, sg *subgroup, next uint64, well bool, now time.Time) {
	sg.over = true
	if !sg.any {
		return // nobody knows of it
	}
	h := bond.Header{Object: bond.Object{Alias: at.alias, Group: at.group, Object: next}, Subgroup: at.subgroup, Priority: sg.priority, End: true, Last: well}
	b.addLocked(sg, &object{header: h, place: at}, Vital, false, now)
}

func (b *Bond) addLocked(sg *subgroup, o *object, class Class, lasting bool, now time.Time) {
	id := o.header.Object.Object
	switch {
	case sg.any:
		o.header.Previous = id - sg.last
	case id > 0:
		o.header.Previous, o.header.Begins = 1, true
	}
	sg.last, sg.any = id, true
	b.objects[o.header.Object] = o
	sg.objects++
	u := Unit{Object: o.header.Object, Size: o.header.Size, Class: class, Made: now, Deadline: now.Add(b.cfg.Deadline)}
	if lasting {
		u.Deadline = time.Time{}
	}
	b.sched.Add(u, now)
	b.settleLocked(now)
	b.wakeLocked()
}

// settleLocked takes in what the scheduler has finished with and given up.
func (b *Bond) settleLocked(now time.Time) {
	for _, id := range b.sched.Over() {
		b.takeOut(id)
	}
	for _, u := range b.sched.Shed() {
		if o, sg := b.takeOut(u.Object); o != nil && sg != nil {
			b.tellGone(o, sg, now)
		}
	}
}

// holdMost is how long a relay waits for an object that it is told nothing of.
const holdMost = 2 * time.Second

// tellGone tells the relay not to wait for an object that was given up. What comes
// after it in its subgroup would be held there otherwise.
func (b *Bond) tellGone(o *object, sg *subgroup, now time.Time) {
	h := o.header
	if h.End || h.Gone {
		return
	}
	h.Gone, h.Size, h.Properties = true, 0, nil
	b.streams[o.place] = sg
	b.objects[h.Object] = &object{header: h, place: o.place}
	sg.objects++
	b.sched.Add(Unit{Object: h.Object, Class: Vital, Spread: true, Made: now, Deadline: now.Add(holdMost)}, now)
}

// takeOut removes an object of which nothing more is to be sent, and ends its
// streams.
func (b *Bond) takeOut(id bond.Object) (*object, *subgroup) {
	o := b.objects[id]
	if o == nil {
		return nil, nil
	}
	for _, c := range b.members {
		if cs := c.open[id]; cs != nil {
			delete(c.open, id)
			b.stopLocked(c, cs, id)
		}
	}
	delete(b.objects, id)
	sg := b.streams[o.place]
	if sg != nil {
		sg.objects--
		b.releaseLocked(o.place, sg)
	}
	return o, sg
}

// Delivered waits until everything of a track that was given to [Bond.Send] has
// arrived or was given up, or ctx ends.
func (b *Bond) Delivered(ctx context.Context, alias uint64) {
	for {
		b.mu.Lock()
		waits := false
		for id := range b.objects {
			waits = waits || id.Alias == alias
		}
		wake := b.wake
		b.mu.Unlock()
		if !waits {
			return
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}

// Epoch changes when the relay knows nothing any more of what was sent. What it
// wants then is told by its new subscriptions.
func (b *Bond) Epoch() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch
}
