package pub

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// lane is one of several sessions with a relay that passes on each object once,
// whoever brings it. They share the pictures of a striped group: each goes over
// one of them, whole, in a subgroup of its own, which is what MOQT lets several
// publishers do. A session takes the next picture when it is done with the one
// before, so each carries what it can. Key frames go over all that are not behind:
// by them a relay can tell that the sessions publish the same.
type lane struct {
	sess *transport.Session

	mu     sync.Mutex // guards what follows
	ear    bond.Ear
	looked time.Time
	silent bool
}

const (
	// laneLook is how long what was heard of a lane is taken to be so.
	laneLook = 20 * time.Millisecond
	// copyWithin is how old a key frame may be for another lane to carry a copy.
	copyWithin = 250 * time.Millisecond
	// orphanAge is how old a picture may be that another lane sends again, since the
	// one that took it has fallen silent.
	orphanAge = 2 * time.Second
)

// serveLane is [Broadcast.Serve] for one of the sessions that share what is
// striped.
func (b *Broadcast) serveLane(ctx context.Context, sess *transport.Session) error {
	l := &lane{sess: sess}
	return b.answer(ctx, sess, func(ctx context.Context, t *Track, req *transport.SubscribeRequest) { b.sendTo(ctx, t, req, l) })
}

// lost reports whether what the lane has sent of late may not arrive.
func (l *lane) lost() bool {
	if l.sess.Context().Err() != nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.looked) >= laneLook {
		l.looked = now
		l.silent = l.ear.Silence(l.sess.Stats(), now) > 0
	}
	return l.silent
}

// takes reports whether a lane is to send the object at c, of a striped group.
func (t *Track) takes(l *lane, c cursor) bool {
	if l == nil {
		return true
	}
	if l.lost() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.groups {
		if g.id != c.group || c.object < g.first || c.object-g.first >= uint64(len(g.objects)) {
			continue
		}
		o := &g.objects[c.object-g.first]
		if o.lane == nil {
			o.lane = l
			return true
		}
		return o.key && time.Since(o.made) < copyWithin
	}
	return false
}

// orphan returns an object before c that a lane is to send since the one that took
// it is lost, or since none did.
func (t *Track) orphan(l *lane, c cursor) (o object, at moqt.Location, found bool) {
	if l == nil || l.lost() {
		return o, at, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.groups {
		if !g.striped || g.id > c.group {
			continue
		}
		for i := range g.objects {
			at = moqt.Location{Group: g.id, Object: g.first + uint64(i)}
			o := &g.objects[i]
			if !at.Less(moqt.Location{Group: c.group, Object: c.object}) {
				break
			}
			if time.Since(o.made) < orphanAge && o.lane != l && (o.lane == nil || o.lane.lost()) {
				o.lane = l
				return *o, at, true
			}
		}
	}
	return o, at, false
}

// sendAlone sends an object of a striped group, or the end of the group.
func (t *Track) sendAlone(ctx context.Context, w *transport.TrackWriter, at moqt.Location, o object, status moqt.Status) error {
	sg, err := w.OpenSubgroup(ctx, moqt.Subgroup{Group: at.Group, ID: at.Object, Priority: t.priority, First: true})
	if err != nil {
		return err
	}
	if err := sg.WriteObject(moqt.Object{Location: at, Subgroup: at.Object, Status: status, Payload: o.payload, Received: o.made}); err != nil {
		return err
	}
	return sg.Close()
}
